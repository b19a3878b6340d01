#include "tomograph/serve/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_map>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/random.h"
#include "tomograph/base/version.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFindings = 4u << 20;

/// What the page may know of a model: no paths of this machine.
Json model_json(const Json& model) {
    Json json = model;
    json.erase("path");
    return json;
}

void append_if_json(Json& out, const char* key, const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error || size > kLargestFindings) return;
    try {
        out[key] = read_json(file);
    } catch (const Error&) {  // being written
    }
}

std::uint64_t row_key(Component component, std::int32_t layer, std::int32_t sequence, std::int32_t position) {
    const auto site = (static_cast<std::uint64_t>(component) << 16) ^ static_cast<std::uint16_t>(layer);
    const auto place = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(sequence)) << 32) ^
                       static_cast<std::uint32_t>(position);
    return mix(site, place);
}

}  // namespace

std::string json_text(const Json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Selection selection_from_json(const Json& json) {
    Selection selection;
    for (const auto& name : json.value("components", std::vector<std::string>{})) {
        const auto component = find_component(name);
        if (!component) throw Error("no component '" + name + "'", "", "");
        selection.components.push_back(*component);
    }
    selection.layers = parse_range(json.value("layers", ":"), "layers");
    selection.positions = parse_range(json.value("positions", ":"), "positions");
    selection.sequences = parse_range(json.value("sequences", ":"), "sequences");
    selection.labels = json.value("labels", std::vector<std::string>{});
    selection.normalize = parse_normalize(json.value("normalize", "none"));
    for (const auto& word : json.value("mean", std::vector<std::string>{})) parse_means(word, selection);
    selection.rows = json.value("rows", std::int64_t{0});
    selection.seed = json.value("seed", std::uint64_t{42});
    selection.layer_order = parse_layer_order(json.value("layer_order", "given"));
    return selection;
}

Catalog::Catalog(const std::vector<fs::path>& folders, std::size_t cache_bytes)
    : study_(nullptr), cache_bytes_(cache_bytes) {
    if (folders.empty() || folders.size() > 2)
        throw Error("the viewer shows one run or study, or two runs", "", "name one or two folders");
    folder_ = folders.front();
    if (folders.size() == 1 && folder_kind(folder_) == FolderKind::study) {
        study_ = read_json(folder_ / "study.json");
        for (const auto& name : study_.value("runs", std::vector<std::string>{})) {
            if (fs::path(name).has_parent_path() || folder_kind(folder_ / name) != FolderKind::run) continue;
            runs_.push_back({name, std::make_unique<Run>(Run::open(folder_ / name))});
        }
        if (runs_.empty())
            throw Error("the study " + folder_.string() + " holds no run yet", "",
                        "wait for its first capture to end");
        return;
    }
    for (const fs::path& folder : folders) {
        if (folders.size() == 2 && folder_kind(folder) == FolderKind::study)
            throw Error(folder.string() + " is a study", "only runs can be compared",
                        "name one of its runs, for example " + (folder / "text").string());
        const fs::path name = fs::weakly_canonical(folder).filename();
        runs_.push_back({name.string(), std::make_unique<Run>(Run::open(folder))});
    }
    comparing_ = runs_.size() == 2;
    if (comparing_ && runs_[0].run->d_model() != runs_[1].run->d_model())
        throw Error("these runs cannot share a basis",
                    fmt::format("their vectors have {} and {} coordinates", runs_[0].run->d_model(),
                                runs_[1].run->d_model()),
                    "compare runs of models with equal d_model");
    if (comparing_ && runs_[0].name == runs_[1].name) {
        runs_[0].name += " (A)";
        runs_[1].name += " (B)";
    }
}

const Run& Catalog::opened(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return *runs_[index].run;
}

const Run& Catalog::run(std::size_t index) const {
    if (index >= runs_.size()) throw Error(fmt::format("there is no run {}", index), "", "");
    const Run& run = opened(index);
    if (folder_kind(run.path()) != FolderKind::run)
        throw Error("the run's folder is gone", "it was deleted or moved while the viewer was open",
                    "start tomograph view on the new place");
    return run;
}

void Catalog::reopen_growing() {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
        std::unique_ptr<Run>& run = runs_[i].run;
        if (run->complete()) continue;
        try {
            auto now = std::make_unique<Run>(Run::open(run->path()));
            if (now->complete() == run->complete() && now->n_tokens() == run->n_tokens()) continue;
            std::swap(run, now);
            outgrown_.push_back(std::move(now));
            vocabularies_.erase(i);
            std::erase_if(norm_maps_,
                          [&](const auto& map) { return map.first.starts_with(std::to_string(i) + "/"); });
        } catch (const Error&) {  // in the middle of a write: the next look may have more luck
        }
    }
}

Json Catalog::run_json(std::size_t index) const {
    const Run& run = opened(index);
    Json json = {{"id", index}, {"name", runs_[index].name}};
    json["present"] = folder_kind(run.path()) == FolderKind::run;
    json["complete"] = run.complete();
    json["model"] = model_json(run.json().at("model"));
    json["prompts"] = run.prompts();
    json["n_tokens"] = run.n_tokens();
    json["n_rows"] = run.n_rows();
    json["n_sequences"] = run.n_sequences();
    json["n_layers"] = run.n_layers();
    json["length"] = run.length();
    json["labels"] = run.labels();
    Json components = Json::array();
    for (const Component component : all_components()) {
        const auto stored = std::any_of(run.sites().begin(), run.sites().end(), [&](const SiteShape& s) {
            return s.site.component == component && s.width() == run.d_model() && run.has_vectors(s.site);
        });
        if (stored) components.push_back(component_name(component));
    }
    json["components"] = run.n_rows() > 0 ? components : Json::array();
    json["norm_maps"] = Json::array();
    for (const Component component : norm_components(run))
        json["norm_maps"].push_back(component_name(component));

    json["projections"] = Json::array();
    const auto add = [&](const std::string& name, const Json& info, bool saved) {
        json["projections"].push_back({{"name", name}, {"saved", saved}, {"info", info}});
    };
    for (const std::string& name : projection_names(run)) {
        try {
            add(name, read_json(run.path() / "projections" / (name + ".json")), true);
        } catch (const Error&) {  // being written
        }
    }
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [owner, projection] : kept_) {
            if (owner == index) add(projection->name, projection->info, false);
        }
    }
    append_if_json(json, "findings", run.path() / "measures" / "findings.json");
    append_if_json(json, "outliers", run.path() / "measures" / "outliers.json");
    return json;
}

Json Catalog::manifest() {
    reopen_growing();
    Json json = {{"program", {{"name", "tomograph"}, {"version", kVersion}}}};
    json["compare"] = comparing_;
    json["runs"] = Json::array();
    for (std::size_t i = 0; i < runs_.size(); ++i) json["runs"].push_back(run_json(i));
    if (!study_.is_null()) {
        json["study"] = {{"name", study_.at("model").value("name", "?")},
                         {"figures", study_.value("figures", Json::array())},
                         {"numbers", study_.value("numbers", Json::object())}};
    }
    return json;
}

Catalog::Made Catalog::cached(const std::string& key, const std::function<ColumnSet()>& make) {
    const auto find = [&]() -> Made {
        const std::lock_guard lock(mutex_);
        const auto found =
            std::find_if(cache_.begin(), cache_.end(), [&](const auto& e) { return e.first == key; });
        if (found == cache_.end()) return nullptr;
        cache_.splice(cache_.begin(), cache_, found);
        return found->second;
    };
    if (Made made = find()) return made;
    // A page asks for all columns at once: the first request makes them, the others wait.
    const std::lock_guard one(making_);
    if (Made made = find()) return made;
    auto made = std::make_shared<const ColumnSet>(make());
    const std::lock_guard lock(mutex_);
    cache_.emplace_front(key, made);
    std::size_t bytes = 0;
    for (auto entry = cache_.begin(); entry != cache_.end();) {
        bytes += entry->second->n_bytes();
        entry = bytes > cache_bytes_ && entry != cache_.begin() ? cache_.erase(entry) : std::next(entry);
    }
    return made;
}

std::shared_ptr<const Projection> Catalog::load(std::size_t index, const std::string& name) const {
    check_projection_name(name);
    const Run& owner = run(index);
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [i, projection] : kept_) {
            if (i == index && projection->name == name) return projection;
        }
    }
    return std::make_shared<const Projection>(load_projection(owner, name));
}

void Catalog::keep(std::size_t index, std::shared_ptr<const Projection> projection) {
    const std::lock_guard lock(mutex_);
    std::erase_if(kept_,
                  [&](const auto& e) { return e.first == index && e.second->name == projection->name; });
    kept_.emplace_back(index, std::move(projection));
    if (kept_.size() > 8) kept_.erase(kept_.begin());
}

std::shared_ptr<const ColumnSet> Catalog::projection(std::size_t index, const std::string& name) {
    check_projection_name(name);
    std::error_code error;
    const auto file = run(index).path() / "projections" / (name + ".safetensors");
    const auto written =
        fs::last_write_time(file, error).time_since_epoch().count();  // made anew: another key
    return cached(fmt::format("p/{}/{}/{}", index, name, error ? 0 : written), [&] {
        const auto projection = load(index, name);
        ColumnSet set = projection_columns(*projection);
        add_experts(set, run(index), projection->labels);
        return set;
    });
}

std::shared_ptr<const ColumnSet> Catalog::tokens(std::size_t index) {
    const Run& owner = run(index);
    return cached(fmt::format("t/{}/{}", index, owner.n_tokens()), [&] { return token_columns(owner); });
}

std::shared_ptr<const std::string> Catalog::vocabulary(std::size_t index) {
    const Run& owner = run(index);
    const std::lock_guard lock(mutex_);
    auto& text = vocabularies_[index];
    if (!text) text = std::make_shared<const std::string>(json_text(vocabulary_of(owner)));
    return text;
}

ColumnPtr Catalog::norms(std::size_t index, Component component) {
    const Run& owner = run(index);
    const auto known = norm_components(owner);
    if (std::find(known.begin(), known.end(), component) == known.end())
        throw Error(fmt::format("the run keeps no norms of {}", component_name(component)), "", "");
    const std::lock_guard lock(mutex_);
    ColumnPtr& map = norm_maps_[fmt::format("{}/{}", index, component_name(component))];
    if (!map) map = norm_map(owner, component);
    return map;
}

std::shared_ptr<const ColumnSet> Catalog::counterpart(const std::string& name) {
    if (!comparing_) throw Error("there is no second run", "", "start the viewer with two runs");
    check_projection_name(name);
    return cached("c/" + name, [&] {
        const auto first = load(0, name);
        if (!first->pca)
            throw Error("'" + name + "' has no basis to share", "it is a " + first->method(),
                        "choose a PCA projection");
        const SelectedRows rows = select(run(1), selection_from_json(first->info.at("selection")));
        const Matrix points = transform(*first->pca, rows, {.center = first->info.value("center", true)});
        std::unordered_map<std::uint64_t, std::int64_t> place;
        const auto key = [](const RowLabels& labels, std::size_t i) {
            return row_key(labels.component[i], labels.layer[i], labels.sequence[i], labels.position[i]);
        };
        place.reserve(static_cast<std::size_t>(rows.n_rows()));
        for (std::int64_t i = 0; i < rows.n_rows(); ++i)
            place[key(rows.labels(), static_cast<std::size_t>(i))] = i;

        const auto n = static_cast<std::size_t>(first->points.rows());
        std::vector<std::int64_t> match(n, -1);
        std::int64_t n_matched = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const auto found = place.find(key(first->labels, i));
            if (found == place.end()) continue;
            match[i] = found->second;
            ++n_matched;
        }
        if (n_matched == 0)
            throw Error("no row of the second run matches one of the first", "",
                        "capture both on the same prompts, layers and positions");
        ColumnSet set;
        set.header = {{"name", name}, {"n", n}, {"dims", points.cols()}, {"n_matched", n_matched}};
        for (Eigen::Index axis = 0; axis < points.cols(); ++axis) {
            std::string bytes(n * sizeof(float), '\0');
            auto* values = reinterpret_cast<float*>(bytes.data());
            for (std::size_t i = 0; i < n; ++i)
                values[i] = match[i] < 0 ? std::numeric_limits<float>::quiet_NaN() : points(match[i], axis);
            set.columns["axis" + std::to_string(axis)] = make_column("f32", std::move(bytes));
        }
        return set;
    });
}

fs::path Catalog::figure(const std::string& file) const {
    if (!study_.is_null()) {
        for (const Json& figure : study_.value("figures", Json::array())) {
            const fs::path path = "figures/" + file;
            if (figure.value("file", "") == path.string() && path.lexically_normal() == path &&
                fs::exists(folder_ / path))
                return folder_ / path;
        }
    }
    throw Error("no such figure", "", "");
}

}  // namespace tomograph
