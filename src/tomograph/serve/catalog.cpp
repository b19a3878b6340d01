#include "tomograph/serve/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tomograph/base/contained.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/version.h"
#include "tomograph/serve/comparison.h"
#include "tomograph/serve/folder.h"
#include "tomograph/serve/nearest.h"
#include "tomograph/serve/other_rows.h"
#include "tomograph/store/run_acts.h"
#include "tomograph/store/run_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFindings = 4u << 20;
constexpr std::size_t kMostKept = 8;
/// Some 50 bytes a row each.
constexpr std::size_t kMostLookedAt = 3;
/// Rows on the axes of another map, one page's and the one before it.
constexpr std::size_t kMostOtherMaps = 2;

/// What the page may know of a model: no paths of this machine.
Json model_json(const Json& model) {
    Json json = model;
    json.erase("path");
    return json;
}

void append_if_json(Json& out, const char* key, const fs::path& folder, const std::string& name) {
    try {
        const fs::path file = contained_file(folder, name);
        if (fs::file_size(file) <= kLargestFindings) out[key] = read_json(file);
    } catch (const std::exception&) {  // not there, being written, or none of this folder's
    }
}

/// Layers whose vectors the run keeps.
std::set<int> layers_of(const Run& run) {
    std::set<int> layers;
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.layer >= 0 && run.has_vectors(shape.site)) layers.insert(shape.site.layer);
    }
    return layers;
}

}  // namespace

Catalog::Catalog(const std::vector<fs::path>& folders, std::size_t cache_bytes) : cache_bytes_(cache_bytes) {
    if (folders.empty() || folders.size() > 2)
        throw Error("the viewer shows one run or study, or two runs", "", "name one or two folders");
    folder_ = folders.front();
    if (folders.size() == 1 && folder_kind(folder_) == FolderKind::study) {
        is_study_ = true;
        read_the_study();
        if (runs_.empty())
            throw Error("the study " + folder_.string() + " holds no run yet", "",
                        "wait for its first capture to end");
        return;
    }
    for (const fs::path& folder : folders) {
        if (folders.size() == 2 && folder_kind(folder) == FolderKind::study)
            throw Error(folder.string() + " is a study", "only runs can be compared",
                        "name one of its runs, for example " + run_folder(folder).string());
        runs_.push_back(open_entry(fs::weakly_canonical(folder).filename().string(), folder));
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

fs::path Catalog::beside() const {
    return fs::weakly_canonical(folder_).parent_path();
}

std::size_t Catalog::n_runs() const {
    const std::lock_guard lock(mutex_);
    return runs_.size();
}

/// Versions first: what is written meanwhile makes it an old one.
Catalog::Entry Catalog::open_entry(const std::string& name, const fs::path& folder) {
    Entry entry{name, folder, nullptr, tomograph::run_version(folder), capture_version(folder)};
    entry.run = open_run(folder);
    return entry;
}

Catalog::Entry Catalog::entry(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    if (index >= runs_.size()) throw Error(fmt::format("there is no run {}", index), "", "");
    return runs_[index];
}

/// Opens a run again if it says something else of itself by now, or, `growing`, if it was not complete.
Catalog::Entry Catalog::reopen(std::size_t index, bool growing) {
    const std::lock_guard one(opening_);
    const Entry before = entry(index);
    const std::string version = tomograph::run_version(before.folder);
    if (version.empty())
        throw Error("the run's folder is gone", "it was deleted or moved while the viewer was open",
                    "start tomograph view on the new place");
    const bool same = version == before.version;
    if (same && (before.run->complete() || !growing)) return before;
    Entry now = open_entry(before.name, before.folder);
    if (same && now.run->complete() == before.run->complete() &&
        now.run->n_tokens() == before.run->n_tokens())
        return before;
    now.growth = before.growth + 1;
    const std::lock_guard lock(mutex_);
    // What could not be saved was of rows that are gone.
    if (now.capture != before.capture)
        std::erase_if(kept_, [&](const Kept& kept) { return kept.run == index; });
    runs_[index] = std::move(now);
    return runs_[index];
}

Catalog::Entry Catalog::current(std::size_t index) {
    Entry known = entry(index);
    return tomograph::run_version(known.folder) == known.version ? known : reopen(index, false);
}

std::shared_ptr<const Run> Catalog::run(std::size_t index) {
    return current(index).run;
}

std::string Catalog::capture(std::size_t index) {
    return current(index).capture;
}

std::string Catalog::version_of(const Entry& owner) {
    return digest(fmt::format("{} {}", owner.version, owner.growth));
}

std::string Catalog::run_version(std::size_t index) {
    return version_of(current(index));
}

/// Runs that the study has got since it was last read, and its figures. Errors: as read_study(); Error for a
/// run whose name leads out of the study's folder.
void Catalog::read_the_study() {
    const std::lock_guard one(opening_);
    const std::string version = file_version(folder_ / "study.json");
    std::vector<std::string> known;
    {
        const std::lock_guard lock(mutex_);
        if (version == study_version_) return;
        for (const Entry& run : runs_) known.push_back(run.name);
    }
    StudyFile study = read_study(folder_);
    std::vector<Entry> found;
    for (const std::string& name : study.runs) {
        if (std::find(known.begin(), known.end(), name) != known.end() || !fs::exists(folder_ / name))
            continue;
        if (folder_kind(contained_folder(folder_, name)) != FolderKind::run) continue;
        found.push_back(open_entry(name, folder_ / name));
    }
    const std::lock_guard lock(mutex_);
    study_ = std::move(study);
    study_version_ = version;
    std::move(found.begin(), found.end(), std::back_inserter(runs_));
}

Json Catalog::run_json(std::size_t index) {
    Entry owner = entry(index);
    try {
        owner = reopen(index, true);
    } catch (const Error&) {  // gone, or in the middle of a write: the next look may have more luck
    }
    const Run& run = *owner.run;
    Json json = {{"id", index}, {"name", owner.name}, {"version", version_of(owner)}};
    json["present"] = folder_kind(owner.folder) == FolderKind::run;
    json["complete"] = run.complete();
    json["model"] = model_json(run.json().at("model"));
    json["prompts"] = run.prompts();
    if (const std::string acts = acts_of(run); !acts.empty()) json["acts"] = acts;
    json["n_tokens"] = run.n_tokens();
    json["n_rows"] = run.n_rows();
    json["n_sequences"] = run.n_sequences();
    json["n_layers"] = run.n_layers();
    json["length"] = run.length();
    json["labels"] = run.labels();
    if (!run.columns().empty()) json["columns"] = run.json().at("columns");
    if (!run.scores().empty()) json["scores"] = run.scores();
    Json components = Json::array();
    for (const Component component : all_components()) {
        const auto stored = std::any_of(run.sites().begin(), run.sites().end(), [&](const SiteShape& s) {
            return s.site.component == component && s.width() == run.d_model() && run.has_vectors(s.site);
        });
        if (stored) components.push_back(component_name(component));
    }
    json["components"] = run.n_rows() > 0 ? components : Json::array();
    json["layers"] = layers_of(run);
    json["norm_maps"] = Json::array();
    for (const Component component : norm_components(run))
        json["norm_maps"].push_back(component_name(component));

    json["projections"] = Json::array();
    const auto add = [&](const std::string& name, const Json& info, bool saved) {
        const std::string version = projection_version(index, owner, name);
        json["projections"].push_back(
            {{"name", name}, {"version", version}, {"saved", saved}, {"info", info}});
    };
    const auto saved = projection_names(run);
    for (const std::string& name : saved) {
        try {
            const Json info = read_json(contained_file(owner.folder, "projections/" + name + ".json"));
            if (info.is_object()) add(name, info, true);
        } catch (const Error&) {  // being written, or none of this folder's
        }
    }
    std::vector<std::shared_ptr<const Projection>> kept;
    {
        const std::lock_guard lock(mutex_);
        for (const Kept& one : kept_) {
            if (one.run == index) kept.push_back(one.projection);
        }
    }
    for (const auto& projection : kept) {
        if (std::find(saved.begin(), saved.end(), projection->name) == saved.end())
            add(projection->name, projection->info, false);
    }
    append_if_json(json, "findings", owner.folder, "measures/findings.json");
    append_if_json(json, "outliers", owner.folder, "measures/outliers.json");
    return json;
}

Json Catalog::manifest() {
    if (is_study_) {
        try {
            read_the_study();
        } catch (const Error&) {  // in the middle of a write
        }
    }
    Json json = {{"program", {{"name", "tomograph"}, {"version", kVersion}}}};
    json["compare"] = comparing_;
    json["runs"] = Json::array();
    for (std::size_t i = 0; i < n_runs(); ++i) json["runs"].push_back(run_json(i));
    if (is_study_) {
        const std::lock_guard lock(mutex_);
        json["study"] = {
            {"name", study_.model_name}, {"figures", Json::array()}, {"numbers", study_.numbers}};
        for (const StudyFigure& figure : study_.figures)
            json["study"]["figures"].push_back(
                {{"file", figure.file}, {"group", figure.group}, {"caption", figure.caption}});
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

std::string Catalog::projection_version(std::size_t index, const Entry& owner,
                                        const std::string& name) const {
    const std::string map = map_of(name);
    const std::string stem = (owner.folder / "projections" / map).string();
    std::string points = file_version(stem + ".safetensors"), how = file_version(stem + ".json");
    if (points.empty() || how.empty()) {
        const std::lock_guard lock(mutex_);
        for (const Kept& kept : kept_) {
            if (kept.run == index && kept.projection->name == map) points = kept.version;
        }
    }
    return digest(version_of(owner) + points + how);
}

std::shared_ptr<const Projection> Catalog::load(std::size_t index, const Entry& owner,
                                                const std::string& name) {
    if (map_of(name) != name) return others(index, owner, name);
    const std::string file = "projections/" + name;
    const bool saved =
        fs::exists(owner.folder / (file + ".safetensors")) && fs::exists(owner.folder / (file + ".json"));
    if (!saved) {
        const std::lock_guard lock(mutex_);
        for (const Kept& kept : kept_) {
            if (kept.run == index && kept.projection->name == name) return kept.projection;
        }
    } else {
        contained_file(owner.folder, file + ".safetensors");
        contained_file(owner.folder, file + ".json");
    }
    return std::make_shared<const Projection>(load_projection(*owner.run, name));
}

std::shared_ptr<const Projection> Catalog::others(std::size_t index, const Entry& owner,
                                                  const std::string& name) {
    const OtherRows wanted = *parse_other_rows(name);
    const std::string version = projection_version(index, owner, wanted.map);
    const std::string key = fmt::format("{}/{}/{}", index, version, name);
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [known, projection] : others_) {
            if (known == key) return projection;
        }
    }
    const auto map = load(index, owner, wanted.map);
    auto made = std::make_shared<const Projection>(lay_out_others(
        *owner.run, *map, name, wanted, placer_, fmt::format("{}/{}/{}", index, wanted.map, version)));
    const std::lock_guard lock(mutex_);
    others_.emplace_front(key, made);
    if (others_.size() > kMostOtherMaps) others_.pop_back();
    return made;
}

std::shared_ptr<const Projection> Catalog::load(std::size_t index, const std::string& name) {
    return load(index, current(index), name);
}

void Catalog::keep(std::size_t index, std::shared_ptr<const Projection> projection) {
    const std::lock_guard lock(mutex_);
    std::erase_if(kept_, [&](const Kept& kept) {
        return kept.run == index && kept.projection->name == projection->name;
    });
    kept_.push_back({index, fmt::format("kept {}", ++n_kept_), std::move(projection)});
    if (kept_.size() > kMostKept) kept_.erase(kept_.begin());
}

std::shared_ptr<const ColumnSet> Catalog::projection(std::size_t index, const std::string& name) {
    const Entry owner = current(index);
    const std::string version = projection_version(index, owner, name);
    return cached(fmt::format("projection/{}/{}/{}", index, version, name), [&] {
        const auto made = load(index, owner, name);
        ColumnSet set = projection_columns(*owner.run, *made);
        set.header["version"] = version;
        if (map_of(name) != name) set.header["info"] = made->info;
        return set;
    });
}

std::shared_ptr<const ColumnSet> Catalog::tokens(std::size_t index) {
    const Entry owner = current(index);
    return cached(fmt::format("tokens/{}/{}", index, version_of(owner)), [&] {
        ColumnSet set = token_columns(*owner.run);
        set.header["version"] = version_of(owner);
        return set;
    });
}

ColumnPtr Catalog::vocabulary(std::size_t index) {
    const Entry owner = current(index);
    const Made made = cached(fmt::format("vocabulary/{}/{}", index, version_of(owner)), [&] {
        ColumnSet set;
        set.columns["text"] = make_column("json", json_text(vocabulary_of(*owner.run)));
        return set;
    });
    return made->columns.at("text");
}

ColumnPtr Catalog::norms(std::size_t index, Component component) {
    const Entry owner = current(index);
    const auto known = norm_components(*owner.run);
    if (std::find(known.begin(), known.end(), component) == known.end())
        throw Error(fmt::format("the run keeps no norms of {}", component_name(component)), "", "");
    const std::string key =
        fmt::format("norms/{}/{}/{}", index, version_of(owner), component_name(component));
    const Made made = cached(key, [&] {
        ColumnSet set;
        set.columns["norm"] = norm_map(*owner.run, component);
        return set;
    });
    return made->columns.at("norm");
}

std::shared_ptr<const MapRows> Catalog::rows(std::size_t index, const std::string& name) {
    const Entry owner = current(index);
    const std::string version = projection_version(index, owner, name);
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::ranges::find_if(looked_at_, [&](const auto& one) {
            return one->run == owner.run && one->projection->name == name && one->version == version;
        });
        if (found != looked_at_.end()) {
            looked_at_.splice(looked_at_.begin(), looked_at_, found);
            return looked_at_.front();
        }
    }
    const std::lock_guard one(making_);
    auto projection = load(index, owner, name);
    SelectedRows rows = rows_of(*owner.run, *projection);
    const std::shared_ptr<const MapRows> made(
        new MapRows{owner.run, std::move(projection), std::move(rows), version});
    const std::lock_guard lock(mutex_);
    looked_at_.push_front(made);
    if (looked_at_.size() > kMostLookedAt) looked_at_.pop_back();
    return made;
}

std::shared_ptr<const ColumnSet> Catalog::counterpart(const std::string& name) {
    if (!comparing_) throw Error("there is no second run", "", "start the viewer with two runs");
    const auto first = rows(0, name);
    const Entry b = current(1);
    const std::string version = digest(first->version + version_of(b));
    return cached(fmt::format("counterpart/{}/{}", version, name), [&] {
        ColumnSet set = comparison_columns(*first->run, *first->projection, first->rows, *b.run);
        set.header["version"] = version;
        return set;
    });
}

std::vector<std::string> Catalog::taken_names(std::size_t index) {
    std::vector<std::string> names = projection_names(*run(index));
    const std::lock_guard lock(mutex_);
    for (const Kept& kept : kept_) {
        if (kept.run == index) names.push_back(kept.projection->name);
    }
    return names;
}

fs::path Catalog::figure(const std::string& file) const {
    const std::string name = "figures/" + file;
    {
        const std::lock_guard lock(mutex_);
        const auto listed = std::any_of(study_.figures.begin(), study_.figures.end(),
                                        [&](const StudyFigure& figure) { return figure.file == name; });
        if (!listed) throw Error("no such figure", "", "");
    }
    return contained_file(folder_, name);
}

}  // namespace tomograph
