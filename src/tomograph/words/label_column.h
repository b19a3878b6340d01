#pragma once
#include <string>
#include <vector>

namespace tomograph {

/// A further column of labels of a run's tokens: who says a token, in which turn, what kind of token it is.
struct LabelColumn {
    std::string name;                     ///< for example "role"
    std::vector<std::string> words = {};  ///< what its numbers index; empty: they are numbers themselves

    bool counts() const { return words.empty(); }
    bool operator==(const LabelColumn&) const = default;
};

}  // namespace tomograph
