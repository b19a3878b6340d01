#include "tomograph/model/graph.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tomograph/model/stream_path.h"

namespace tomograph {
namespace {

using Op = GraphNode::Op;
constexpr int kInput = Stream::kInput;
constexpr int kNone = Stream::kNone;

/// What a block's attention, or its MLP, does with several streams.
struct Mixing {
    Component pre, depth, in, comb, post;
};
constexpr Mixing kOfAttention{Component::attn_hc_pre, Component::attn_depth, Component::attn_in,
                              Component::attn_hc_comb, Component::attn_hc_post};
constexpr Mixing kOfMlp{Component::mlp_hc_pre, Component::mlp_depth, Component::mlp_in,
                        Component::mlp_hc_comb, Component::mlp_hc_post};

class Finder {
  public:
    Finder(const std::vector<GraphNode>& nodes, std::int64_t d_model, int n_layers)
        : nodes_(nodes),
          d_model_(d_model),
          n_layers_(n_layers),
          path_(follow_stream(nodes, d_model)),
          stream_(path_.stream) {}

    FoundSites find() {
        add_stem();
        // Stations by layer, in order.
        std::vector<std::vector<const Station*>> layers;
        for (const Station& station : path_.stations) {
            const int layer = station.front().layer;
            if (std::any_of(station.begin(), station.end(),
                            [&](const StreamWrite& w) { return w.layer != layer; }))
                refuse_graph("several layers write at " + named(station.front().station) + looped(nodes_));
            if (layer > static_cast<int>(layers.size()))
                refuse_graph("layer " + std::to_string(layers.size()) + " writes nothing to the stream" +
                             looped(nodes_));
            if (layer == static_cast<int>(layers.size())) layers.emplace_back();
            layers[static_cast<std::size_t>(layer)].push_back(&station);
        }
        if (static_cast<int>(layers.size()) != n_layers_) {
            refuse_graph("its header promises " + std::to_string(n_layers_) + " layers, but " +
                         std::to_string(layers.size()) + " write to the stream: " + stream_.last_seen() +
                         looped(nodes_));
        }
        for (std::size_t layer = 0; layer < layers.size(); ++layer) {
            const bool last = layer + 1 == layers.size();
            add_block(static_cast<int>(layer), layers[layer],
                      last ? below_views(path_.end) : layers[layer + 1].front()->front().base);
        }
        if (path_.final_norm >= 0) {
            add_row(Component::ln_final, -1, stream_.norm_output(path_.final_norm));
        } else if (path_.head >= 0 && node(path_.head).shape[0] == d_model_) {
            add_row(Component::ln_final, -1, path_.head);
        } else if (const int end = below_views(path_.end);
                   stream_.norms(end) != kNone && norm_layer(end) < 0) {
            add_row(Component::ln_final, -1, end);
        }
        std::stable_sort(found_.sites.begin(), found_.sites.end(),
                         [](const SiteNode& a, const SiteNode& b) { return network_order(a.site, b.site); });
        return std::move(found_);
    }

  private:
    const GraphNode& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }
    std::string named(int index) const {
        return index == kInput ? "the input" : "'" + node(index).name + "'";
    }

    int below_views(int at) const { return stream_.below_views(at); }

    void add(Component component, int layer, int index, std::vector<std::int64_t> shape) {
        found_.sites.push_back({Site{component, layer}, index, std::move(shape)});
    }
    void add_row(Component component, int layer, int index) { add(component, layer, index, {d_model_}); }
    /// As wide as the stream is.
    void add_stream(Component component, int layer, int index) {
        if (path_.n_streams == 1) return add_row(component, layer, index);
        add(component, layer, index, {path_.n_streams, d_model_});
    }

    /// The norm of `write` that reads the latest stream node which it starts from: output node, or kNone.
    int input_norm(const StreamWrite& write) {
        int latest = kNone, output = kNone;
        if (write.kind == StreamWrite::Kind::skip) return kNone;
        for (const int index : stream_.ancestors(write.value).nodes) {
            const GraphNode& n = node(index);
            if (n.op != Op::norm || n.shape[0] != d_model_) continue;
            const auto& source = n.sources[0];
            if (source.node >= 0 ? !stream_.is_stream(source.node) : !stream_.is_input_vectors(source))
                continue;
            const int below = stream_.station_below(source.node);
            if (output != kNone && below <= latest) continue;
            latest = below;
            output = stream_.norm_output(index);
        }
        return output;
    }

    /// The input of attention's output projection: down from what attention adds to the last product with a
    /// weight. Heads are counted at the attention core.
    void add_heads(const StreamWrite& write, Component component) {
        int at = write.value;
        while (at >= 0) {
            const GraphNode& n = node(at);
            if (n.op == Op::mul_mat && n.sources[0].weight) {
                const int z = below_output_projection(n.sources[1].node);
                std::int64_t heads = 0;
                for (const int index : stream_.ancestors(z).nodes) {
                    if (!stream_.is_attention_core(index)) continue;
                    const GraphNode& core = node(index);
                    // Fused: [d_head, n_heads, n_tokens]; softmax: [n_kv, n_tokens, n_heads].
                    heads = core.op == Op::attention ? core.shape[1] : core.shape[2];
                }
                const std::int64_t width = node(z).shape[0] * (node(z).shape[2] > 1 ? node(z).shape[1] : 1);
                if (heads > 0 && width % heads == 0) add(component, write.layer, z, {heads, width / heads});
                return;
            }
            int next = -1;
            for (const auto& source : n.sources) {
                if (source.node >= 0 && stream_.ancestors(source.node).attention) next = source.node;
            }
            at = next;
        }
    }

    /// An output projection may be the product of two (DeepSeek 4: of groups of heads, first): what the first
    /// reads. A product that reads the core itself brings the heads' own values out of latent ones.
    int below_output_projection(int at) {
        for (;;) {
            const GraphNode& n = node(below_views(at));
            if (n.op != Op::mul_mat || !n.sources[0].weight || n.sources[1].node < 0) return at;
            const int inner = below_views(n.sources[1].node);
            if (reads_core(inner)) return at;
            at = inner;
        }
    }
    /// Is it an attention core, or what that gives without its fused form: scores times values?
    bool reads_core(int at) {
        if (at < 0 || stream_.is_attention_core(at)) return true;
        const GraphNode& n = node(at);
        return n.op == Op::mul_mat && std::ranges::any_of(n.sources, [&](const GraphNode::Source& source) {
                   return source.node >= 0 && stream_.is_attention_core(below_views(source.node));
               });
    }

    /// The gate's probabilities, or its scores. A mixture that takes its softmax over the chosen experts only
    /// has none.
    void add_router(const StreamWrite& write) {
        if (!write.experts) return;
        for (const int index : stream_.ancestors(write.value).nodes) {
            const GraphNode& n = node(index);
            // DeepSeek 4's scores are roots of softplus.
            const int inner = n.sources.empty() ? -1 : n.sources[0].node;
            const bool root = n.kind == "SQRT" && inner >= 0 && node(inner).kind == "SOFTPLUS";
            if (n.op != Op::soft_max && n.op != Op::sigmoid && !root) continue;
            const int gate = root ? node(inner).sources[0].node : inner;
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

    void add_stem() {
        int at = path_.stem;
        double by = 1;
        while (at != kInput && !stream_.is_token_embedding(at)) {
            const GraphNode& n = node(at);
            if (const int inner = stream_.scales(at, &by); inner != kNone) {
                found_.stem_factor *= by;
                at = inner;
                continue;
            }
            std::size_t side = 0;
            if (n.op == Op::add) {
                const auto& first = n.sources[0];
                const bool is_stem =
                    first.node >= 0 ? stream_.is_stem(first.node) : stream_.is_input_vectors(first);
                side = is_stem ? 0 : 1;
            }
            at = n.sources[side].node >= 0 ? n.sources[side].node : kInput;
        }
        add_row(Component::embed, -1, at);
        for (int i = path_.stem; i >= 0; --i) {
            if (!stream_.is_position_embedding(i)) continue;
            add_row(Component::pos_embed, -1, i);
            break;
        }
    }

    /// The layer that a norm on the stream belongs to, by its weight or its name; -1: none.
    int norm_layer(int index) const {
        for (int at = index; at >= 0 && stream_.norms(at) != kNone;) {
            for (const auto& source : node(at).sources) {
                if (source.node >= 0) continue;
                if (const auto layer = layer_of_weight(source.leaf)) return *layer;
                if (source.weight) return -1;
            }
            if (node(at).op == Op::norm) return layer_of_name(node(at).name).value_or(-1);
            at = std::max(node(at).sources[0].node, node(at).sources[1].node);
        }
        return -1;
    }
    bool is_norm_of_layer(int index, int layer) const {
        return stream_.kind().post_norm && index >= 0 && !stream_.is_stem(index) &&
               stream_.norms(index) != kNone && norm_layer(index) == layer;
    }

    /// What each write of a layer is called.
    std::vector<std::pair<const StreamWrite*, Component>> name_writes(
        int layer, const std::vector<const Station*>& stations) {
        std::vector<std::pair<const StreamWrite*, Component>> named_writes;
        std::set<Component> taken;
        const auto name = [&](const StreamWrite& write, Component component, const std::string& whose) {
            if (!taken.insert(component).second)
                refuse_graph("layer " + std::to_string(layer) +
                             " writes to the stream more than once from its " + whose +
                             ", the second time at " + named(write.station) + looped(nodes_));
            named_writes.emplace_back(&write, component);
        };
        std::size_t n_mlps = 0, n_mixtures = 0;
        for (const Station* station : stations) {
            for (const StreamWrite& write : *station) {
                n_mlps += write.kind == StreamWrite::Kind::mlp;
                n_mixtures += write.kind == StreamWrite::Kind::mlp && write.experts;
            }
        }
        for (const Station* station : stations) {
            for (const StreamWrite& write : *station) {
                if (write.kind == StreamWrite::Kind::attention) {
                    name(write, Component::attn_out, "attention");
                } else if (write.kind == StreamWrite::Kind::mixer) {
                    name(write, Component::mixer_out, "recurrent mixer");
                } else if (write.kind == StreamWrite::Kind::cross) {
                    name(write, Component::cross_attn_out, "attention to the source");
                } else if (write.kind == StreamWrite::Kind::skip) {
                    name(write, Component::skip_out, "earlier stream");
                } else if (write.kind == StreamWrite::Kind::table) {
                    name(write, Component::ple_out, "per-layer embedding");
                } else if (taken.contains(Component::mlp_out) && write.reads.size() > 1 && !write.experts) {
                    // Gated by the stream, but made of the embedding.
                    name(write, Component::ple_out, "per-layer embedding");
                } else {
                    const bool beside = write.experts && n_mlps == 2 && n_mixtures == 1;
                    name(write, beside ? Component::moe_out : Component::mlp_out, "MLP");
                }
            }
        }
        return named_writes;
    }

    /// `point` where it is `station` times one number, which goes to `factor`; else `station`.
    int scaled(int point, int station, double& factor) const {
        double all = 1, by = 1;
        for (int at = point; at != kInput && at != kNone;) {
            if (at == station) {
                factor = all;
                return point;
            }
            int inner = stream_.passes_on(at);
            if (inner == kNone && (inner = stream_.scales(at, &by)) != kNone) all *= by;
            at = inner;
        }
        return station;
    }

    /// `next` is what the next layer reads of the stream, or what the end does.
    void add_block(int layer, const std::vector<const Station*>& stations, int next) {
        const auto writes = name_writes(layer, stations);
        const auto component_of = [&](const StreamWrite& write) {
            return std::find_if(writes.begin(), writes.end(), [&](auto& w) { return w.first == &write; })
                ->second;
        };
        int ln1 = kNone, ln2 = kNone;
        std::vector<SiteSum::Part> parts;
        const std::int64_t n = path_.n_streams;
        const auto site = [&](Component component) { return Site{component, layer}; };
        // Of several streams: the mixture is a sum of what it reads, and what goes on of them another.
        const auto read_mixture = [&](const StreamWrite& write, const Mixing& names) {
            add_row(names.in, layer, write.mixture->node);
            if (write.mixture->weights == kNone) return;
            add(names.pre, layer, write.mixture->weights, {n});
            std::vector<SiteSum::Part> mixed = parts;
            for (SiteSum::Part& part : mixed) part.mix = {site(names.pre), n, 1};
            found_.sums.push_back({site(names.in), std::move(mixed)});
        };
        const auto read_kept = [&](const KeptMixture& mixture, const Mixing& names) {
            const auto n_kept = static_cast<std::int64_t>(mixture.kept.size());
            add_row(names.in, layer, mixture.node);
            add(names.depth, layer, mixture.weights, {n_kept + 1});
            std::vector<SiteSum::Part> mixed = parts;
            for (SiteSum::Part& part : mixed) part.mix = {site(names.depth), 1, 1, n_kept};
            for (std::int64_t k = 0; k < n_kept; ++k) {
                const int kept = mixture.kept[static_cast<std::size_t>(k)];
                const auto whose = entered_.find(kept);
                if (whose == entered_.end())
                    refuse_graph("the stream that is put aside at " + named(kept) + " enters no layer");
                mixed.push_back({whose->second, 1, SiteSum::Mix{site(names.depth), 1, 1, k}});
            }
            found_.sums.push_back({site(names.in), std::move(mixed)});
        };
        const auto deal_out = [&](const StreamWrite& write, const Mixing& names) {
            add(names.post, layer, write.weights, {n});
            parts.back().mix = {site(names.post), 1, n};
            if (write.matrix == kNone) return;
            add(names.comb, layer, write.matrix, {n, n});
            for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
                if (parts[i].mix)
                    refuse_graph("layer " + std::to_string(layer) +
                                 " mixes its streams twice before it reads them, at " + named(write.station));
                parts[i].mix = {site(names.comb), n, n};
            }
        };
        const auto begin = [&](Component stream, int point, double factor) {
            Component component = stream;
            if (is_norm_of_layer(point, layer)) {
                if (ln2 != kNone)
                    refuse_graph("layer " + std::to_string(layer) + " norms the stream more than twice, at " +
                                 named(point));
                component = ln1 == kNone ? Component::ln1 : Component::ln2;
                (ln1 == kNone ? ln1 : ln2) = point;
                add_row(component, layer, point);
                point = below_views(stream_.norms(point));
            }
            if (stream == Component::resid_pre) {
                add_stream(stream, layer, point);
                entered_[point] = site(stream);
            }
            parts = {{Site{component, layer}, factor}};
        };
        begin(Component::resid_pre, stations.front()->front().base, stations.front()->front().factor);
        for (std::size_t i = 0; i < stations.size(); ++i) {
            const Station& station = *stations[i];
            for (const StreamWrite& write : station) {
                const Component component = component_of(write);
                const Mixing& names = write.kind == StreamWrite::Kind::mlp ? kOfMlp : kOfAttention;
                if (write.mixture) read_mixture(write, names);
                if (write.kept) read_kept(*write.kept, names);
                if (write.anew) parts.clear();
                if (write.mixture || n == 1)
                    add_row(component, layer, write.value);
                else
                    add_stream(component, layer, write.value);
                parts.push_back({Site{component, layer}, 1});
                if (write.mixture) deal_out(write, names);
                if (write.kind == StreamWrite::Kind::attention) add_heads(write, Component::z);
                if (write.kind == StreamWrite::Kind::cross) add_heads(write, Component::cross_z);
                add_router(write);
            }
            const bool last = i + 1 == stations.size();
            const int base = last ? next : stations[i + 1]->front().base;
            double factor = 1;
            const int point = scaled(base, station.front().station, factor);
            // Attention to a source follows that to the text: resid_mid is behind both.
            const bool mixes = station.front().kind <= StreamWrite::Kind::cross &&
                               (last || stations[i + 1]->front().kind != StreamWrite::Kind::cross);
            const bool read_on =
                !last && std::any_of(stations[i + 1]->begin(), stations[i + 1]->end(),
                                     [&](const StreamWrite& w) { return w.reads.contains(base); });
            if (last || (mixes && read_on)) {
                const Component stream = last ? Component::resid_post : Component::resid_mid;
                add_stream(stream, layer, point);
                found_.sums.push_back({Site{stream, layer}, parts, factor});
                if (!last) begin(stream, base, stations[i + 1]->front().factor);
            } else if (point != base || factor != 1) {
                refuse_graph("layer " + std::to_string(layer) +
                             " changes the stream between two writes, at " + named(base));
            } else {
                for (SiteSum::Part& part : parts) part.factor *= stations[i + 1]->front().factor;
            }
        }
        // What follows a post-norm block is its own second norm.
        if (is_norm_of_layer(next, layer)) {
            if (ln2 != kNone)
                refuse_graph("layer " + std::to_string(layer) + " norms the stream more than twice, at " +
                             named(next));
            add_row(ln1 == kNone ? Component::ln1 : Component::ln2, layer, next);
            return;
        }
        if (stream_.kind().post_norm) return;
        const auto norm_of = [&](Component component) {
            const auto at = std::find_if(writes.begin(), writes.end(),
                                         [&](const auto& write) { return write.second == component; });
            return at == writes.end() ? kNone : input_norm(*at->first);
        };
        ln1 = norm_of(Component::attn_out);
        if (ln1 == kNone) ln1 = norm_of(Component::mixer_out);
        if (ln1 != kNone) add_row(Component::ln1, layer, ln1);
        if (const int norm = norm_of(Component::cross_attn_out); norm != kNone)
            add_row(Component::cross_ln, layer, norm);
        if (const int norm = norm_of(Component::mlp_out); norm != kNone && norm != ln1)
            add_row(Component::ln2, layer, norm);
    }

    const std::vector<GraphNode>& nodes_;
    std::int64_t d_model_;
    int n_layers_;
    StreamPath path_;
    Stream& stream_;
    FoundSites found_;
    std::map<int, Site> entered_;  // resid_pre of each layer, by node
};

}  // namespace

FoundSites find_sites(const std::vector<GraphNode>& nodes, std::int64_t d_model, int n_layers) {
    return Finder(nodes, d_model, n_layers).find();
}

std::vector<std::vector<std::size_t>> find_parts(const std::vector<SiteNode>& sites,
                                                 const std::vector<SiteSum>& sums) {
    std::vector<std::vector<std::size_t>> parts(sites.size());
    const auto can_be_part = [](const SiteNode& node) { return in_block(node.site.component); };
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const SiteNode& one = sites[i];
        const auto end = sites.begin() + static_cast<std::ptrdiff_t>(i);
        const auto same = std::find_if(sites.begin(), end, [&](const SiteNode& other) {
            return other.node == one.node && other.shape == one.shape && can_be_part(other);
        });
        if (one.node >= 0 && same != end && can_be_part(one))
            parts[i] = {static_cast<std::size_t>(same - sites.begin())};
    }
    const auto index_of = [&](const Site& site) {
        return std::ranges::find(sites, site, &SiteNode::site) - sites.begin();
    };
    for (const SiteSum& sum : sums) {
        const auto whole = static_cast<std::size_t>(index_of(sum.sum));
        if (!parts[whole].empty() || sum.factor != 1 || sum.parts.size() < 2) continue;
        const bool plain = std::ranges::all_of(sum.parts, [&](const SiteSum::Part& part) {
            const SiteNode& site = sites[static_cast<std::size_t>(index_of(part.site))];
            return part.factor == 1 && !part.mix && can_be_part(site) && site.shape == sites[whole].shape;
        });
        if (!plain) continue;
        for (const SiteSum::Part& part : sum.parts)
            parts[whole].push_back(static_cast<std::size_t>(index_of(part.site)));
    }
    return parts;
}

}  // namespace tomograph
