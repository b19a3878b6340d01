#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/store/layout.h"

/// Questions to a plan.json. For the store room's own use.
namespace tomograph {

/// "capture.seed was 42 and is 43, labels.0 is new (...)", three fields at most and how many more; "" where
/// nothing differs but what stands at one of the `ignored` JSON pointers.
std::string differences_of(const Json& earlier, const Json& now,
                           const std::vector<std::string_view>& ignored);

/// Shards of one part of a capture, [begin, end).
struct PartShards {
    std::size_t begin = 0, end = 0;
    std::size_t size() const { return end - begin; }
};
/// Of each part of the capture, in order; a capture that was not split is one part. A part may have none.
/// Errors: JSON's own; JsonError where the parts do not tile the shards.
std::vector<PartShards> part_shards(const Json& plan);

}  // namespace tomograph
