#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "tomograph/model/stream.h"

namespace tomograph {

/// What a block reads where there are several streams: a sum of them.
struct StreamMixture {
    int node = -1;
    int streams = -1;             ///< the node that it mixes
    int weights = Stream::kNone;  ///< of each stream; kNone: of each of its values (gated)
};

/// What a block wrote, dealt out to several streams: each after is the sum of those before, times `matrix`,
/// and of the value, times its `weights`.
struct StreamDeal {
    int node = -1;    ///< the streams after
    int before = -1;  ///< the streams before
    int value = -1;
    int weights = Stream::kNone;  ///< kNone: the value is as wide as all streams, and each gets its own part
    int matrix = Stream::kNone;   ///< kNone: each stream goes on as itself
};

/// Hyper-connections: the embedding is repeated, and from there on there are several streams side by side.
struct SeveralStreams {
    std::int64_t n = 0;
    int begin = -1;  ///< the repeated embedding
    std::vector<StreamDeal> deals;
    std::vector<StreamMixture> mixtures;
};

/// In the graph's order. Empty where the embedding becomes one stream. llama.cpp has operations of its own
/// for mixing and dealing out, and writes both as sums of products where a device has none or a model wants
/// it so.
std::optional<SeveralStreams> find_several_streams(const Stream& stream, std::int64_t d_model);

}  // namespace tomograph
