#pragma once
// Only for the files of model/ that include ggml.
#include <ggml.h>

#include <string_view>
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
    /// The last node of that name; -1: there is none.
    int original(std::string_view name) const;

    std::unordered_map<const ggml_tensor*, int> index_;
};

}  // namespace tomograph
