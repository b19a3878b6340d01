#pragma once
// Only for the files of model/ that include ggml.
#include <ggml.h>

#include <exception>
#include <span>
#include <string>
#include <vector>

#include "tomograph/engine/engine.h"
#include "tomograph/model/graph.h"
#include "tomograph/model/sum_check.h"

namespace tomograph {

/// How to find the sites while a graph runs, for one kind of input.
struct GraphMap {
    std::vector<SiteNode> sites;
    std::vector<std::string> unwritable;  // per site: why it cannot be written; empty where it can
    std::vector<GraphNode::Op> ops;       // of every node, in order
    std::vector<std::string> names;
};

/// Follows a graph while it is computed and does at each node what a plan wants there.
class Watch {
  public:
    /// `sites` are the model's; `check` may be null. All but `map` and `sites` only live as long as the
    /// batch. Errors: Error for a write of a site that cannot be written.
    Watch(const GraphMap& map, std::span<const SiteShape> sites, const std::string& model, const Plan& plan,
          Tap& tap, SumCheck* check);

    /// The next piece of the batch. `input` are its vectors, [n_tokens, d_model], null where it has tokens:
    /// what the plan wants of them is done at once, before the model sees them.
    void begin(std::int64_t first_token, std::int64_t n_tokens, std::int64_t d_model, float* input);
    /// False where nothing that the model computes is wanted.
    bool needs_graph() const { return whole_ || last_node_ >= 0; }

    /// llama.cpp's evaluation callback: with `ask`, is the value of `t` wanted; without, here it is. False
    /// ends the graph. What a tap or a write throws is kept in `failure`.
    bool on_eval(ggml_tensor* t, bool ask);

    std::exception_ptr failure;

  private:
    /// All that happens at one node: sums are compared with what the model computed, reads and the parts of
    /// later sums show what was written.
    struct Visit {
        std::vector<std::size_t> sums, reads, parts;  // positions in the check's lists and in the plan's
        std::vector<const Write*> writes;
        bool wanted() const { return !sums.empty() || !reads.empty() || !parts.empty() || !writes.empty(); }
    };
    Visit& visit(std::size_t site);
    bool want(const ggml_tensor* t);
    bool take(ggml_tensor* t);
    void happen(const Visit& visit, std::int64_t width, float* data) const;
    float* values(const ggml_tensor* t);
    void put_back(ggml_tensor* t) const;

    const GraphMap& map_;
    Tap& tap_;
    SumCheck* check_;
    std::vector<Visit> visits_;  // per node
    Visit at_input_;
    bool whole_;  // the graph runs to its end
    int last_node_ = -1;
    std::size_t next_node_ = 0;
    std::int64_t first_token_ = 0;
    std::int64_t n_tokens_ = 0;
    std::vector<float> gathered_;
};

}  // namespace tomograph
