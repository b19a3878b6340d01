#pragma once
#include <optional>
#include <string>
#include <vector>

namespace tomograph {

/// The candidate that `word` was probably meant to be: at most one letter in three is wrong, swapped, missing
/// or too many. Empty where none is so near.
std::optional<std::string> closest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace tomograph
