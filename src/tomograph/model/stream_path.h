#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tomograph/model/graph.h"
#include "tomograph/model/kept_streams.h"
#include "tomograph/model/several_streams.h"
#include "tomograph/model/stream.h"

namespace tomograph {

/// Something that was added to the stream.
struct StreamWrite {
    enum class Kind { attention, mixer, cross, mlp, skip, table };
    int station = -1;  ///< the ADD that carries the stream on
    int operand = -1;  ///< the stream as that ADD reads it
    int value = -1;    ///< the node that was added
    Kind kind = Kind::mlp;
    bool experts = false;
    int layer = -1;
    std::set<int> reads;  ///< stream nodes that its computation starts from
    /// station = factor x base + value, with the values of the writes that share the station.
    int base = -1;
    double factor = 1;
    /// Of several streams: what the block reads of them, and by what the value is dealt out.
    std::optional<StreamMixture> mixture = {};
    int weights = Stream::kNone;  ///< of the value, in each stream; kNone: the value is as wide as all
    int matrix = Stream::kNone;   ///< of each stream before, in each after; kNone: each goes on as itself
    /// Where streams are put aside: what the block reads of them, and whether its value begins another.
    std::optional<KeptMixture> kept = {};
    bool anew = false;
};

/// Writes that one ADD carries on, in the order of its operands.
using Station = std::vector<StreamWrite>;

/// The stream from the embedding to the end, with all that is added on the way.
struct StreamPath {
    Stream stream;
    int stem = Stream::kInput;      ///< where the first block begins
    std::vector<Station> stations;  ///< in the graph's order
    int final_norm = -1;            ///< -1: the stream ends normed
    int end = Stream::kNone;        ///< where the last norm reads the stream, or the stream's last node
    std::int64_t n_streams = 1;
    /// What the product with the vocabulary reads, where no norm ends several streams.
    int head = Stream::kNone;
};

/// Errors: Error where no stream can be followed, or a write belongs to no layer.
StreamPath follow_stream(const std::vector<GraphNode>& nodes, std::int64_t d_model);

/// ": its layers are run more than once (…)" where weights of one layer are used under the numbers of
/// several; else empty.
std::string looped(const std::vector<GraphNode>& nodes);
/// As an Error about the whole model. `why` names the node where it was lost.
[[noreturn]] void refuse_graph(const std::string& why);

}  // namespace tomograph
