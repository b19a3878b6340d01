#pragma once
// Only for the files of model/ that include ggml.
#include <ggml.h>

#include <unordered_map>
#include <vector>

#include "tomograph/model/graph.h"

namespace tomograph {

GraphNode::Op op_of(const ggml_tensor* t);

/// The graph as one evaluation shows it: nodes in order, sources by index.
class GraphRecorder {
  public:
    /// The next node, before it is computed.
    void add(const ggml_tensor* t);

    std::vector<GraphNode> nodes;

  private:
    std::unordered_map<const ggml_tensor*, int> index_;
};

}  // namespace tomograph
