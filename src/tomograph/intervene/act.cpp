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
#include "tomograph/exchange/control_vector.h"
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

/// The sites that `name` means: itself, or of blocks.*.COMPONENT and blocks.RANGE.COMPONENT those in the
/// model.
std::vector<SiteShape> find_sites(const std::string& name, std::span<const SiteShape> shapes) {
    constexpr std::string_view kBlocks = "blocks.";
    const auto dot = name.rfind('.');
    const bool several =
        name.starts_with(kBlocks) && dot > kBlocks.size() && name.find_first_of("*:") != std::string::npos;
    std::vector<SiteShape> found;
    if (!several) {
        std::ranges::copy_if(shapes, std::back_inserter(found),
                             [&](const SiteShape& s) { return s.site.name() == name; });
        return found;
    }
    const std::string blocks = name.substr(kBlocks.size(), dot - kBlocks.size());
    const auto component = find_component(name.substr(dot + 1));
    int n_layers = 0;
    for (const SiteShape& s : shapes) n_layers = std::max(n_layers, s.site.layer + 1);
    const Range range = blocks == "*" ? Range{} : parse_range(blocks, "blocks");
    for (const SiteShape& s : shapes) {
        if (component && s.site.component == *component && in_block(s.site.component) &&
            range.contains(s.site.layer, n_layers))
            found.push_back(s);
    }
    return found;
}

std::vector<SiteShape> read_sites(const Json& json, std::span<const SiteShape> shapes, const Where& where) {
    if (!json.contains("site")) where.fail("it has no \"site\"", "name one such as blocks.1.attn_out");
    const auto name = json.at("site").get<std::string>();
    auto found = find_sites(name, shapes);
    if (found.empty())
        where.fail(fmt::format("the model has no site {}", name),
                   fmt::format("it has {} sites, {} to {}: tomograph info lists them", shapes.size(),
                               shapes.front().site.name(), shapes.back().site.name()));
    return found;
}

/// The rows of one name, or of a list of them, one after the other.
Matrix read_all_directions(const Json& json, const fs::path& folder, int layer, const Where& where) {
    if (!json.is_array()) return read_directions(json.get<std::string>(), folder, layer);
    if (json.empty()) where.fail("its list of directions is empty");
    Matrix all;
    for (const Json& name : json) {
        const Matrix rows = read_directions(name.get<std::string>(), folder, layer);
        if (all.rows() > 0 && rows.cols() != all.cols())
            where.fail(fmt::format("{} is {} wide", name.get<std::string>(), rows.cols()),
                       fmt::format("the one before it is {} wide", all.cols()));
        all.conservativeResize(all.rows() + rows.rows(), rows.cols());
        all.bottomRows(rows.rows()) = rows;
    }
    return all;
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
        if (act.site.component != Component::z && act.site.component != Component::cross_z)
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
                   "give a .npy file, a control vector (.gguf) or RUN:PROJECTION:N");
    if (act.kind == ActKind::rotate && (k < 2 || k % 2 != 0))
        where.fail(fmt::format("rotate needs planes, \"direction\" gives {} rows", k),
                   "give two for each: RUN:PROJECTION:1-2, or a list of two subspaces of as many");
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

void check_keys(const Json& json, const Where& where) {
    if (!json.is_object()) where.fail("it is no JSON object");
    for (const auto& [key, value] : json.items()) {
        if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
            where.fail(fmt::format("there is no key \"{}\"", key),
                       fmt::format("the keys are {}", fmt::join(kKeys, ", ")));
    }
}

Act read_act(const Json& json, const SiteShape& shape, const fs::path& folder, const Where& where) {
    Act act;
    act.json = json;
    act.json["site"] = shape.site.name();
    act.number = where.number;
    act.kind = read_kind(json, where);
    act.site = shape.site;
    read_columns(act, json, shape, where);
    if (json.contains("positions")) act.positions = read_positions(json.at("positions"));
    if (json.contains("label")) act.label = json.at("label").get<std::string>();
    if (json.contains("strength")) act.strength = json.at("strength").get<double>();
    if (json.contains("from")) act.from = json.at("from").get<std::string>();
    if (json.contains("direction")) {
        const Json& given = json.at("direction");
        const std::string name = given.is_array() ? "\"direction\"" : given.get<std::string>();
        act.directions = read_all_directions(given, folder, act.site.layer, where);
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

Matrix read_directions(const std::string& name, const fs::path& folder, int layer) {
    const auto place = [&](const std::string& path) {
        return fs::path(path).is_relative() ? folder / path : fs::path(path);
    };
    const auto last = name.rfind(':');
    if (const auto file = std::string_view(name).substr(0, last); file.ends_with(".gguf")) {
        int of = layer;
        if (last != std::string::npos) {
            const char* end = name.data() + name.size();
            const auto parsed = std::from_chars(name.data() + last + 1, end, of);
            if (parsed.ec != std::errc{} || parsed.ptr != end)
                throw Error(fmt::format("'{}' names no direction", name), "", "give F.gguf or F.gguf:LAYER");
        }
        const ControlVector vector = read_control_vector(place(std::string(file)));
        const auto found = vector.layers.find(of);
        if (found == vector.layers.end())
            throw Error(
                fmt::format("{} has no direction for block {}", file, of),
                fmt::format("it has {} to {}", vector.layers.begin()->first, vector.layers.rbegin()->first),
                "give F.gguf:LAYER");
        return found->second.transpose();
    }
    if (last == std::string::npos) return read_rows(place(name));
    const auto first = name.rfind(':', last - 1);
    const auto bad = [&]() -> Error {
        return Error(fmt::format("'{}' names no direction", name), "",
                     "give a .npy file, F.gguf:LAYER, RUN:PROJECTION:N or RUN:PROJECTION:A-B");
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
    std::size_t number = 0;
    for (const Json& json : spec.at("acts")) {
        const Where where{++number};
        try {
            check_keys(json, where);
            for (const SiteShape& shape : read_sites(json, shapes, where))
                acts.push_back(read_act(json, shape, folder, where));
        } catch (const Json::exception& e) {
            where.fail(json_reason(e));
        }
    }
    return acts;
}

}  // namespace tomograph
