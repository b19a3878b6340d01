#pragma once
#include <optional>
#include <vector>

#include "tomograph/model/stream.h"

namespace tomograph {

/// What a block reads of the stream and of those that were put aside: a sum by weights that are a softmax.
struct KeptMixture {
    int node = -1;
    std::vector<int> kept;  ///< streams that were put aside, in order
    int stream = -1;        ///< the one that goes on
    int weights = -1;       ///< of the kept ones in order, and of that one
};

/// Attention residuals: now and then the stream is put aside, and what a block writes begins another. Blocks
/// read all that were put aside besides the one that goes on. The mixtures, in the graph's order; empty where
/// there are none.
std::vector<KeptMixture> find_kept_mixtures(const Stream& stream, std::int64_t d_model);

}  // namespace tomograph
