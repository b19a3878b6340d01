#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/select/selection.h"

namespace tomograph {

/// A selection as people write it: the command line's flags, Python's keywords.
struct SelectionWords {
    std::string components, layers = ":", positions = ":", sequences = ":", normalize = "none", mean,
                            layer_order = "given";
    std::vector<std::string> labels, where;
    std::int64_t rows = 0;
    std::uint64_t seed = 42;

    /// Errors: Error for an unknown word or a broken range.
    Selection selection() const;
};

}  // namespace tomograph
