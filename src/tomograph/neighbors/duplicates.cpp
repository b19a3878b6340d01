#include "tomograph/neighbors/duplicates.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "tomograph/base/random.h"

namespace tomograph {

RowHash hash_row(const float* row, std::int64_t width) {
    // Four independent chains of multiply and rotate over 8 bytes each; width is a multiple of 16.
    constexpr std::uint64_t factor = 0x9fb21c651e98df25ULL;
    std::uint64_t chain[4] = {1, 2, 3, 4};
    for (std::int64_t t = 0; t + 8 <= width; t += 8) {
        for (int c = 0; c < 4; ++c) {
            // + 0.0f turns -0 into 0.
            const std::uint64_t low = std::bit_cast<std::uint32_t>(row[t + 2 * c] + 0.0f);
            const std::uint64_t high = std::bit_cast<std::uint32_t>(row[t + 2 * c + 1] + 0.0f);
            chain[c] = std::rotl((chain[c] ^ (low | high << 32)) * factor, 29);
        }
    }
    return {mix(mix(chain[0], chain[1]), mix(chain[2], chain[3])),
            mix(chain[3] + chain[1], chain[2] ^ chain[0])};
}

Duplicates group_duplicates(const std::vector<RowHash>& hashes) {
    const auto n = static_cast<std::int64_t>(hashes.size());
    std::vector<std::int32_t> by_hash(n);
    std::iota(by_hash.begin(), by_hash.end(), 0);
    std::sort(by_hash.begin(), by_hash.end(), [&](std::int32_t x, std::int32_t y) {
        return hashes[x] != hashes[y] ? hashes[x] < hashes[y] : x < y;
    });
    std::vector<std::int32_t> first_of(n);
    for (std::int64_t i = 0; i < n; ++i) {
        const bool same = i > 0 && hashes[by_hash[i]] == hashes[by_hash[i - 1]];
        first_of[by_hash[i]] = same ? first_of[by_hash[i - 1]] : by_hash[i];
    }
    Duplicates result;
    result.distinct_of.resize(n);
    std::vector<std::int32_t> sizes;
    for (std::int64_t row = 0; row < n; ++row) {
        if (first_of[row] == row) {
            result.distinct_of[row] = static_cast<std::int32_t>(sizes.size());
            sizes.push_back(0);
        } else {
            result.distinct_of[row] = result.distinct_of[first_of[row]];
        }
        ++sizes[result.distinct_of[row]];
    }
    result.first_member.assign(sizes.size() + 1, 0);
    std::partial_sum(sizes.begin(), sizes.end(), result.first_member.begin() + 1);
    result.members.resize(n);
    auto next = result.first_member;
    for (std::int64_t row = 0; row < n; ++row) {
        result.members[next[result.distinct_of[row]]++] = static_cast<std::int32_t>(row);
    }
    return result;
}

void choose_members(const Duplicates& duplicates, std::int64_t distinct, std::int32_t self, std::uint64_t key,
                    std::int64_t count, std::vector<std::int32_t>& out) {
    const std::int64_t size = duplicates.group_size(distinct);
    const std::int32_t* members = duplicates.members.data() + duplicates.first_member[distinct];
    if (size == 1) {
        if (members[0] != self && count > 0) out.push_back(members[0]);
        return;
    }
    // Start anywhere and walk by a step that shares no factor with the size: every member comes once.
    auto step = static_cast<std::int64_t>(1 + mix(key, 1) % static_cast<std::uint64_t>(size - 1));
    while (std::gcd(step, size) != 1) step = step % (size - 1) + 1;
    auto at = static_cast<std::int64_t>(mix(key, 2) % static_cast<std::uint64_t>(size));
    for (std::int64_t visited = 0; visited < size && count > 0; ++visited, at = (at + step) % size) {
        if (members[at] == self) continue;
        out.push_back(members[at]);
        --count;
    }
}

}  // namespace tomograph
