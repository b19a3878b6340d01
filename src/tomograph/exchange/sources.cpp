#include "tomograph/exchange/sources.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <tuple>

#include "tomograph/base/error.h"
#include "tomograph/exchange/control_vector.h"
#include "tomograph/exchange/foreign_site.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLayers = 32'767;  // as a run
constexpr std::size_t kNamesInANote = 8;

bool is_npy(const fs::path& file) {
    if (file.extension() == ".npy") return true;
    if (file.extension() == ".safetensors") return false;
    const MappedFile bytes(file);
    return bytes.bytes().size() >= 6 && std::memcmp(bytes.bytes().data(), "\x93NUMPY", 6) == 0;
}

std::string listed(const std::vector<std::string>& names) {
    const std::vector<std::string> first(
        names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesInANote)));
    std::string text = fmt::format("{}", fmt::join(first, ", "));
    if (names.size() > first.size()) text += fmt::format(" and {} more", names.size() - first.size());
    return text;
}

/// Which axes of a site's array number its rows.
SiteArray as_rows(const Site& site, ForeignArray array, const std::string& from) {
    const auto shape = array.shape();
    const bool heads = site.component == Component::z;
    const auto refuse = [&](const std::string& why, const std::string& mend) {
        throw Error(from + " cannot be imported", why, mend);
    };
    if (std::ranges::count(shape, 0) > 0) refuse("it is empty", "");
    if (shape.size() < 2 || shape.size() > (heads ? 4u : 3u))
        refuse(fmt::format("it has the shape [{}]", fmt::join(shape, ", ")),
               heads ? "give [n, heads, d_head] or [sequence, position, heads, d_head]"
                     : "give [n, d] or [sequence, position, d]");
    const std::size_t row_axes = heads && shape.size() > 2 ? shape.size() - 2 : shape.size() - 1;
    return {std::move(array), row_axes, from};
}

/// Adds a site; its rows must be those of the sites before it.
void add(ImportPart& part, const Site& site, SiteArray array) {
    if (site.layer >= kMostLayers)
        throw Error(fmt::format("{} is said to be {}", array.from, site.name()),
                    "no model has so many layers", "");
    const std::int64_t n = array.n_rows();
    const auto grid = array.row_axes == 2
                          ? std::pair(array.array.axes()[0].extent, array.array.axes()[1].extent)
                          : std::pair(std::int64_t{1}, n);
    if (part.sites.empty()) {
        std::tie(part.n_sequences, part.length) = grid;
    } else {
        const SiteArray& first = part.sites.begin()->second;
        if (n != part.n_sequences * part.length)
            throw Error(fmt::format("{} has {} rows", array.from, n),
                        fmt::format("{} has {}", first.from, part.n_sequences * part.length),
                        "every site needs a vector for each of the same tokens");
        if (part.n_sequences == 1)
            std::tie(part.n_sequences, part.length) = grid;
        else if (grid.first != 1 && grid.first != part.n_sequences)
            throw Error(fmt::format("{} has {} sequences", array.from, grid.first),
                        fmt::format("{} has {}", first.from, part.n_sequences), "");
    }
    const std::string from = array.from;
    const auto [entry, added] = part.sites.emplace(site, std::move(array));
    if (!added)
        throw Error(fmt::format("{} and {} are both {}", entry->second.from, from, site.name()), "",
                    "leave one out, or name the site that it is with --site NAME=FILE");
}

/// The tensors of a safetensors file, kept mapped. A type that is no number is left out and named.
std::map<std::string, ForeignArray> tensors_of(const fs::path& file, std::vector<std::string>& not_read) {
    const auto source = std::make_shared<const Safetensors>(file, Safetensors::Types::any);
    std::map<std::string, ForeignArray> arrays;
    for (const auto& [name, tensor] : source->tensors())
        arrays.emplace(
            name, ForeignArray(source, tensor.bytes, *find_element(dtype_name(tensor.dtype)), tensor.shape));
    for (const auto& [name, tensor] : source->others()) {
        const auto element = find_element(tensor.dtype);
        std::uint64_t elements = 1;
        for (const std::int64_t extent : tensor.shape) elements *= static_cast<std::uint64_t>(extent);
        if (!element) {
            not_read.push_back(fmt::format("{} (of type {})", name, tensor.dtype));
        } else if (elements * element_size(*element) != tensor.bytes.size()) {
            throw Error(file.string() + " is not a readable safetensors file",
                        fmt::format("'{}' has {} bytes, its shape needs {}", name, tensor.bytes.size(),
                                    elements * element_size(*element)),
                        "it was cut or damaged; save it again");
        } else {
            arrays.emplace(name, ForeignArray(source, tensor.bytes, *element, tensor.shape));
        }
    }
    return arrays;
}

bool whole_numbers(Element element) {
    return element >= Element::i8 && element <= Element::u64;
}

/// Takes out the token ids that were kept beside the vectors.
std::optional<ForeignArray> take_token_ids(std::map<std::string, ForeignArray>& tensors) {
    for (const char* name : {"token_ids", "input_ids", "tokens"}) {
        const auto found = tensors.find(name);
        if (found == tensors.end() || !whole_numbers(found->second.element())) continue;
        return tensors.extract(found).mapped();
    }
    return std::nullopt;
}

/// All layers in one tensor: [n, layers, d] beside as many token ids, or where its layers are named; or
/// [layers, sequence, position, d].
std::optional<std::size_t> layer_axis(const ForeignArray& stack, const std::optional<ForeignArray>& ids,
                                      const SourceOptions& options) {
    const auto shape = stack.shape();
    if (shape.size() == 4) return 0;
    if (shape.size() != 3) return std::nullopt;
    const bool by_ids = ids && ids->axes().size() == 1 && ids->axes()[0].extent == shape[0];
    return by_ids || !options.layers.empty() ? std::optional<std::size_t>(1) : std::nullopt;
}

void add_stack(ImportPart& part, const ForeignArray& stack, std::size_t axis, const std::string& from,
               const SourceOptions& options, std::vector<std::string>& notes) {
    const std::int64_t n = stack.axes()[axis].extent;
    if (n >= kMostLayers) throw Error(fmt::format("{} has {} layers", from, n), "no model has so many", "");
    std::vector<int> layers = options.layers;
    if (layers.empty()) {
        for (int k = 1; k <= n; ++k) layers.push_back(k);
        notes.push_back(
            fmt::format("{} does not say which {} layers it holds: taken as the stream after blocks 0 to "
                        "{}; --layers names others",
                        from, n, n - 1));
    }
    if (static_cast<std::int64_t>(layers.size()) != n)
        throw Error(fmt::format("{} holds {} layers", from, n),
                    fmt::format("--layers names {}", layers.size()), "");
    for (std::int64_t i = 0; i < n; ++i) {
        const auto site = foreign_site(fmt::format("hidden_states.{}", layers[static_cast<std::size_t>(i)]));
        if (!site)
            throw Error(fmt::format("no layer {}", layers[static_cast<std::size_t>(i)]), "", "count from 0");
        add(part, *site, as_rows(*site, stack.slice(axis, i), from));
    }
}

void add_tensors(ImportPart& part, std::map<std::string, ForeignArray> tensors, const fs::path& file,
                 const SourceOptions& options, std::vector<std::string>& not_read,
                 std::vector<std::string>& notes) {
    std::string renamed;  // the first such name
    std::size_t n_renamed = 0;
    auto ids = take_token_ids(tensors);
    if (const auto stack = tensors.find("hidden_states"); stack != tensors.end()) {
        if (const auto axis = layer_axis(stack->second, ids, options)) {
            add_stack(part, stack->second, *axis, fmt::format("'hidden_states' in {}", file.string()),
                      options, notes);
            tensors.erase(stack);
        }
    }
    std::vector<std::string> unknown;
    for (const auto& [name, array] : tensors) {
        const auto site = foreign_site(name);
        if (!site) {
            unknown.push_back(name);
            continue;
        }
        if (site->name() != name && n_renamed++ == 0)
            renamed = fmt::format("'{}' in {} is read as {}", name, file.filename().string(), site->name());
        add(part, *site, as_rows(*site, array, fmt::format("'{}' in {}", name, file.string())));
    }
    if (part.sites.empty() && unknown.size() == 1) {
        const Site site = options.site.value_or(Site{Component::resid_post, 0});
        add(part, site,
            as_rows(site, tensors.at(unknown[0]), fmt::format("'{}' in {}", unknown[0], file.string())));
        renamed = fmt::format("'{}' in {} is read as {}", unknown[0], file.filename().string(), site.name());
        n_renamed = 1;
        unknown.clear();
    }
    not_read.insert(not_read.end(), unknown.begin(), unknown.end());
    if (n_renamed > 1) renamed += fmt::format(", and {} more by such names", n_renamed - 1);
    if (n_renamed > 0) notes.push_back(renamed);
    if (!ids) return;
    const std::int64_t n = part.n_sequences * part.length;
    if (ids->n_rows(ids->axes().size()) == n)
        part.token_ids = ids->integers();
    else
        notes.push_back(fmt::format("the token ids in {} are {}, not one a row, and were left out",
                                    file.filename().string(), ids->n_rows(ids->axes().size())));
}

}  // namespace

ImportPart read_part(const fs::path& file, const SourceOptions& options, std::vector<std::string>& notes) {
    ImportPart part;
    if (is_npy(file)) {
        const Site site = options.site.value_or(Site{Component::resid_post, 0});
        add(part, site, as_rows(site, read_npy(file), file.string()));
        return part;
    }
    if (file.extension() == ".gguf") {
        for (auto& [layer, array] : map_control_vector(file)) {
            const Site site{Component::resid_post, layer};
            add(part, site, as_rows(site, std::move(array), fmt::format("direction.{}", layer)));
        }
        notes.push_back(
            "a control vector: its directions are rows at blocks.N.resid_post, where llama.cpp adds them");
        return part;
    }
    std::vector<std::string> not_read;
    auto tensors = tensors_of(file, not_read);
    add_tensors(part, std::move(tensors), file, options, not_read, notes);
    if (part.sites.empty())
        throw Error(file.string() + " cannot be imported",
                    not_read.empty() ? "it holds no tensors"
                                     : fmt::format("none of its tensors has a name that is understood: {}",
                                                   listed(not_read)),
                    "name them as sites (blocks.3.resid_post), or save each alone and give --site NAME=FILE");
    if (!not_read.empty())
        notes.push_back(fmt::format("not read from {}, since no site is known by the name: {}",
                                    file.filename().string(), listed(not_read)));
    return part;
}

ImportPart read_named_part(const std::vector<std::pair<Site, fs::path>>& files,
                           std::vector<std::string>& notes) {
    ImportPart part;
    for (const auto& [site, file] : files) {
        std::vector<std::string> unheard;
        const ImportPart one =
            is_npy(file) ? read_part(file, {.site = site}, notes) : read_part(file, {.site = site}, unheard);
        // A file of several sites gives the one that is asked for.
        const auto found = one.sites.size() == 1 ? one.sites.begin() : one.sites.find(site);
        if (found == one.sites.end())
            throw Error(fmt::format("{} does not hold {}", file.string(), site.name()),
                        fmt::format("it holds {} sites, from {} to {}", one.sites.size(),
                                    one.sites.begin()->first.name(), one.sites.rbegin()->first.name()),
                        "give the file alone, without --site, to import them all");
        if (part.token_ids.empty()) part.token_ids = one.token_ids;
        add(part, site, found->second);
    }
    return part;
}

}  // namespace tomograph
