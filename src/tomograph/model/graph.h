#pragma once
#include <array>
#include <cstdint>
#include <optional>
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
        pad,
        soft_max,
        sigmoid,
        attention,
        recurrent,
        other
    };
    struct Source {
        int node = -1;                    ///< index of an earlier node; -1: a leaf
        std::string leaf;                 ///< the leaf's name: a weight or an input
        bool weight = false;              ///< the leaf is a model weight
        std::int64_t width = 0;           ///< of a leaf that the batch fills with float32: its shape[0]
        std::optional<float> value = {};  ///< of a weight that is one number
    };
    Op op = Op::other;
    std::string name;
    std::vector<Source> sources;
    std::array<std::int64_t, 4> shape{1, 1, 1, 1};  ///< ggml's order: shape[0] runs fastest
    bool computed = true;   ///< false: in the graph, but not evaluated for this kind of batch
    float factor = 1;       ///< of a scale: what it multiplies by
    std::string kind = {};  ///< ggml's own word for the operation, for messages
};

/// Where a site's value is found while the graph runs.
struct SiteNode {
    Site site;
    int node = -1;                    ///< index in evaluation order; -1: the batch's own input vectors
    std::vector<std::int64_t> shape;  ///< per token, row-major, as Component says
};

/// What a site of the stream adds up to: factor x the sum of its parts, each times its own factor.
struct SiteSum {
    /// Where there are several streams: a part is `from` rows, the sum `to` rows, and row f comes into row t
    /// times weights[first + f * to + t], which the model computes for each token.
    struct Mix {
        Site weights;
        std::int64_t from = 1, to = 1, first = 0;
    };
    struct Part {
        Site site;
        double factor = 1;
        std::optional<Mix> mix = {};
    };
    Site sum;
    std::vector<Part> parts;
    double factor = 1;
};

struct FoundSites {
    std::vector<SiteNode> sites;  ///< in network order
    std::vector<SiteSum> sums;    ///< every write is in one of them
    double stem_factor = 1;       ///< what an embedding is multiplied by before it enters the first block
};

/// The residual stream, found by its topology: it starts at the embedding, and every ADD that has it as one
/// operand continues it; the other operand is what a block wrote. Where the model norms the stream itself
/// (post-norm), it goes on behind the norm. What was written by attention is told from what was written by a
/// recurrent mixer or by the MLP by what its own ancestors, up to the stream, hold. Names serve only to
/// number the layers. Where the embedding is repeated into several streams (hyper-connections), each block
/// reads a mixture of them, and what it writes is dealt out to them.
///
/// `d_model` and `n_layers` come from the model's header.
/// Errors: Error when the graph is not that of one stream: it says what was found and at which node.
FoundSites find_sites(const std::vector<GraphNode>& nodes, std::int64_t d_model, int n_layers);

/// Per site those that it is another name of (the first) or a plain sum of; see Engine::parts(). Sites
/// outside the blocks are no part: what enters the first block differs with what is read.
std::vector<std::vector<std::size_t>> find_parts(const std::vector<SiteNode>& sites,
                                                 const std::vector<SiteSum>& sums);

}  // namespace tomograph
