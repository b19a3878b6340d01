#include "tomograph/model/several_streams.h"

#include <algorithm>
#include <set>
#include <utility>

namespace tomograph {
namespace {

using Op = GraphNode::Op;
constexpr int kNone = Stream::kNone;

class Finder {
  public:
    Finder(const Stream& stream, std::int64_t d_model) : stream_(stream), d_model_(d_model) {}

    std::optional<SeveralStreams> find() {
        for (int i = 0; i < stream_.size(); ++i) {
            if (!node(i).computed) continue;
            if (found_.n == 0) {
                begin(i);
            } else if (const auto deal = dealt(i)) {
                streams_.insert(i);
                found_.deals.push_back(*deal);
            } else if (const auto mixture = mixed(i)) {
                found_.mixtures.push_back(*mixture);
            }
        }
        if (found_.deals.empty()) return std::nullopt;
        return std::move(found_);
    }

  private:
    const GraphNode& node(int index) const { return stream_.node(index); }
    int below(const GraphNode::Source& source) const {
        return source.node >= 0 ? stream_.below_views(source.node) : kNone;
    }
    bool is_streams(int index) const { return streams_.contains(index); }
    /// As all streams together: [d_model, n, n_tokens].
    bool is_wide(int index) const {
        const auto& shape = node(index).shape;
        return shape[0] == d_model_ && shape[1] == found_.n && shape[2] == n_tokens_;
    }
    /// As one of them, [d_model, n_tokens] or [d_model, 1, n_tokens].
    bool is_row(int index) const {
        const auto& shape = node(index).shape;
        return shape[0] == d_model_ && shape[1] * shape[2] == n_tokens_;
    }

    void begin(int index) {
        const GraphNode& n = node(index);
        if (n.kind != "REPEAT" || n.shape[0] != d_model_ || n.shape[1] < 2) return;
        if (n.sources[0].node < 0 || !stream_.is_stem(n.sources[0].node)) return;
        found_.n = n.shape[1];
        found_.begin = index;
        n_tokens_ = n.shape[2];
        streams_.insert(index);
    }

    std::optional<StreamDeal> dealt(int index) const {
        const GraphNode& n = node(index);
        if (n.kind == "DSV4_HC_POST") {
            const int before = below(n.sources[1]);
            if (!is_streams(before)) return std::nullopt;
            return StreamDeal{index, before, n.sources[0].node, below(n.sources[2]),
                              n.sources.size() > 3 ? below(n.sources[3]) : kNone};
        }
        if (!is_wide(index)) return std::nullopt;
        return n.op == Op::add ? added(index) : n.kind == "CONCAT" ? joined(index) : std::nullopt;
    }

    /// All streams plus something: one value repeated, times a weight for each, or their own parts.
    std::optional<StreamDeal> added(int index) const {
        const GraphNode& n = node(index);
        for (std::size_t side = 0; side < 2; ++side) {
            const int before = below(n.sources[side]), value = n.sources[1 - side].node;
            if (!is_streams(before) || value < 0) continue;
            const GraphNode& product = node(stream_.below_views(value));
            for (std::size_t one = 0; product.op == Op::mul && one < 2; ++one) {
                const int repeated = below(product.sources[one]);
                if (repeated < 0 || node(repeated).kind != "REPEAT") continue;
                return StreamDeal{index, before, below(node(repeated).sources[0]),
                                  below(product.sources[1 - one])};
            }
            return StreamDeal{index, before, value};
        }
        return std::nullopt;
    }

    /// The streams one after the other, each a sum of products.
    std::optional<StreamDeal> joined(int index) const {
        std::vector<int> pieces;
        split(index, [](const GraphNode& n) { return n.kind == "CONCAT"; }, pieces);
        if (std::ssize(pieces) != found_.n) return std::nullopt;
        StreamDeal deal{.node = index};
        const auto agree = [](int& known, int seen) {
            if (known < 0) known = seen;
            return known == seen;
        };
        for (const int piece : pieces) {
            std::vector<int> terms;
            split(piece, [](const GraphNode& n) { return n.op == Op::add; }, terms);
            for (const int term : terms) {
                if (is_streams(term)) {
                    if (!agree(deal.before, term)) return std::nullopt;
                    continue;
                }
                const GraphNode& n = node(term);
                if (n.op != Op::mul || n.sources.size() < 2) return std::nullopt;
                const int whole = below(n.sources[0]), weight = below(n.sources[1]);
                const bool good = is_streams(whole) ? agree(deal.before, whole) && agree(deal.matrix, weight)
                                                    : agree(deal.value, whole) && agree(deal.weights, weight);
                if (!good) return std::nullopt;
            }
        }
        if (deal.before < 0 || deal.value < 0 || deal.weights < 0) return std::nullopt;
        return deal;
    }

    /// What a tree of nodes of one kind puts together, under views, in order.
    void split(int index, bool (*is_inner)(const GraphNode&), std::vector<int>& leaves) const {
        const int at = stream_.below_views(index);
        if (at < 0) return;
        const GraphNode& n = node(at);
        const bool inner = is_inner(n) && !is_streams(at) && n.sources[0].node >= 0 && n.sources[1].node >= 0;
        if (!inner) {
            leaves.push_back(at);
            return;
        }
        for (std::size_t side = 0; side < 2; ++side) split(n.sources[side].node, is_inner, leaves);
    }

    std::optional<StreamMixture> mixed(int index) const {
        const GraphNode& n = node(index);
        if (n.kind == "DSV4_HC_PRE") {
            const int whole = below(n.sources[0]);
            if (is_streams(whole)) return StreamMixture{index, whole, below(n.sources[1])};
            // Gated: each stream is normed by itself first.
            if (whole < 0 || node(whole).op != Op::mul) return std::nullopt;
            const int norm = node(whole).sources[0].node;
            if (norm < 0 || node(norm).op != Op::norm) return std::nullopt;
            const int streams = below(node(norm).sources[0]);
            return is_streams(streams) ? std::optional(StreamMixture{index, streams}) : std::nullopt;
        }
        if (n.op != Op::add || !is_row(index)) return std::nullopt;
        std::vector<int> terms;
        split(index, [](const GraphNode& inner) { return inner.op == Op::add; }, terms);
        if (std::ssize(terms) != found_.n) return std::nullopt;
        StreamMixture mixture{.node = index};
        for (const int term : terms) {
            const GraphNode& product = node(term);
            if (product.op != Op::mul || product.sources.size() < 2) return std::nullopt;
            const int streams = below(product.sources[0]), weights = below(product.sources[1]);
            if (mixture.streams < 0) mixture.streams = streams, mixture.weights = weights;
            if (!is_streams(streams) || streams != mixture.streams || weights != mixture.weights)
                return std::nullopt;
        }
        return mixture;
    }

    const Stream& stream_;
    std::int64_t d_model_, n_tokens_ = 0;
    std::set<int> streams_;
    SeveralStreams found_;
};

}  // namespace

std::optional<SeveralStreams> find_several_streams(const Stream& stream, std::int64_t d_model) {
    return Finder(stream, d_model).find();
}

}  // namespace tomograph
