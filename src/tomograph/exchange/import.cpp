#include "tomograph/exchange/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/exchange/sources.h"
#include "tomograph/exchange/token_rows.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlockElements = 1 << 20;

std::vector<Part> read_parts(const ImportOptions& options, std::vector<std::string>& notes) {
    if (!options.sites.empty()) {
        if (!options.files.empty() || options.site)
            throw Error("files that name their site, and others", "", "give --site NAME=FILE for each");
        return {read_named_part(options.sites, notes)};
    }
    if (options.files.empty()) throw Error("nothing to import", "", "name a file, or --site NAME=FILE");
    std::vector<Part> parts;
    for (const auto& file : options.files)
        parts.push_back(read_part(file, {.site = options.site, .layers = options.layers}, notes));
    return parts;
}

/// The shape of one row at each site, the same in all parts.
std::vector<SiteShape> shapes_of(const std::vector<Part>& parts) {
    std::vector<SiteShape> shapes;
    for (const auto& [site, array] : parts.front().sites) shapes.push_back({site, array.row_shape()});
    for (const Part& part : parts) {
        for (const auto& [site, shape] : shapes) {
            const auto found = part.sites.find(site);
            if (found == part.sites.end())
                throw Error(fmt::format("{} holds no {}", part.sites.begin()->second.from, site.name()),
                            fmt::format("{} does", parts.front().sites.begin()->second.from),
                            "import files of the same sites together");
            if (found->second.row_shape() != shape)
                throw Error(fmt::format("{} has rows of another shape", found->second.from),
                            fmt::format("{} has {} numbers a row", parts.front().sites.at(site).from,
                                        SiteShape{site, shape}.width()),
                            "");
        }
        if (part.sites.size() != shapes.size())
            throw Error(fmt::format("{} holds more sites", part.sites.begin()->second.from),
                        fmt::format("than {}", parts.front().sites.begin()->second.from),
                        "import files of the same sites together");
    }
    return shapes;
}

/// The model's width: what the stream and its neighbours have in common.
std::int64_t model_width(const std::vector<SiteShape>& shapes) {
    const SiteShape* first = nullptr;
    for (const SiteShape& shape : shapes) {
        if (shape.site.component == Component::z || shape.site.component == Component::router) continue;
        if (first == nullptr) first = &shape;
        if (shape.width() != first->width())
            throw Error(fmt::format("{} is {} wide", shape.site.name(), shape.width()),
                        fmt::format("{} is {} wide", first->site.name(), first->width()),
                        "the vectors of one model's stream have one width");
    }
    return (first != nullptr ? *first : shapes.front()).width();
}

/// The type that holds a site's values as they are in every part, or float32.
Dtype stored_type(const std::vector<Part>& parts, const Site& site) {
    const auto type = stored_as(parts.front().sites.at(site).array.element());
    const bool same = type && std::ranges::all_of(parts, [&](const Part& part) {
                          return stored_as(part.sites.at(site).array.element()) == type;
                      });
    return same ? *type : Dtype::f32;
}
