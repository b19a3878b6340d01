#pragma once
// Only for the files of model/ that include ggml.
#include <ggml.h>

#include <exception>
#include <set>
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
    std::vector<SiteSum> sums;
    std::vector<std::vector<std::size_t>> parts;  // see Engine::parts()
    double stem_factor = 1;                       // of an embedding, on its way to the first block
    std::set<std::string> block_weights;          // that are read where it is computed
    std::vector<std::string> unwritable;          // per site: why it cannot be written; empty where it can
    std::vector<GraphNode::Op> ops;               // of every node, in order
    std::vector<std::string> names;
    std::vector<std::vector<int>> sources;  // of every node, those that are nodes, through a cache, too
};

/// Follows a graph while it is computed and does at each node what a plan wants there.
class Watch {
  public:
    /// `sites` are the model's; `check` may be null. All but `map` and `sites` only live as long as the
    /// batch. Errors: Error for a write of a site that cannot be written, or one that cannot be given.
    /// `whole`: the graph runs to its end whatever is wanted of it, since a later piece needs what it leaves.
    Watch(const GraphMap& map, std::span<const SiteShape> sites, const std::string& model, const Plan& plan,
          Tap& tap, SumCheck* check, bool whole);

    /// The next piece of the batch. `input` are its vectors, [n_tokens, d_model], null where it has tokens:
    /// what the plan wants of them is done at once, before the model sees them. `ends`: its last sequence has
    /// no further piece.
    void begin(std::int64_t first_token, std::int64_t n_tokens, std::int64_t d_model, float* input,
               bool ends);
    /// False where nothing that the model computes is wanted.
    bool needs_graph() const { return whole_ || last_node_ >= 0; }

    /// llama.cpp's evaluation callback: with `ask`, is the value of `t` wanted; without, here it is. False
    /// ends the graph. What a tap or a write throws is kept in `failure`.
    bool on_eval(ggml_tensor* t, bool ask);
    /// Once a piece has run, or failed: llama.cpp may use its graph again, whole.
    void restore();

    std::exception_ptr failure;

  private:
    /// All that happens at one node: sums are compared with what the model computed, reads and the parts of
    /// later sums show what was written.
    struct Visit {
        std::vector<std::size_t> sums, reads, parts;  // positions in the check's lists and in the plan's
        std::int64_t state = 0;  // values a sequence, where the site is of sequences; 0: it is of tokens
        std::vector<const Write*> writes;
        const float* given = nullptr;  // values of the whole batch
        bool wanted() const {
            return given != nullptr || !sums.empty() || !reads.empty() || !parts.empty() || !writes.empty();
        }
    };
    Visit& visit(std::size_t site);
    /// llama.cpp passes `t` over, until restore().
    void leave_out(ggml_tensor* t);
    void begin_at(const Given& given, const std::string& model, std::span<const SiteShape> sites);
    bool want(ggml_tensor* t);
    bool take(ggml_tensor* t);
    void happen(const Visit& visit, std::int64_t width, float* data) const;
    /// States [n_sequences, width] of a piece: each is its sequence's last token's, and the others have
    /// zeros.
    void show_states(std::size_t read, std::int64_t width, std::int64_t n_sequences, const float* data) const;
    float* values(const ggml_tensor* t);
    void put_back(ggml_tensor* t);
    void fetch(const ggml_tensor* t);

    const GraphMap& map_;
    Tap& tap_;
    SumCheck* check_;
    std::vector<Visit> visits_;  // per node
    Visit at_input_;
    std::vector<bool> needless_;          // per node: what is given makes up for it; empty: none is
    std::vector<ggml_tensor*> left_out_;  // of the piece under way
    bool whole_;                          // the graph runs to its end
    int last_node_ = -1;
    std::size_t next_node_ = 0;
    std::int64_t first_token_ = 0;
    std::int64_t n_tokens_ = 0;
    bool ends_ = true;
    std::vector<float> gathered_;
    std::vector<std::byte> fetched_;
};

}  // namespace tomograph
