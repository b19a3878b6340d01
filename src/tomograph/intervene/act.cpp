#include "tomograph/intervene/act.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>

#include "tomograph/base/error.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/maps/projection.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 8> kNames{"zero",  "mean", "resample", "project_out",
                                                 "clamp", "add",  "patch",    "rotate"};
constexpr std::array<std::string_view, 9> kKeys{"act",   "site",      "heads",    "coordinates", "positions",
                                                "label", "direction", "strength", "from"};

/// The rows of a .npy file; a vector is one row.
Matrix read_rows(const fs::path& path) {
    const ForeignArray array = read_npy(path);
    if (array.axes().empty() || array.axes().size() > 2)
        throw Error(path.string() + " holds no direction", fmt::format("it has {} axes", array.axes().size()),
                    "save a vector, or a matrix with a direction in each row");
    const std::size_t row_axes = array.axes().size() - 1;
    const std::int64_t n = row_axes == 0 ? 1 : array.axes().front().extent;
    Matrix rows(n, array.axes().back().extent);
    Losses losses;
    array.read_rows(row_axes, 0, n, rows.data(), losses);
    return rows;
}

/// An act's faults, told by its number in the file.
struct Where {
    std::size_t number;
    [[noreturn]] void fail(const std::string& what, const std::string& mend = "") const {
        throw Error(fmt::format("act {} cannot be done", number), what, mend);
    }
};

ActKind read_kind(const Json& json, const Where& where) {
    if (!json.contains("act"))
        where.fail("it has no \"act\"", fmt::format("use one of {}", fmt::join(kNames, ", ")));
    const auto name = json.at("act").get<std::string>();
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end())
        where.fail(fmt::format("there is no act '{}'", name),
                   fmt::format("use one of {}", fmt::join(kNames, ", ")));
    return static_cast<ActKind>(found - kNames.begin());
}

const SiteShape& read_site(const Json& json, std::span<const SiteShape> shapes, const Where& where) {
    if (!json.contains("site")) where.fail("it has no \"site\"", "name one such as blocks.1.attn_out");
    const auto name = json.at("site").get<std::string>();
    const auto found =
        std::ranges::find_if(shapes, [&](const SiteShape& s) { return s.site.name() == name; });
    if (found == shapes.end())
        where.fail(fmt::format("the model has no site {}", name),
                   fmt::format("it has {} sites, {} to {}: tomograph info lists them", shapes.size(),
                               shapes.front().site.name(), shapes.back().site.name()));
    return *found;
}

template <std::integral Number>
std::vector<Number> whole_numbers(const Json& json, const std::string& what) {
    if (!json.is_array()) throw JsonError(what + " is no list");
    std::vector<Number> numbers;
    for (const Json& entry : json) numbers.push_back(whole_number<Number>(entry, what));
    return numbers;
}

Range read_positions(const Json& json) {
    if (json.is_number())
        return parse_range(std::to_string(whole_number<std::int64_t>(json, "positions")), "positions");
    return parse_range(json.get<std::string>(), "positions");
}

void read_columns(Act& act, const Json& json, const SiteShape& shape, const Where& where) {
    if (json.contains("heads")) {
        if (act.site.component != Component::z)
            where.fail(
                fmt::format("{} has no heads", act.site.name()),
                fmt::format("heads are told apart in z: use blocks.{}.z", std::max(0, act.site.layer)));
        act.heads = whole_numbers<int>(json.at("heads"), "heads");
        for (const int head : act.heads) {
            if (head < 0 || head >= shape.shape.front())
                where.fail(fmt::format("{} has no head {}", act.site.name(), head),
                           fmt::format("heads are 0 to {}", shape.shape.front() - 1));
        }
    }
    if (json.contains("coordinates")) {
        if (!act.heads.empty()) where.fail("it has both heads and coordinates", "give one of them");
        act.coordinates = whole_numbers<std::int64_t>(json.at("coordinates"), "coordinates");
        for (const std::int64_t c : act.coordinates) {
            if (c < 0 || c >= shape.width())
                where.fail(fmt::format("{} has no coordinate {}", act.site.name(), c),
                           fmt::format("coordinates are 0 to {}", shape.width() - 1));
        }
    }
}

void check_needs(const Act& act, const Where& where) {
    const auto k = act.directions.rows();
    const bool along =
        act.kind == ActKind::project_out || act.kind == ActKind::clamp || act.kind == ActKind::add;
    if (along && k == 0)
        where.fail(fmt::format("{} needs a \"direction\"", act_name(act.kind)),
                   "give a .npy file or RUN:PROJECTION:N");
    if (act.kind == ActKind::rotate && k != 2)
        where.fail(fmt::format("rotate needs a plane, \"direction\" gives {} rows", k),
                   "give two: RUN:PROJECTION:1-2, or a .npy file of two rows");
    if ((act.kind == ActKind::patch) == act.from.empty())
        where.fail(act.from.empty() ? "patch needs \"from\""
                                    : fmt::format("{} takes nothing \"from\" elsewhere", act_name(act.kind)),
                   "\"from\" is a text file or a run, for patch");
    if (!std::isfinite(act.strength)) where.fail("its strength is not finite");
    const bool share = act.kind != ActKind::clamp && act.kind != ActKind::add && act.kind != ActKind::rotate;
    if (share && (act.strength < 0 || act.strength > 1))
        where.fail(fmt::format("a strength of {} of {}", act.strength, act_name(act.kind)),
                   "give 0 (nothing) to 1 (all of it)");
}

Act read_act(const Json& json, std::span<const SiteShape> shapes, const fs::path& folder,
             const Where& where) {
    if (!json.is_object()) where.fail("it is no JSON object");
    for (const auto& [key, value] : json.items()) {
        if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
            where.fail(fmt::format("there is no key \"{}\"", key),
                       fmt::format("the keys are {}", fmt::join(kKeys, ", ")));
    }
    Act act;
    act.json = json;
    act.kind = read_kind(json, where);
    const SiteShape& shape = read_site(json, shapes, where);
    act.site = shape.site;
    read_columns(act, json, shape, where);
    if (json.contains("positions")) act.positions = read_positions(json.at("positions"));
    if (json.contains("label")) act.label = json.at("label").get<std::string>();
    if (json.contains("strength")) act.strength = json.at("strength").get<double>();
    if (json.contains("from")) act.from = json.at("from").get<std::string>();
    if (json.contains("direction")) {
        const auto name = json.at("direction").get<std::string>();
        act.directions = read_directions(name, folder);
        const auto width = static_cast<Eigen::Index>(columns_of(act, shape).size());
        if (act.directions.cols() != width)
            where.fail(fmt::format("{} is {} wide", name, act.directions.cols()),
                       fmt::format("what it changes of {} is {} wide", act.site.name(), width));
        if (!act.directions.allFinite()) where.fail(name + " holds NaN or Inf");
        if ((act.directions.rowwise().norm().array() == 0).any())
            where.fail(name + " holds a direction of length 0");
    }
    if (!act.from.empty() && fs::path(act.from).is_relative()) act.from = (folder / act.from).string();
    check_needs(act, where);
    return act;
}

}  // namespace

std::string_view act_name(ActKind kind) {
    return kNames[static_cast<std::size_t>(kind)];
}

std::vector<std::int64_t> columns_of(const Act& act, const SiteShape& shape) {
    std::vector<std::int64_t> columns = act.coordinates;
    if (!act.heads.empty()) {
        const std::int64_t d_head = shape.width() / shape.shape.front();
        for (const int head : act.heads) {
            for (std::int64_t c = 0; c < d_head; ++c) columns.push_back(head * d_head + c);
        }
    } else if (columns.empty()) {
        for (std::int64_t c = 0; c < shape.width(); ++c) columns.push_back(c);
    }
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    return columns;
}

Matrix read_directions(const std::string& name, const fs::path& folder) {
    const auto place = [&](const std::string& path) {
        return fs::path(path).is_relative() ? folder / path : fs::path(path);
    };
    const auto last = name.rfind(':');
    if (last == std::string::npos) return read_rows(place(name));
    const auto first = name.rfind(':', last - 1);
    const auto bad = [&]() -> Error {
        return Error(fmt::format("'{}' names no direction", name), "",
                     "give a .npy file, RUN:PROJECTION:N or RUN:PROJECTION:A-B");
    };
    if (last == 0 || first == std::string::npos) throw bad();
    const std::string numbers = name.substr(last + 1);
    const char* end = numbers.data() + numbers.size();
    int from = 0, to = 0;
    auto parsed = std::from_chars(numbers.data(), end, from);
    if (parsed.ec != std::errc{}) throw bad();
    to = from;
    if (parsed.ptr != end) {
        if (*parsed.ptr != '-') throw bad();
        parsed = std::from_chars(parsed.ptr + 1, end, to);
        if (parsed.ec != std::errc{} || parsed.ptr != end) throw bad();
    }
    const Run run = Run::open(place(name.substr(0, first)));
    const std::string projection_name = name.substr(first + 1, last - first - 1);
    const Projection projection = load_projection(run, projection_name);
    if (!projection.pca)
        throw Error(fmt::format("{} has no components", projection_name), "it is no PCA",
                    "name a PCA projection");
    const int n = projection.pca->n_components();
    if (from < 1 || to < from || to > n)
        throw Error(fmt::format("{} has no component {}", projection_name, numbers),
                    fmt::format("it has 1 to {}", n), "");
    return projection.pca->components.middleRows(from - 1, to - from + 1);
}

std::vector<Act> read_acts(const Json& spec, std::span<const SiteShape> shapes, const fs::path& folder) {
    if (!spec.is_object() || !spec.contains("acts") || !spec.at("acts").is_array() || spec.at("acts").empty())
        throw Error("no acts are given", "",
                    R"(a spec is {"acts": [{"act": "zero", "site": "blocks.1.attn_out"}, ...]})");
    for (const auto& [key, value] : spec.items()) {
        if (key != "acts") throw Error(fmt::format("a spec has no key \"{}\"", key), "", "it has \"acts\"");
    }
    std::vector<Act> acts;
    for (const Json& json : spec.at("acts")) {
        const Where where{acts.size() + 1};
        try {
            acts.push_back(read_act(json, shapes, folder, where));
        } catch (const Json::exception& e) {
            where.fail(json_reason(e));
        }
    }
    return acts;
}

}  // namespace tomograph
