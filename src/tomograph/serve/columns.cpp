#include "tomograph/serve/columns.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/base/text.h"
#include "tomograph/select/experts.h"

namespace tomograph {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are written as they lie in memory");

template <typename T>
std::string as_bytes(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

struct Segment {
    Component component;
    std::int32_t layer;
    std::int64_t count;
    std::int32_t first_token;
};

/// Consecutive rows of one site.
std::vector<Segment> segments_of(const RowLabels& labels) {
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < labels.component.size(); ++i) {
        if (segments.empty() || segments.back().component != labels.component[i] ||
            segments.back().layer != labels.layer[i])
            segments.push_back({labels.component[i], labels.layer[i], 0, labels.token[i]});
        ++segments.back().count;
    }
    return segments;
}

/// Differences to the row before, 0 at a segment's head; empty when one does not fit 16 bits.
std::vector<std::uint16_t> token_steps(const RowLabels& labels, const std::vector<Segment>& segments) {
    std::vector<std::uint16_t> steps;
    steps.reserve(labels.token.size());
    std::size_t row = 0;
    for (const Segment& segment : segments) {
        for (std::int64_t i = 0; i < segment.count; ++i, ++row) {
            const std::int64_t step = i == 0 ? 0 : std::int64_t{labels.token[row]} - labels.token[row - 1];
            if (step < 0 || step > 65535) return {};
            steps.push_back(static_cast<std::uint16_t>(step));
        }
    }
    return steps;
}

/// Norms on a logarithmic scale of 65,535 steps: an error below 2e-4 of the norm over six decades.
Column norm_column(const std::vector<float>& norms, Json& header) {
    float low = std::numeric_limits<float>::infinity(), high = 0;
    for (const float norm : norms) {
        if (!(norm > 0) || !std::isfinite(norm)) continue;
        low = std::min(low, norm);
        high = std::max(high, norm);
    }
    if (!(high > 0)) low = high = 1;
    const double scale = high > low ? 65534.0 / std::log(double{high} / low) : 0;
    std::vector<std::uint16_t> codes;
    codes.reserve(norms.size());
    for (const float norm : norms) {
        const bool none = !(norm > 0) || !std::isfinite(norm);
        codes.push_back(none ? 65535
                             : static_cast<std::uint16_t>(std::lround(scale * std::log(double{norm} / low))));
    }
    header["norm"] = {{"low", low}, {"high", high}};
    return {"u16", as_bytes(codes), ""};
}

Json shape_of(const std::map<std::string, ColumnPtr>& columns) {
    Json json = Json::object();
    for (const auto& [name, column] : columns)
        json[name] = {{"dtype", column->dtype}, {"bytes", column->bytes.size()}};
    return json;
}

/// The layer behind each number, -1 where no row has it.
std::vector<std::int32_t> layers_shown(const RowLabels& labels, int n_layers) {
    std::vector<std::int32_t> layer_of(static_cast<std::size_t>(n_layers), -1);
    for (std::size_t i = 0; i < labels.layer.size(); ++i) {
        if (labels.layer[i] >= 0) layer_of[static_cast<std::size_t>(labels.layer[i])] = labels.true_layer[i];
    }
    return layer_of;
}

/// Column expert, where the run keeps a router's vectors.
void add_experts(ColumnSet& set, const Run& run, const RowLabels& labels) {
    constexpr std::uint8_t kNone = 255;
    const auto preferred = preferred_experts(run, labels);
    if (preferred.empty()) return;
    std::vector<std::uint8_t> experts;
    for (const std::int32_t expert : preferred)
        experts.push_back(expert < 0 || expert >= kNone ? kNone : static_cast<std::uint8_t>(expert));
    set.columns["expert"] = make_column("u8", as_bytes(experts));
}

/// What a page tells tokens apart by: the id; where one has text and no id, as of an import, a number below
/// -1 for each text.
std::vector<std::int32_t> token_kinds(const Run& run) {
    std::vector<std::int32_t> kinds = run.tokens().token_id;
    if (std::ranges::none_of(kinds, [](std::int32_t id) { return id < 0; })) return kinds;
    const auto& pieces = run.pieces();
    std::unordered_map<std::string_view, std::int32_t> by_text;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        if (kinds[i] >= 0 || pieces[i].empty()) continue;
        kinds[i] =
            by_text.try_emplace(pieces[i], -2 - static_cast<std::int32_t>(by_text.size())).first->second;
    }
    return kinds;
}

}  // namespace

Selection selection_from_json(const Json& json) {
    try {
        Selection selection;
        for (const auto& name : json.value("components", std::vector<std::string>{})) {
            const auto component = find_component(name);
            if (!component) throw Error("no component '" + printable(name) + "'", "", "");
            selection.components.push_back(*component);
        }
        selection.layers = parse_range(json.value("layers", ":"), "layers");
        selection.positions = parse_range(json.value("positions", ":"), "positions");
        selection.sequences = parse_range(json.value("sequences", ":"), "sequences");
        selection.labels = json.value("labels", std::vector<std::string>{});
        for (const Json& one : json.value("where", Json::array()))
            selection.where.push_back(
                {one.at("column").get<std::string>(), one.at("values").get<std::vector<std::string>>()});
        selection.normalize = parse_normalize(json.value("normalize", "none"));
        for (const auto& word : json.value("mean", std::vector<std::string>{})) parse_means(word, selection);
        selection.rows = whole_number(json, "rows", std::int64_t{0});
        // Older programs said nothing and meant rows.
        const std::string sample = json.value("sample", "rows");
        if (sample != "tokens" && sample != "rows")
            throw Error("no sample of '" + printable(sample) + "'", "", "take one of tokens or of rows");
        selection.sample = sample == "tokens" ? Sample::tokens : Sample::rows;
        selection.seed = whole_number(json, "seed", std::uint64_t{42});
        selection.layer_order = parse_layer_order(json.value("layer_order", "given"));
        return selection;
    } catch (const Json::exception& e) {
        throw Error("the selection cannot be read", json_reason(e), "");
    }
}

Selection selection_of(const Projection& projection) {
    return selection_from_json(projection.info.value("selection", Json::object()));
}

std::size_t ColumnSet::n_bytes() const {
    std::size_t sum = 0;
    for (const auto& [name, column] : columns) sum += column->bytes.size();
    return sum;
}

ColumnPtr make_column(std::string dtype, std::string bytes) {
    auto column = std::make_shared<Column>(Column{std::move(dtype), std::move(bytes), ""});
    column->etag = '"' + xxh3_128(std::as_bytes(std::span(column->bytes))) + '"';
    return column;
}

ColumnSet projection_columns(const Run& run, const Projection& projection) {
    const RowLabels& labels = projection.labels;
    const auto n = static_cast<std::size_t>(projection.points.rows());
    ColumnSet set;
    set.header = {{"name", projection.name}, {"n", n}, {"dims", projection.points.cols()}};

    Json axes = Json::array();
    for (Eigen::Index axis = 0; axis < projection.points.cols(); ++axis) {
        std::vector<float> values(n);
        for (std::size_t i = 0; i < n; ++i) values[i] = projection.points(static_cast<Eigen::Index>(i), axis);
        set.columns["axis" + std::to_string(axis)] = make_column("f32", as_bytes(values));
    }

    const auto segments = segments_of(labels);
    Json list = Json::array();
    for (const Segment& s : segments)
        list.push_back({component_name(s.component), s.layer, s.count, s.first_token});
    set.header["segments"] = std::move(list);

    const bool averages =
        std::any_of(labels.token.begin(), labels.token.end(), [](std::int32_t token) { return token < 0; });
    set.header["averages"] = averages;
    if (averages) {
        set.columns["position"] = make_column("i32", as_bytes(labels.position));
        set.columns["sequence"] = make_column("i32", as_bytes(labels.sequence));
        set.columns["label"] = make_column("i32", as_bytes(labels.label));
    } else if (const auto steps = token_steps(labels, segments); steps.size() == n) {
        set.columns["token"] = make_column("u16", as_bytes(steps));
    } else {
        set.columns["token"] = make_column("u32", as_bytes(labels.token));
    }
    Column norm = norm_column(labels.norm, set.header);
    set.columns["norm"] = make_column(norm.dtype, std::move(norm.bytes));
    if (labels.renumbered()) set.header["layer_of"] = layers_shown(labels, run.n_layers());
    add_experts(set, run, labels);
    set.header["columns"] = shape_of(set.columns);
    return set;
}

ColumnSet token_columns(const Run& run) {
    const TokenTable& tokens = run.tokens();
    const auto n = static_cast<std::size_t>(tokens.size());
    ColumnSet set;
    set.header = {{"n", n}};

    std::vector<std::int64_t> starts;
    bool regular = true;
    for (std::size_t i = 0; i < n && regular; ++i) {
        const bool begins = i == 0 || tokens.sequence[i] != tokens.sequence[i - 1];
        if (begins) starts.push_back(static_cast<std::int64_t>(i));
        regular = tokens.sequence[i] == static_cast<std::int32_t>(starts.size()) - 1 &&
                  tokens.position[i] == static_cast<std::int64_t>(i) - starts.back();
    }
    if (regular) {
        set.header["sequence_starts"] = starts;
    } else {
        set.columns["position"] = make_column("i32", as_bytes(tokens.position));
        set.columns["sequence"] = make_column("i32", as_bytes(tokens.sequence));
    }
    const std::vector<std::int32_t> kinds = token_kinds(run);
    const bool small = std::ranges::all_of(kinds, [](std::int32_t id) { return id >= 0 && id < 65536; });
    if (small) {
        const std::vector<std::uint16_t> ids(kinds.begin(), kinds.end());
        set.columns["token_id"] = make_column("u16", as_bytes(ids));
    } else {
        set.columns["token_id"] = make_column("i32", as_bytes(kinds));
    }
    for (std::size_t c = 0; c < run.columns().size(); ++c)
        set.columns["column." + run.columns()[c].name] = make_column("i32", as_bytes(tokens.further[c]));
    for (const std::string& score : run.scores())
        set.columns["score." + score] = make_column("f32", as_bytes(run.score(score)));
    if (!run.labels().empty()) {
        const std::vector<std::int16_t> labels(tokens.label.begin(), tokens.label.end());
        set.columns["label"] = make_column("i16", as_bytes(labels));
    }
    set.header["columns"] = shape_of(set.columns);
    return set;
}

Json vocabulary_of(const Run& run) {
    const auto kinds = token_kinds(run);
    const auto& pieces = run.pieces();
    std::map<std::int32_t, std::string> texts;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        if (kinds[i] != -1) texts.try_emplace(kinds[i], printable(pieces[i]));
    }
    Json json = Json::array();
    for (const auto& [id, text] : texts) json.push_back({id, text});
    return json;
}

std::vector<Component> norm_components(const Run& run) {
    std::vector<Component> components;
    if (!run.has_stats()) return components;
    for (const SiteShape& shape : run.sites()) {
        const Component component = shape.site.component;
        if (shape.site.layer >= 0 && shape.site.name().starts_with("blocks.") &&
            std::find(components.begin(), components.end(), component) == components.end())
            components.push_back(component);
    }
    return components;
}

ColumnPtr norm_map(const Run& run, Component component) {
    const auto length = static_cast<std::size_t>(run.length());
    const auto layers = static_cast<std::size_t>(run.n_layers());
    std::vector<float> means(layers * length, std::numeric_limits<float>::quiet_NaN());
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.component != component || shape.site.layer < 0) continue;
        const std::vector<float> norms = run.norms(shape.site);
        std::vector<double> sum(length, 0), count(length, 0);
        for (std::size_t i = 0; i < norms.size(); ++i) {
            const auto position = static_cast<std::size_t>(run.tokens().position[i]);
            if (position >= length || !std::isfinite(norms[i])) continue;
            sum[position] += norms[i];
            count[position] += 1;
        }
        for (std::size_t p = 0; p < length; ++p) {
            if (count[p] > 0)
                means[static_cast<std::size_t>(shape.site.layer) * length + p] =
                    static_cast<float>(sum[p] / count[p]);
        }
    }
    return make_column("f32", as_bytes(means));
}

}  // namespace tomograph
