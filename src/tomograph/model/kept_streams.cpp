#include "tomograph/model/kept_streams.h"

#include <algorithm>

namespace tomograph {
namespace {

using Op = GraphNode::Op;
constexpr int kNone = Stream::kNone;

int below(const Stream& stream, const GraphNode::Source& source) {
    if (source.node >= 0) return stream.below_views(source.node);
    return stream.is_input_vectors(source) ? Stream::kInput : kNone;
}

/// The streams that stand one after the other in `stack`.
void unstack(const Stream& stream, int stack, std::vector<int>& kept) {
    // The embedding itself, not how it is laid out to be put aside.
    while (stack >= 0 && stream.is_stem(stack) && stream.node(stack).op == Op::view)
        stack = below(stream, stream.node(stack).sources[0]);
    if (stack < 0 || stream.is_stem(stack) || stream.node(stack).kind != "CONCAT") {
        kept.push_back(stack);
        return;
    }
    for (const GraphNode::Source& part : stream.node(stack).sources)
        unstack(stream, below(stream, part), kept);
}

/// `sum` adds a mixture of kept streams, one of its operands, and a product of the stream.
std::optional<KeptMixture> mixture_of(const Stream& stream, int sum, std::size_t side) {
    const GraphNode& n = stream.node(sum);
    const int kept = n.sources[side].node, product = n.sources[1 - side].node;
    if (kept < 0 || product < 0 || stream.node(kept).kind != "DSV4_HC_PRE") return std::nullopt;
    const GraphNode& times = stream.node(product);
    if (times.op != Op::mul || times.sources.size() < 2) return std::nullopt;
    KeptMixture mixture{.node = sum,
                        .kept = {},
                        .stream = below(stream, times.sources[0]),
                        .weights = below(stream, stream.node(kept).sources[1])};
    unstack(stream, below(stream, stream.node(kept).sources[0]), mixture.kept);
    const bool one_softmax =
        mixture.weights >= 0 && below(stream, times.sources[1]) == mixture.weights &&
        stream.node(mixture.weights).shape[0] == static_cast<std::int64_t>(mixture.kept.size()) + 1;
    return one_softmax && mixture.stream >= 0 ? std::optional(mixture) : std::nullopt;
}

}  // namespace

std::vector<KeptMixture> find_kept_mixtures(const Stream& stream, std::int64_t d_model) {
    std::vector<KeptMixture> mixtures;
    for (int i = 0; i < stream.size(); ++i) {
        const GraphNode& n = stream.node(i);
        if (!n.computed || n.op != Op::add || n.shape[0] != d_model) continue;
        for (const std::size_t side : {0U, 1U}) {
            if (const auto mixture = mixture_of(stream, i, side)) mixtures.push_back(*mixture);
        }
    }
    return mixtures;
}

}  // namespace tomograph
