#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "tomograph/model/graph.h"

namespace tomograph {

/// The layer that llama.cpp's name for a node ends with ("ffn_inp-12"), if any.
std::optional<int> layer_of_name(std::string_view name);
/// The layer that a weight belongs to ("blk.12.attn_norm.weight"), if any.
std::optional<int> layer_of_weight(std::string_view name);

/// Which nodes of a graph are the residual stream, and what other nodes are computed from.
class Stream {
  public:
    /// The batch's own vectors stand for the embedding where the model reads vectors: they are a leaf.
    static constexpr int kInput = -1;
    static constexpr int kNone = -2;

    /// How a model treats its stream.
    struct Kind {
        int stem_norms = 0;      ///< norms that the embedding passes before the first block
        bool post_norm = false;  ///< norms are on the stream itself, between its additions
        /// Nodes that are several streams, or a mixture of them; empty: there is one.
        std::set<int> several = {};
    };

    Stream(const std::vector<GraphNode>& nodes, std::int64_t d_model, Kind kind);

    const GraphNode& node(int index) const { return (*nodes_)[static_cast<std::size_t>(index)]; }
    int size() const { return static_cast<int>(nodes_->size()); }
    const Kind& kind() const { return kind_; }

    /// The embedding side: token rows, vectors, learned positions and token types added, scaled, normed.
    bool is_stem(int index) const { return is_stem(index, kind_.stem_norms); }
    bool is_stream(int index);
    /// Which operand of an ADD is the stream: 0 or 1; -1 neither. Where both are, the later one.
    int stream_operand(int index);

    bool is_token_embedding(int index) const;
    bool is_position_embedding(int index) const;
    bool is_input_vectors(const GraphNode::Source& source) const;

    /// The node that `index` only reshapes, copies or picks rows from; kNone if it computes something.
    int passes_on(int index) const;
    /// The node that `index` multiplies by one number, which goes to `factor`; kNone if it does not.
    int scales(int index, double* factor = nullptr) const;
    /// The node that `index` is the norm of, or a part of it: its product with a weight, its bias; kNone.
    int norms(int index) const;
    /// The node that `index` only shows, scales or, in a post-norm model, norms; kNone if it does another
    /// thing.
    int goes_through(int index) const;
    /// A norm's last node, following the multiplication by its weight and the addition of its bias.
    int norm_output(int norm) const;
    /// What `index` shows, under views and picked rows.
    int below_views(int index) const;
    /// The ADD, or the stem, under views, picked rows, scales and, in a post-norm model, norms.
    int station_below(int index) const;

    struct Ancestors {
        std::vector<int> nodes;  ///< ascending
        std::set<int> reads;     ///< stream nodes that it starts from, under views
        bool attention = false;
        bool source = false;     ///< what an encoder made of a source
        bool recurrent = false;  ///< a recurrent operation, or a recurrent state
        bool experts = false;
        bool table = false;  ///< rows of a table
    };
    /// Everything that `value` is computed from, back to the stream. It may itself begin a stream.
    Ancestors ancestors(int value);
    /// A fused attention, or a softmax over scores that are a product of two activations.
    bool is_attention_core(int index) const;

    /// Where the stream was last seen, and what comes next: "'l_out-3' (ADD), and no addition follows it".
    std::string last_seen();

  private:
    static bool is_leaf(const GraphNode::Source& source, std::string_view part) {
        return source.node < 0 && source.leaf.find(part) != std::string::npos;
    }
    bool is_stem(int index, int norms) const;
    bool is_stem_source(const GraphNode::Source& source, int norms) const;
    bool is_position_source(const GraphNode::Source& source) const;
    bool is_type_source(const GraphNode::Source& source) const;
    int stem_passes_on(int index, int norms) const;

    const std::vector<GraphNode>* nodes_;
    std::int64_t d_model_;
    Kind kind_;
    std::string input_leaf_;           // the name of the batch's vectors, where it is not one of the usual
    std::vector<signed char> stream_;  // -1 unknown, else is_stream
    std::vector<std::vector<int>> readers_;  // of each node, ascending
};

}  // namespace tomograph
