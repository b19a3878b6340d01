#include "tomograph/model/stream_path.h"

#include <algorithm>
#include <map>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

using Op = GraphNode::Op;
constexpr int kInput = Stream::kInput;
constexpr int kNone = Stream::kNone;

class Follower {
  public:
    Follower(const std::vector<GraphNode>& nodes, std::int64_t d_model)
        : nodes_(nodes), d_model_(d_model), path_{Stream(nodes, d_model, {})} {}

    StreamPath follow() {
        if (const auto several = find_several_streams(path_.stream, d_model_)) {
            take_up(*several);
        } else if (const auto kept = find_kept_mixtures(path_.stream, d_model_); !kept.empty()) {
            take_up(kept);
        } else {
            find_end();
            walk_back();
            for (Station& station : path_.stations) split(station);
        }
        number_layers();
        for (Station& station : path_.stations) find_base(station);
        return std::move(path_);
    }

  private:
    const GraphNode& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }
    std::string named(int index) const { return "'" + node(index).name + "'"; }

    /// The last norm that reads the stream behind its stem; -1 where there is none.
    int last_norm() {
        for (int i = path_.stream.size() - 1; i >= 0; --i) {
            const GraphNode& n = node(i);
            if (n.op != Op::norm || n.shape[0] != d_model_ || n.sources[0].node < 0) continue;
            if (path_.stream.is_stream(n.sources[0].node) && !path_.stream.is_stem(n.sources[0].node))
                return i;
        }
        return -1;
    }

    /// Is the norm's output added to again? Then it is on the stream itself.
    bool goes_on(int norm) const {
        const int output = path_.stream.norm_output(norm);
        for (int i = output + 1; i < path_.stream.size(); ++i) {
            if (node(i).op != Op::add || node(i).shape[0] != d_model_) continue;
            for (const auto& source : node(i).sources) {
                int at = source.node;
                while (at > output && path_.stream.passes_on(at) >= 0) at = path_.stream.passes_on(at);
                if (at == output) return true;
            }
        }
        return false;
    }

    /// Is the stream added to behind the norm? Then that is a block's own, and what ends the stream is not
    /// seen.
    bool is_passed(int norm) {
        for (int i = norm + 1; i < path_.stream.size(); ++i) {
            if (node(i).computed && node(i).op == Op::add && path_.stream.is_stream(i)) return true;
        }
        return false;
    }

    void find_end() {
        for (const int norms : {0, 1}) {
            path_.stream = Stream(nodes_, d_model_, {.stem_norms = norms});
            path_.final_norm = last_norm();
            if (path_.final_norm >= 0 && (goes_on(path_.final_norm) || is_passed(path_.final_norm)))
                path_.final_norm = -1;
            if (path_.final_norm >= 0) break;
        }
        if (path_.final_norm >= 0) {
            path_.end = node(path_.final_norm).sources[0].node;
        } else {
            Stream plain = path_.stream;
            path_.stream = Stream(nodes_, d_model_, {.stem_norms = 1, .post_norm = true});
            path_.end = kNone;
            for (int i = 0; i < path_.stream.size(); ++i) {
                if (node(i).computed && path_.stream.is_stream(i) && !path_.stream.is_stem(i)) path_.end = i;
            }
            const int last = path_.end == kNone ? kNone : path_.stream.station_below(path_.end);
            if (last == kNone || last == kInput || path_.stream.is_stem(last) ||
                path_.stream.norms(below_views(path_.end)) == kNone)
                refuse_graph("no norm reads a stream that began at the embedding: " + plain.last_seen());
        }
    }

    void walk_back() {
        int at = path_.end;
        while (at != kInput && !path_.stream.is_stem(at)) {
            if (const int inner = path_.stream.goes_through(at); inner != kNone) {
                at = inner;
                continue;
            }
            const int side = path_.stream.stream_operand(at);
            const auto& sources = node(at).sources;
            StreamWrite write;
            write.station = at;
            write.operand = sources[static_cast<std::size_t>(side)].node;
            write.value = sources[static_cast<std::size_t>(1 - side)].node;
            path_.stations.push_back({write});
            at = write.operand;
        }
        path_.stem = at;
        std::reverse(path_.stations.begin(), path_.stations.end());
    }

    /// The stations of several streams: what is dealt out to them, one after the other.
    void take_up(const SeveralStreams& several) {
        Stream::Kind kind{.several = {several.begin}};
        for (const StreamDeal& deal : several.deals) kind.several.insert(deal.node);
        for (const StreamMixture& mixture : several.mixtures) kind.several.insert(mixture.node);
        path_.stream = Stream(nodes_, d_model_, std::move(kind));
        path_.n_streams = several.n;
        path_.stem = node(several.begin).sources[0].node;
        for (const StreamDeal& deal : several.deals) {
            StreamWrite write{.station = deal.node,
                              .operand = deal.before,
                              .value = deal.value,
                              .weights = deal.weights,
                              .matrix = deal.matrix};
            const bool reads_table = describe(write).table;
            if (deal.weights != kNone) {
                write.mixture = mixture_of(several, write);
            } else if (write.kind == StreamWrite::Kind::mlp && reads_table) {
                write.kind = StreamWrite::Kind::table;
            } else {
                refuse_graph("what is added at " + named(deal.node) +
                             " to several streams is not dealt out to them");
            }
            write.reads = {deal.before};
            path_.stations.push_back({write});
        }
        path_.end = several.deals.back().node;
        find_end_of_several();
    }

    StreamMixture mixture_of(const SeveralStreams& several, const StreamWrite& write) const {
        const auto read = std::ranges::find_if(
            several.mixtures.rbegin(), several.mixtures.rend(), [&](const StreamMixture& mixture) {
                return mixture.streams == write.operand && write.reads.contains(mixture.node);
            });
        if (read == several.mixtures.rend())
            refuse_graph("what is dealt out at " + named(write.station) +
                         " reads no mixture of the several streams before it");
        return *read;
    }

    /// Behind the last block a norm reads a mixture of the streams, or that is itself what ends.
    void find_end_of_several() {
        const std::int64_t n_tokens = node(path_.end).shape[2];
        for (int i = path_.stream.size() - 1; i > path_.end && path_.final_norm < 0; --i) {
            const GraphNode& n = node(i);
            const bool of_one = n.shape[0] == d_model_ && n.shape[1] * n.shape[2] == n_tokens;
            if (n.op == Op::norm && of_one) path_.final_norm = i;
            if (n.op == Op::mul_mat && n.sources[0].weight && path_.head == kNone)
                path_.head = n.sources[1].node;
        }
    }

    /// From one mixture to the next the stream is added to once, or put aside and begun anew.
    void take_up(const std::vector<KeptMixture>& mixtures) {
        Stream::Kind kind;
        for (const KeptMixture& mixture : mixtures) kind.several.insert({mixture.node, mixture.stream});
        path_.stream = Stream(nodes_, d_model_, std::move(kind));
        path_.stem = mixtures.front().kept.front();
        if (!path_.stream.is_stem(path_.stem))
            refuse_graph("what is put aside first is not the embedding, but " + named(path_.stem));
        int before = path_.stem;
        std::optional<KeptMixture> read;
        for (const KeptMixture& next : mixtures) {
            StreamWrite write{.station = next.stream, .operand = before, .value = next.stream, .kept = read};
            const GraphNode& n = node(next.stream);
            for (std::size_t side = 0; n.op == Op::add && side < 2; ++side) {
                if (n.sources[side].node >= 0 && below_views(n.sources[side].node) == before)
                    write.value = n.sources[1 - side].node;
            }
            write.anew = write.value == next.stream;
            if (write.anew && std::ranges::find(next.kept, before) == next.kept.end())
                refuse_graph("the stream begins anew at " + named(next.stream) +
                             ", and the one before is not put aside");
            describe(write);
            if (read && !write.reads.contains(read->node))
                refuse_graph("what is added at " + named(next.stream) +
                             " reads no mixture of earlier streams");
            write.reads = {before};
            path_.stations.push_back({write});
            before = next.stream;
            read = next;
        }
        path_.end = before;
        for (int i = mixtures.back().node; i < path_.stream.size(); ++i) {
            if (node(i).op == Op::norm && node(i).shape[0] == d_model_) path_.final_norm = i;
        }
    }

    int below_views(int at) const { return path_.stream.below_views(at); }

    /// What the write is made of, to it; and all that was found, unless it is an earlier stream.
    Stream::Ancestors describe(StreamWrite& write) {
        if (!write.anew && path_.stream.is_stream(write.value)) {
            write.kind = StreamWrite::Kind::skip;
            write.reads = {below_views(write.value)};
            return {};
        }
        Stream::Ancestors a = path_.stream.ancestors(write.value);
        write.reads = a.reads;
        write.experts = a.experts;
        write.kind = a.source      ? StreamWrite::Kind::cross
                     : a.attention ? StreamWrite::Kind::attention
                     : a.recurrent ? StreamWrite::Kind::mixer
                                   : StreamWrite::Kind::mlp;
        return a;
    }

    /// Blocks may add attention, mixer and MLP first and the stream afterwards: take such a sum apart.
    void split(Station& station) {
        Station single;
        for (StreamWrite& write : station) {
            describe(write);
            const GraphNode& value = node(write.value);
            const bool sum = value.op == Op::add && value.sources[0].node >= 0 && value.sources[1].node >= 0;
            if (sum && write.kind != StreamWrite::Kind::skip) {
                Station sides{write, write};
                for (std::size_t side = 0; side < 2; ++side) {
                    sides[side].value = value.sources[side].node;
                    describe(sides[side]);
                }
                const bool of_stream =
                    sides[0].kind == StreamWrite::Kind::skip || sides[1].kind == StreamWrite::Kind::skip;
                if (sides[0].kind != sides[1].kind && !of_stream) {
                    split(sides);
                    std::sort(sides.begin(), sides.end(), [](const StreamWrite& a, const StreamWrite& b) {
                        return std::pair(a.kind, a.value) < std::pair(b.kind, b.value);
                    });
                    single.insert(single.end(), sides.begin(), sides.end());
                    continue;
                }
            }
            single.push_back(write);
        }
        station = std::move(single);
    }

    void number_layers() {
        int previous = -1;
        for (Station& station : path_.stations) {
            for (StreamWrite& write : station) {
                std::map<int, int> votes;
                if (write.kind == StreamWrite::Kind::skip) {
                    votes[layer_of_name(node(write.value).name).value_or(previous)] = 1;
                } else {
                    // What is computed before the stream that it reads last may be an earlier layer's (RWKV 7
                    // takes values of the first).
                    const std::vector<int> nodes = path_.stream.ancestors(write.value).nodes;
                    const int latest = write.reads.empty() ? kInput : *write.reads.rbegin();
                    for (const int after : {latest, kInput}) {
                        for (const int index : nodes) {
                            const auto layer = layer_of_name(node(index).name);
                            if (layer && index > after) ++votes[*layer];
                        }
                        if (!votes.empty()) break;
                    }
                }
                if (votes.empty())
                    refuse_graph("the block that ends at " + named(write.station) + " has no layer number");
                write.layer = std::max_element(votes.begin(), votes.end(), [](auto& x, auto& y) {
                                  return x.second < y.second;
                              })->first;
                if (write.layer < previous)
                    refuse_graph("layer " + std::to_string(write.layer) + " writes at " +
                                 named(write.station) + " after layer " + std::to_string(previous) +
                                 looped(nodes_));
                if (write.layer < 0)
                    refuse_graph("what is added at " + named(write.station) + " has no layer number");
                previous = write.layer;
            }
        }
    }

    void find_base(Station& station) {
        std::set<int> reads;
        for (const StreamWrite& write : station) reads.insert(write.reads.begin(), write.reads.end());
        double factor = 1, by = 1;
        int at = below_views(station.front().operand);
        // A stream that only the addition reads multiplied; what the block reads so, is the stream.
        while (at != kInput && !path_.stream.is_stem(at) && !reads.contains(at)) {
            const int inner = path_.stream.scales(at, &by);
            if (inner == kNone) break;
            factor *= by;
            at = below_views(inner);
        }
        for (StreamWrite& write : station) write.base = at, write.factor = factor;
    }

    const std::vector<GraphNode>& nodes_;
    std::int64_t d_model_;
    StreamPath path_;
};

}  // namespace

StreamPath follow_stream(const std::vector<GraphNode>& nodes, std::int64_t d_model) {
    return Follower(nodes, d_model).follow();
}

std::string looped(const std::vector<GraphNode>& nodes) {
    std::map<std::string, int> user;
    for (const GraphNode& n : nodes) {
        const auto layer = layer_of_name(n.name);
        if (!layer) continue;
        for (const auto& source : n.sources) {
            if (!source.weight || !layer_of_weight(source.leaf)) continue;
            const auto [known, is_new] = user.emplace(source.leaf, *layer);
            if (!is_new && known->second != *layer)
                return ": its layers are run more than once (" + source.leaf + " in rounds " +
                       std::to_string(known->second) + " and " + std::to_string(*layer) + ")";
        }
    }
    return "";
}

void refuse_graph(const std::string& why) {
    throw Error("cannot find the residual stream of this model", why,
                "only models whose blocks add to one stream can be recorded");
}

}  // namespace tomograph
