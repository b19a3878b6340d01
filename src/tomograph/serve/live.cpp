#include "tomograph/serve/live.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "tomograph/base/json_reason.h"
#include "tomograph/base/text.h"
#include "tomograph/serve/nearest.h"
#include "tomograph/store/output_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

/// Prompts that are kept: two that are compared, in some tabs.
constexpr std::size_t kMostRead = 8;
constexpr int kWords = 5;
constexpr int kControls = 5;
/// Beyond it a direction drowns what it is added to.
constexpr double kStrongest = 100;

/// Errors: Error for what no keyboard types: a text of control characters is no text.
void check_characters(const std::string& text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if ((c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r') continue;
        throw Error(fmt::format("the prompt holds a control character, {}", printable(text.substr(i, 1))),
                    fmt::format("at byte {}", i), "take it out");
    }
}

bool blank(const std::string& text) {
    return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

Json words_json(const std::vector<LiveWord>& words) {
    Json json = Json::array();
    for (const LiveWord& word : words)
        json.push_back({{"id", word.token}, {"text", word.text}, {"p", word.p}});
    return json;
}

Json number_or_null(float value) {
    return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json tokens_json(const Run& run) {
    Json json = Json::array();
    std::vector<std::pair<std::string, std::vector<float>>> scores;
    for (const std::string& name : run.scores()) scores.emplace_back(name, run.score(name));
    for (std::size_t t = 0; t < run.tokens().token_id.size(); ++t) {
        Json token = {{"id", run.tokens().token_id[t]}, {"text", printable(run.pieces()[t])}};
        const std::int32_t label = run.tokens().label[t];
        if (label >= 0) token["label"] = run.labels()[static_cast<std::size_t>(label)];
        for (const auto& [name, values] : scores) token[name] = number_or_null(values[t]);
        json.push_back(std::move(token));
    }
    return json;
}

/// Errors: Error for a broken request, a direction that is gone or of another run, or too much of it.
std::optional<Steering> parse_steering(const Json& request, std::size_t run, const Directions& directions) {
    const auto steer = request.find("steer");
    if (steer == request.end()) return std::nullopt;
    int id = 0;
    Steering steering;
    try {
        id = whole_number<int>(steer->at("direction"), "direction");
        steering.strength = steer->at("strength").get<double>();
    } catch (const Json::exception& e) {
        throw Error("the request cannot be read", json_reason(e), "");
    }
    if (!(std::abs(steering.strength) <= kStrongest) || steering.strength == 0)
        throw Error(fmt::format("a strength of {} steers nothing", steering.strength), "",
                    fmt::format("take one from -{0} to {0} that is not 0", kStrongest));
    const auto found = directions.get(id);
    if (found->run != run) throw Error("the direction was found in another run", "", "find it in this one");
    steering.site = found->site;
    steering.direction = found->direction;
    return steering;
}

fs::path make_temporary_folder() {
    std::string name = (fs::temp_directory_path() / "tomograph-live-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw Error("no folder for prompts can be made", "the temporary folder cannot be written: " + name,
                    "set TMPDIR to one that can");
    return name;
}

}  // namespace

struct LivePrompts::Read {
    int id = 0;
    std::size_t of = 0;  // the run whose maps it goes on
    fs::path folder;
    LivePrompt prompt;
    std::shared_ptr<const Run> run;
    std::mutex mutex;
    std::string placed_on;  // name and version of the map that it was laid on last
    std::shared_ptr<const ColumnSet> columns;

    std::optional<Json> effect;

    Read(int i, std::size_t o, fs::path f, LivePrompt p)
        : id(i), of(o), folder(std::move(f)), prompt(std::move(p)) {}
    Read(const Read&) = delete;
    Read& operator=(const Read&) = delete;
    ~Read() {
        run.reset();
        std::error_code ignored;
        fs::remove_all(folder, ignored);
    }
};

LivePrompt parse_prompt(const Json& json) {
    if (!json.is_object()) throw Error("the request is no JSON object", "", "");
    LivePrompt prompt;
    try {
        if (json.contains("text") == json.contains("messages"))
            throw Error("the request is no prompt", "it must have either 'text' or 'messages'", "");
        if (json.contains("text")) {
            prompt.text = json.at("text").get<std::string>();
            if (blank(prompt.text)) throw Error("the prompt is empty", "", "type something");
            check_characters(prompt.text);
            return prompt;
        }
        for (const Json& message : json.at("messages"))
            prompt.messages.push_back(
                {message.at("role").get<std::string>(), message.at("content").get<std::string>()});
    } catch (const Json::exception& e) {
        throw Error("the request cannot be read", json_reason(e), "");
    }
    for (const LivePrompt::Message& message : prompt.messages) {
        check_characters(message.role);
        check_characters(message.content);
    }
    if (std::ranges::all_of(prompt.messages, [](const auto& m) { return blank(m.content); }))
        throw Error("the prompt is empty", "", "type something");
    return prompt;
}

LivePrompts::LivePrompts(Catalog& catalog, LiveReader* reader)
    : catalog_(catalog),
      reader_(reader),
      directions_(catalog),
      tasks_("the prompt",
             Busy("another prompt is being read", "one is read at a time", "wait for it or cancel it")) {}

Json LivePrompts::describe() const {
    Json json = {{"model", reader_->model_name()},
                 {"tokens", reader_->most_tokens()},
                 {"chat", reader_->converses()},
                 {"steer", {{"least", kLeastOfGroup}, {"most", kMostOfGroup}, {"strength", kStrongest}}},
                 {"runs", Json::array()}};
    for (std::size_t i = 0; i < catalog_.n_runs(); ++i) {
        Json of = Json::object();
        try {
            const std::string note = reader_->check(*catalog_.run(i));
            if (!note.empty()) of["note"] = note;
        } catch (const Error& e) {
            of["refused"] = e.what();
        }
        json["runs"].push_back(std::move(of));
    }
    return json;
}

fs::path LivePrompts::folder() {
    const std::lock_guard lock(mutex_);
    if (!folder_) {
        folder_ = std::shared_ptr<fs::path>(new fs::path(make_temporary_folder()), [](const fs::path* path) {
            std::error_code ignored;
            fs::remove_all(*path, ignored);
            delete path;
        });
    }
    return *folder_;
}

int LivePrompts::start(const Json& request) {
    LivePrompt prompt = parse_prompt(request);
    std::size_t run = 0;
    try {
        run = whole_number(request, "run", std::size_t{0});
    } catch (const JsonError& e) {
        throw Error("the request cannot be read", e.what(), "");
    }
    reader_->check(*catalog_.run(run));
    prompt.steering = parse_steering(request, run, directions_);
    return tasks_.start(
        {{"run", run}}, [] {},
        [this, run, prompt = std::move(prompt)](Task& task) { return read(task, prompt, run); });
}

Json LivePrompts::read(Task& task, const LivePrompt& prompt, std::size_t run) {
    const auto began = std::chrono::steady_clock::now();
    const std::shared_ptr<const Run> like = catalog_.run(run);
    const auto made = std::make_shared<Read>(task.id(), run, folder() / std::to_string(task.id()), prompt);
    Json notes = reader_->read(prompt, *like, made->folder, task);
    made->run = std::make_shared<const Run>(Run::open(made->folder));
    if (const std::string note = reader_->check(*like); !note.empty()) notes.push_back(note);
    Json about = {{"tokens", tokens_json(*made->run)}, {"notes", std::move(notes)}, {"next", Json::array()}};
    const auto words = reader_->words(*made->run, made->run->n_tokens() - 1, kWords);
    if (!words.empty() && words.back().layer == made->run->n_layers() - 1)
        about["next"] = words_json(words.back().words);
    if (task.stop_requested()) throw Stopped("nothing is kept");
    about["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const std::lock_guard lock(mutex_);
    kept_.push_front(made);
    if (kept_.size() > kMostRead) kept_.pop_back();
    return about;
}

std::shared_ptr<LivePrompts::Read> LivePrompts::find(int id) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(kept_, [id](const auto& read) { return read->id == id; });
    if (found == kept_.end())
        throw Error(fmt::format("prompt {} is not at hand", id), "the last few are kept only",
                    "let it be read again");
    return *found;
}

std::shared_ptr<const ColumnSet> LivePrompts::map(int id, const std::string& name) {
    const auto read = find(id);
    const std::string version = catalog_.projection(read->of, name)->header.at("version");
    const std::string key = name + "/" + version;
    const std::lock_guard lock(read->mutex);
    if (read->columns && read->placed_on == key) return read->columns;
    const auto projection = catalog_.load(read->of, name);
    const Placed placed = catalog_.placer().place(*read->run, *catalog_.run(read->of), *projection,
                                                  fmt::format("{}/{}", read->of, key));
    ColumnSet set = projection_columns(*read->run, placed.projection);
    set.header["version"] = version;
    set.header["notes"] = placed.notes;
    read->columns = std::make_shared<const ColumnSet>(std::move(set));
    read->placed_on = key;
    return read->columns;
}

Json LivePrompts::nearest(int id, const std::string& name, std::int64_t row, int k) {
    const auto read = find(id);
    const auto map = catalog_.rows(read->of, name);
    const SelectedRows rows = select(*read->run, prompt_selection(*map->projection).selection);
    if (row < 0 || row >= rows.n_rows()) throw Error("the prompt has no such row on this map", "", "");
    Vector query(rows.dim());
    rows.read(row, row + 1, query.data());
    return nearest_json(nearest_to(map->rows, query, k));
}

Json LivePrompts::words(int id, std::int64_t token) {
    const auto read = find(id);
    if (token < 0 || token >= read->run->n_tokens()) throw Error("the prompt has no such token", "", "");
    Json json = Json::array();
    for (const LayerWords& layer : reader_->words(*read->run, token, kWords))
        json.push_back({{"layer", layer.layer}, {"words", words_json(layer.words)}});
    return json;
}

Json LivePrompts::effect(int id) {
    const auto read = find(id);
    const std::lock_guard lock(read->mutex);
    if (!read->effect) {
        const SteeringEffect effect =
            reader_->effect(read->prompt, *catalog_.run(read->of), kWords, kControls);
        read->effect = {{"divergence", effect.divergence},
                        {"control", effect.control},
                        {"plain", words_json(effect.plain)},
                        {"steered", words_json(effect.steered)}};
    }
    return *read->effect;
}

Json LivePrompts::apart(int id, std::int64_t token, int other, std::int64_t others_token,
                        const std::string& name) {
    const auto a = find(id), b = find(other);
    if (a->of != b->of) throw Error("these prompts were read for different runs", "", "");
    const auto projection = catalog_.load(a->of, name);
    const Selection selection = prompt_selection(*projection).selection;
    const SelectedRows rows = select(*a->run, selection), others = select(*b->run, selection);
    const auto at = [](const SelectedRows& all, std::int64_t of) {
        std::map<Site, std::int64_t> place;
        for (std::int64_t row = 0; row < all.n_rows(); ++row)
            if (all.labels().token[static_cast<std::size_t>(row)] == of) place[all.labels().site(row)] = row;
        if (place.empty()) throw Error("the prompt has no such token", "", "");
        return place;
    };
    const auto mine = at(rows, token), its = at(others, others_token);
    Json json = Json::array();
    Vector x(rows.dim()), y(others.dim());
    for (const auto& [site, row] : mine) {
        const auto found = its.find(site);
        if (found == its.end()) continue;
        rows.read(row, row + 1, x.data());
        others.read(found->second, found->second + 1, y.data());
        const VectorD u = x.cast<double>(), v = y.cast<double>();
        const double lengths = u.norm() * v.norm();
        json.push_back({{"component", component_name(site.component)},
                        {"layer", site.layer},
                        {"distance", (u - v).norm()},
                        {"cosine", lengths > 0 ? Json(u.dot(v) / lengths) : Json(nullptr)}});
    }
    return json;
}

fs::path LivePrompts::keep(int id, const std::string& name) {
    const auto read = find(id);
    if (name.empty() || name.size() > 100 || name.front() == '.' ||
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            std::string::npos)
        throw Error("'" + name + "' cannot name a run", "it becomes a folder's name",
                    "use letters, digits, - and _");
    const fs::path path = catalog_.beside() / name;
    OutputFolder out(path, FolderKind::run, Begin::fresh);
    fs::copy(read->folder, out.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    out.keep();
    return path;
}

}  // namespace tomograph
