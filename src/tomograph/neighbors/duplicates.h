#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tomograph {

/// Rows that are equal, bit for bit, after preparation. Distinct rows are numbered in order of first
/// appearance.
struct Duplicates {
    std::vector<std::int32_t> distinct_of;   // [n] row -> distinct row
    std::vector<std::int32_t> first_member;  // [n_distinct + 1] into `members`
    std::vector<std::int32_t> members;       // [n] rows, grouped by distinct row, ascending

    std::int64_t n_distinct() const { return static_cast<std::int64_t>(first_member.size()) - 1; }
    std::int64_t group_size(std::int64_t distinct) const {
        return first_member[distinct + 1] - first_member[distinct];
    }
    std::span<const std::int32_t> group(std::int64_t distinct) const {
        return {members.data() + first_member[distinct], static_cast<std::size_t>(group_size(distinct))};
    }
    /// The first row of a group.
    std::int32_t representative(std::int64_t distinct) const { return members[first_member[distinct]]; }
};

/// 128 bits of a row; equal hashes are taken for equal rows.
struct RowHash {
    std::uint64_t a = 0, b = 0;
    auto operator<=>(const RowHash&) const = default;
};
RowHash hash_row(const float* row, std::int64_t width);

Duplicates group_duplicates(const std::vector<RowHash>& hashes);

/// Up to `count` members of a group, chosen and ordered by `key`, leaving out row `self` (-1: nobody): a
/// different choice for each key, without repeats.
void choose_members(const Duplicates& duplicates, std::int64_t distinct, std::int32_t self, std::uint64_t key,
                    std::int64_t count, std::vector<std::int32_t>& out);

}  // namespace tomograph
