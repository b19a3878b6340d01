#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/words/site.h"

namespace tomograph {

/// What the site finder needs to know of one node of a llama.cpp compute graph: enough to follow the residual
/// stream without touching ggml. Sources are indices of earlier nodes, or leaves.
struct GraphNode {
    enum class Op {
        add,
        mul,
        scale,
        norm,
        mul_mat,
        mul_mat_id,
        get_rows,
        view,
        copy,
        soft_max,
        sigmoid,
        attention,
        recurrent,
        other
    };
    struct Source {
        int node = -1;        ///< index of an earlier node; -1: a leaf
        std::string leaf;     ///< the leaf's name: a weight or an input
        bool weight = false;  ///< the leaf is a model weight
    };
    Op op = Op::other;
    std::string name;
    std::vector<Source> sources;
    std::array<std::int64_t, 4> shape{1, 1, 1, 1};  ///< ggml's order: shape[0] runs fastest
    bool computed = true;  ///< false: in the graph, but not evaluated for this kind of batch
};

/// Where a site's value is found while the graph runs.
struct SiteNode {
    Site site;
    int node = -1;                    ///< index in evaluation order; -1: the batch's own input vectors
    std::vector<std::int64_t> shape;  ///< per token, row-major: {d_model}, {n_heads, d_head} or {n_experts}
};

/// The residual stream, found by its topology: it starts at the embedding, and every ADD that has it as one
/// operand continues it; the other operand is what a block wrote. What was written by attention is told from
/// what was written by the MLP by whether its own ancestors, up to the stream, hold an attention core. Names
/// serve only to number the layers.
///
/// `d_model` and `n_layers` come from the model's header. Sites come in network order.
/// Errors: Error when the graph is not that of a decoder-only transformer: no stream can be followed, a block
/// writes twice, or it writes from a recurrent state.
std::vector<SiteNode> find_sites(const std::vector<GraphNode>& nodes, std::int64_t d_model, int n_layers);

}  // namespace tomograph
