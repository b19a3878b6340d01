#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tomograph/exchange/array.h"
#include "tomograph/words/site.h"

namespace tomograph {

struct NetworkOrder {
    bool operator()(const Site& a, const Site& b) const { return network_order(a, b); }
};

/// Vectors of one site: the first `row_axes` axes of the array number the rows.
struct SiteArray {
    ForeignArray array;
    std::size_t row_axes = 1;
    std::string from;  ///< file, and tensor in it, for messages

    std::int64_t n_rows() const { return array.n_rows(row_axes); }
    std::vector<std::int64_t> row_shape() const {
        const auto shape = array.shape();
        return {shape.begin() + static_cast<std::ptrdiff_t>(row_axes), shape.end()};
    }
};

/// What one file, or several that share their rows, gives: a vector a row for every site.
struct ImportPart {
    std::map<Site, SiteArray, NetworkOrder> sites;
    std::int64_t n_sequences = 1, length = 0;  ///< rows are n_sequences times length, sequence by sequence
    std::vector<std::int64_t> token_ids;       ///< a row; empty: none were kept
};

struct SourceOptions {
    /// Where a file is filed that does not name its sites.
    std::optional<Site> site;
    /// Which hidden states a tensor of several layers holds, K being the stream after K blocks; empty: 1, 2,
    /// 3 …
    std::vector<int> layers;
};

/// Read a .npy file ([n, d] or [sequence, position, d]; [n, heads, d_head] or [sequence, position, heads,
/// d_head] for z) or a safetensors file of one tensor a site (see foreign_site()), or of all layers in one,
/// as vLLM writes it: "hidden_states" [n, layers, d] beside "token_ids" [n], or a control vector of llama.cpp
/// (.gguf). `notes` says what was assumed
/// and what was not read. Errors: Error that names what the file holds, with the mend.
ImportPart read_part(const std::filesystem::path& file, const SourceOptions& options,
                     std::vector<std::string>& notes);

/// The same of several files, one a site. Errors: also where their rows are not the same in number.
ImportPart read_named_part(const std::vector<std::pair<Site, std::filesystem::path>>& files,
                           std::vector<std::string>& notes);

}  // namespace tomograph
