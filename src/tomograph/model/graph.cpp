#include "tomograph/model/graph.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

using Op = GraphNode::Op;

[[noreturn]] void refuse(const std::string& why) {
    throw Error("cannot find the residual stream of this model", why,
                "only decoder-only transformers whose blocks add to one stream can be recorded");
}

/// The layer that llama.cpp's name for a node ends with ("ffn_inp-12"), if any.
std::optional<int> layer_of_name(std::string_view name) {
    // Views and copies carry a suffix such as " (reshaped)".
    if (const auto space = name.find(" ("); space != std::string_view::npos) name = name.substr(0, space);
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos || dash + 1 == name.size()) return std::nullopt;
    int layer = -1;
    const auto [end, error] = std::from_chars(name.data() + dash + 1, name.data() + name.size(), layer);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return layer;
}

/// Something that was added to the stream.
struct Write {
    int station = -1;  ///< the ADD that carries the stream on
    int before = -1;   ///< the stream node that it added to
    int value = -1;    ///< the node that was added
    bool attention = false;
    int layer = -1;
    std::set<int> reads;  ///< stream nodes that its computation starts from
};

class Finder {
  public:
    Finder(const std::vector<GraphNode>& nodes, std::int64_t d_model, int n_layers)
        : nodes_(nodes), d_model_(d_model), n_layers_(n_layers) {}

    std::vector<SiteNode> find() {
        follow_stream();
        split_joint_writes();
        number_layers();
        return collect();
    }

  private:
    // The batch's own vectors stand for the embedding where the model reads vectors: they are a leaf.
    static constexpr int kInput = -1;
    static constexpr int kNone = -2;

    const GraphNode& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }

    static bool is_leaf(const GraphNode::Source& source, std::string_view part) {
        return source.node < 0 && source.leaf.find(part) != std::string::npos;
    }

    /// The batch's own input vectors. llama.cpp names them twice, by where they come from and by what they
    /// become.
    static bool is_input_vectors(const GraphNode::Source& source) {
        return source.node < 0 && !source.weight && (is_leaf(source, "inp_embd") || source.leaf == "embd");
    }

    bool is_token_embedding(int index) const {
        const GraphNode& n = node(index);
        return n.op == Op::get_rows && n.sources.size() > 1 && n.sources[0].weight &&
               is_leaf(n.sources[1], "inp_tokens");
    }

    bool is_position_embedding(int index) const {
        const GraphNode& n = node(index);
        return n.op == Op::get_rows && n.sources.size() > 1 && n.sources[0].weight &&
               is_leaf(n.sources[1], "inp_pos");
    }

    /// The node that `index` only reshapes, copies or picks rows from; kNone if it computes something.
    int passes_on(int index) const {
        const GraphNode& n = node(index);
        const bool picks_rows = n.op == Op::get_rows && !n.sources[0].weight;
        if (n.op != Op::view && n.op != Op::copy && !picks_rows) return kNone;
        if (n.sources[0].node >= 0) return n.sources[0].node;
        return is_input_vectors(n.sources[0]) ? kInput : kNone;
    }

    /// What an embedding passes on the way to the first block: a scale, or a norm with its weights.
    int stem_passes_on(int index, int norms) const {
        const GraphNode& n = node(index);
        const bool weighted = n.sources.size() > 1 && n.sources[1].weight;
        if (n.op == Op::scale ||
            (norms > 0 && (n.op == Op::norm || ((n.op == Op::mul || n.op == Op::add) && weighted)))) {
            if (n.sources[0].node >= 0) return n.sources[0].node;
            if (is_input_vectors(n.sources[0])) return kInput;
        }
        return kNone;
    }

    /// The embedding side of the stream: token rows, vectors, learned positions added, scaled, and in some
    /// models normed once (BLOOM). A second norm is already the first block's.
    bool is_stem(int index) const { return is_stem(index, stem_norms_); }
    bool is_stem(int index, int norms) const {
        if (index == kInput) return true;
        if (is_token_embedding(index)) return true;
        int inner = passes_on(index);
        if (inner == kNone) inner = stem_passes_on(index, norms);
        const GraphNode& n = node(index);
        if (inner != kNone) return is_stem(inner, n.op == Op::norm ? norms - 1 : norms);
        if (n.op != Op::add) return false;
        return (is_stem_source(n.sources[0], norms) && is_position_source(n.sources[1])) ||
               (is_stem_source(n.sources[1], norms) && is_position_source(n.sources[0]));
    }
    bool is_stem_source(const GraphNode::Source& s, int norms) const {
        return s.node >= 0 ? is_stem(s.node, norms) : is_input_vectors(s);
    }
    bool is_position_source(const GraphNode::Source& s) const {
        if (s.node < 0) return false;
        const int inner = passes_on(s.node);
        return is_position_embedding(s.node) || (inner >= 0 && is_position_embedding(inner));
    }

    bool is_stream(int index) {
        if (index == kInput) return true;
        auto& known = stream_[static_cast<std::size_t>(index)];
        if (known >= 0) return known == 1;
        known = 0;
        bool result = is_stem(index);
        if (!result) {
            const GraphNode& n = node(index);
            if (const int inner = passes_on(index); inner != kNone) {
                result = is_stream(inner);
            } else if (n.op == Op::add && n.shape[0] == d_model_) {
                result = stream_operand(index) >= 0;
            }
        }
        stream_[static_cast<std::size_t>(index)] = result ? 1 : 0;
        return result;
    }

    /// Which operand of an ADD is the stream: 0 or 1; -1 neither.
    int stream_operand(int index) {
        const GraphNode& n = node(index);
        for (int side = 0; side < 2; ++side) {
            const auto& source = n.sources[static_cast<std::size_t>(side)];
            const auto& other = n.sources[static_cast<std::size_t>(1 - side)];
            if (source.node < 0 && !is_input_vectors(source)) continue;
            if (other.node >= 0 && is_stream(source.node)) return side;
        }
        return -1;
    }

    /// A norm's last node, following the multiplication by its weight and the addition of its bias.
    int norm_output(int norm) const {
        int last = norm;
        for (int i = norm + 1; i < static_cast<int>(nodes_.size()); ++i) {
            const GraphNode& n = node(i);
            if ((n.op != Op::mul && n.op != Op::add) || n.sources.size() < 2) continue;
            for (std::size_t side = 0; side < 2; ++side) {
                if (n.sources[side].node == last && n.sources[1 - side].weight) {
                    last = i;
                    break;
                }
            }
        }
        return last;
    }

    void follow_stream() {
        for (const int norms : {0, 1}) {
            stem_norms_ = norms;
            stream_.assign(nodes_.size(), -1);
            for (int i = static_cast<int>(nodes_.size()) - 1; i >= 0; --i) {
                const GraphNode& n = node(i);
                if (n.op != Op::norm || n.shape[0] != d_model_ || n.sources[0].node < 0) continue;
                if (!is_stream(n.sources[0].node) || is_stem(n.sources[0].node)) continue;
                final_norm_ = i;
                break;
            }
            if (final_norm_ >= 0) break;
        }
        if (final_norm_ < 0) refuse("no norm reads a stream that began at the embedding");

        int at = node(final_norm_).sources[0].node;
        while (at != kInput && !is_stem(at)) {
            if (const int inner = passes_on(at); inner != kNone) {
                at = inner;
                continue;
            }
            const int side = stream_operand(at);
            const auto& sources = node(at).sources;
            Write write;
            write.station = at;
            write.before = sources[static_cast<std::size_t>(side)].node;
            write.value = sources[static_cast<std::size_t>(1 - side)].node;
            writes_.push_back(write);
            at = write.before;
        }
        stem_ = at;
        std::reverse(writes_.begin(), writes_.end());
        for (Write& write : writes_) write.before = station_below(write.before);
    }

    /// The station, or the stem, under views and picked rows.
    int station_below(int index) const {
        for (int inner; index != kInput && !is_stem(index) && (inner = passes_on(index)) != kNone;)
            index = inner;
        return index;
    }

    struct Ancestors {
        std::vector<int> nodes;
        std::set<int> reads;
        bool attention = false;
        bool recurrent = false;
    };

    /// Everything that `value` is computed from, back to the stream.
    Ancestors ancestors(int value) {
        Ancestors found;
        std::set<int> seen;
        std::vector<int> open{value};
        while (!open.empty()) {
            const int index = open.back();
            open.pop_back();
            if (index < 0 || !seen.insert(index).second) continue;
            if (is_stream(index)) {
                found.reads.insert(station_below(index));
                continue;
            }
            const GraphNode& n = node(index);
            found.nodes.push_back(index);
            found.attention = found.attention || is_attention_core(index);
            found.recurrent = found.recurrent || n.op == Op::recurrent;
            for (const auto& source : n.sources) {
                if (source.node >= 0)
                    open.push_back(source.node);
                else if (is_input_vectors(source))
                    found.reads.insert(kInput);
            }
        }
        std::sort(found.nodes.begin(), found.nodes.end());
        return found;
    }

    /// A fused attention, or a softmax over scores that are a product of two activations.
    bool is_attention_core(int index) const {
        const GraphNode& n = node(index);
        if (n.op == Op::attention) return true;
        if (n.op != Op::soft_max) return false;
        int at = n.sources[0].node;
        while (at >= 0) {
            const GraphNode& inner = node(at);
            if (inner.op == Op::mul_mat) return !inner.sources[0].weight;
            at = inner.sources.empty() ? -1 : inner.sources[0].node;
        }
        return false;
    }

    /// Parallel blocks may add attention and MLP first and the stream afterwards: take such a sum apart.
    void split_joint_writes() {
        std::vector<Write> single;
        for (const Write& write : writes_) {
            const GraphNode& value = node(write.value);
            if (value.op == Op::add && value.sources[0].node >= 0 && value.sources[1].node >= 0) {
                const bool first = ancestors(value.sources[0].node).attention;
                const bool second = ancestors(value.sources[1].node).attention;
                if (first != second) {
                    Write attention = write, mlp = write;
                    attention.value = value.sources[first ? 0 : 1].node;
                    mlp.value = value.sources[first ? 1 : 0].node;
                    single.push_back(attention);
                    single.push_back(mlp);
                    continue;
                }
            }
            single.push_back(write);
        }
        writes_ = std::move(single);
    }

    void number_layers() {
        for (Write& write : writes_) {
            const Ancestors a = ancestors(write.value);
            write.attention = a.attention;
            write.reads = a.reads;
            std::map<int, int> votes;
            for (const int index : a.nodes) {
                if (const auto layer = layer_of_name(node(index).name)) ++votes[*layer];
            }
            if (votes.empty())
                refuse("the block that ends at '" + node(write.station).name + "' has no layer number");
            write.layer = std::max_element(votes.begin(), votes.end(), [](auto& x, auto& y) {
                              return x.second < y.second;
                          })->first;
            if (a.recurrent) {
                refuse("layer " + std::to_string(write.layer) +
                       " writes from a recurrent state, not from attention");
            }
        }
    }

    void add(Component component, int layer, int index, std::vector<std::int64_t> shape) {
        sites_.push_back({Site{component, layer}, index, std::move(shape)});
    }

    /// The norm of `write` that reads the stream node it starts from: output node, or kNone.
    int input_norm(const Write& write) {
        for (const int index : ancestors(write.value).nodes) {
            const GraphNode& n = node(index);
            if (n.op != Op::norm || n.shape[0] != d_model_) continue;
            const auto& source = n.sources[0];
            if (source.node >= 0 ? is_stream(source.node) : is_input_vectors(source))
                return norm_output(index);
        }
        return kNone;
    }

    /// The input of attention's output projection: down from what attention adds to the last product with a
    /// weight. Heads are counted at the attention core.
    void add_heads(const Write& write) {
        int at = write.value;
        while (at >= 0) {
            const GraphNode& n = node(at);
            if (n.op == Op::mul_mat && n.sources[0].weight) {
                const int z = n.sources[1].node;
                std::int64_t heads = 0;
                for (const int index : ancestors(z).nodes) {
                    if (!is_attention_core(index)) continue;
                    const GraphNode& core = node(index);
                    // Fused: [d_head, n_heads, n_tokens]; softmax: [n_kv, n_tokens, n_heads].
                    heads = core.op == Op::attention ? core.shape[1] : core.shape[2];
                }
                const std::int64_t width = node(z).shape[0] * (node(z).shape[2] > 1 ? node(z).shape[1] : 1);
                if (heads > 0 && width % heads == 0)
                    add(Component::z, write.layer, z, {heads, width / heads});
                return;
            }
            int next = -1;
            for (const auto& source : n.sources) {
                if (source.node >= 0 && ancestors(source.node).attention) next = source.node;
            }
            at = next;
        }
    }

    void add_router(const Write& write) {
        const Ancestors a = ancestors(write.value);
        const bool mixture = std::any_of(a.nodes.begin(), a.nodes.end(),
                                         [&](int index) { return node(index).op == Op::mul_mat_id; });
        if (!mixture) return;
        for (const int index : a.nodes) {
            const GraphNode& n = node(index);
            if (n.op != Op::soft_max && n.op != Op::sigmoid) continue;
            const int gate = n.sources[0].node;
            const bool from_weight =
                gate >= 0 && node(gate).op == Op::mul_mat && node(gate).sources[0].weight;
            const bool biased = gate >= 0 && node(gate).op == Op::add && node(gate).sources[1].weight;
            // A shared expert's own gate has one value a token: it chooses nothing.
            if ((from_weight || biased) && n.shape[0] > 1) {
                add(Component::router, write.layer, index, {n.shape[0]});
                return;
            }
        }
    }

    std::vector<SiteNode> collect() {
        const std::vector<std::int64_t> row{d_model_};
        add_stem();
        std::map<int, std::vector<const Write*>> blocks;
        for (const Write& write : writes_) blocks[write.layer].push_back(&write);
        int previous = -1;
        for (const auto& [layer, writes] : blocks) {
            if (layer != previous + 1)
                refuse("layer " + std::to_string(previous + 1) + " writes nothing to the stream");
            previous = layer;
            add_block(layer, writes);
        }
        if (previous + 1 != n_layers_) {
            refuse("its header promises " + std::to_string(n_layers_) + " layers, but " +
                   std::to_string(previous + 1) + " write to the stream");
        }
        add(Component::ln_final, -1, norm_output(final_norm_), row);
        std::stable_sort(sites_.begin(), sites_.end(),
                         [](const SiteNode& a, const SiteNode& b) { return network_order(a.site, b.site); });
        return std::move(sites_);
    }

    void add_stem() {
        const std::vector<std::int64_t> row{d_model_};
        int embed = kInput;
        int positions = kNone;
        for (int i = 0; i < static_cast<int>(nodes_.size()); ++i) {
            if (node(i).computed && is_token_embedding(i)) embed = i;
            if (is_position_embedding(i)) positions = i;
        }
        add(Component::embed, -1, embed, row);
        if (positions != kNone) add(Component::pos_embed, -1, positions, row);
    }

    void add_block(int layer, const std::vector<const Write*>& writes) {
        const std::vector<std::int64_t> row{d_model_};
        const Write* attention = nullptr;
        const Write* mlp = nullptr;
        for (const Write* write : writes) {
            const Write*& place = write->attention ? attention : mlp;
            if (place != nullptr) {
                refuse("layer " + std::to_string(layer) + " writes to the stream more than once from its " +
                       (write->attention ? "attention" : "MLP"));
            }
            place = write;
        }
        add(Component::resid_pre, layer, writes.front()->before, row);
        add(Component::resid_post, layer, writes.back()->station, row);
        int ln1 = kNone;
        if (attention != nullptr) {
            add(Component::attn_out, layer, attention->value, row);
            add_heads(*attention);
            if (ln1 = input_norm(*attention); ln1 != kNone) add(Component::ln1, layer, ln1, row);
        }
        if (mlp != nullptr) {
            add(Component::mlp_out, layer, mlp->value, row);
            add_router(*mlp);
            if (const int ln2 = input_norm(*mlp); ln2 != kNone && ln2 != ln1)
                add(Component::ln2, layer, ln2, row);
        }
        if (attention != nullptr && mlp != nullptr && mlp->reads.contains(attention->station)) {
            add(Component::resid_mid, layer, attention->station, row);
        }
    }

    const std::vector<GraphNode>& nodes_;
    std::int64_t d_model_;
    int n_layers_;
    int stem_norms_ = 0;               // norms that the embedding passes before the first block
    std::vector<signed char> stream_;  // -1 unknown, else is_stream
    int final_norm_ = -1;
    int stem_ = kInput;
    std::vector<Write> writes_;
    std::vector<SiteNode> sites_;
};

}  // namespace

std::vector<SiteNode> find_sites(const std::vector<GraphNode>& nodes, std::int64_t d_model, int n_layers) {
    return Finder(nodes, d_model, n_layers).find();
}

}  // namespace tomograph
