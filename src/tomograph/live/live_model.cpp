#include "tomograph/live/live_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "tomograph/base/error.h"
#include "tomograph/capture/capture.h"
#include "tomograph/engine/given.h"
#include "tomograph/live/steering.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/store/run_acts.h"

namespace tomograph {
namespace {

/// How the run's model was asked to read: an engine of the same kind gives the same vectors.
struct Manner {
    bool exact = false, rope_off = false;
    bool operator==(const Manner&) const = default;
};

Json capture_json(const Run& run) {
    return run.json().value("capture", Json::object());
}

Manner manner_of(const Run& run) {
    const Json capture = capture_json(run);
    return {capture.value("exact", false), capture.value("rope_off", false)};
}

/// Whether its sequences begin with a start token.
Start start_of(const Run& run) {
    const Json prompts = run.json().value("prompts", Json::object());
    const auto start = prompts.find("start_token");
    if (start == prompts.end()) return Start::model;
    return start->is_null() ? Start::no : Start::yes;
}

/// What is kept of a run's tokens is kept of a prompt's, and the stream, which the words are read from.
CaptureOptions capture_options(const Run& run) {
    const Json capture = capture_json(run);
    const Manner manner = manner_of(run);
    CaptureOptions options{.scores = true, .exact = manner.exact, .rope_off = manner.rope_off};
    const auto add = [](std::vector<Component>& list, Component component) {
        if (std::ranges::find(list, component) == list.end()) list.push_back(component);
    };
    for (const SiteShape& shape : run.sites()) {
        add(options.components, shape.site.component);
        if (run.has_vectors(shape.site)) add(options.vector_components, shape.site.component);
    }
    add(options.components, Component::resid_post);
    add(options.vector_components, Component::resid_post);
    options.layers = parse_range(capture.value("layers", ":"), "layers");
    options.dtype = find_dtype(capture.value("dtype", "auto"));  // none: auto
    return options;
}

/// Keeps the most probable words of each row of logits.
class WordsTap final : public Tap {
  public:
    WordsTap(const Vocabulary& vocabulary, std::vector<LayerWords>& into, int n_words)
        : vocabulary_(vocabulary), into_(into), n_words_(n_words) {}
    void take(const SiteBatch&) override {}
    void take_logits(std::size_t which, std::span<const float> logits) override {
        into_[which].words = likeliest(logits, vocabulary_, n_words_);
    }

  private:
    const Vocabulary& vocabulary_;
    std::vector<LayerWords>& into_;
    int n_words_;
};

}  // namespace

struct LiveModel::State {
    std::mutex one;  // an engine does one thing at a time
    std::optional<Manner> manner;
    std::unique_ptr<Engine> engine;
    std::atomic<const Progress*> asked{nullptr};  // by whom the engine is told to stop

    /// Makes another only where prompts are to be read in another manner than the last one.
    Engine& engine_for(const Manner& wanted, const LanguageModel& model, const LiveOptions& options) {
        if (engine && manner == wanted) return *engine;
        engine.reset();
        engine = model.make_engine({.max_length = options.most_tokens,
                                    .exact = wanted.exact,
                                    .rope_off = wanted.rope_off,
                                    .threads = options.threads,
                                    .stop_requested = [this] {
                                        const Progress* progress = asked;
                                        return progress != nullptr && progress->stop_requested();
                                    }});
        manner = wanted;
        return *engine;
    }
};

LiveModel::LiveModel(const LanguageModel& model, LiveOptions options)
    : model_(model), options_(std::move(options)), state_(std::make_unique<State>()) {
    const VocabularyInfo& info = model.vocabulary().info();
    if (info.bounded) options_.most_tokens = std::min(options_.most_tokens, info.context_length);
    state_->engine_for({}, model_, options_);
}

LiveModel::~LiveModel() = default;

std::string LiveModel::model_name() const {
    return model_.info().name;
}

bool LiveModel::converses() const {
    return !options_.chat_template.empty() || !model_.vocabulary().chat_template().empty();
}

std::string LiveModel::check(const Run& run) const {
    const Json own = model_json(model_.info());
    const Json& its = run.json().at("model");
    std::string differ;
    for (const char* key : {"architecture", "d_model", "n_layers", "n_vocab"}) {
        const auto found = its.find(key);
        if (found == its.end() || found->is_null() || *found == own.at(key)) continue;
        differ += fmt::format("{}{} {} and not {}", differ.empty() ? "" : ", ", key, json_text(own.at(key)),
                              json_text(*found));
    }
    const std::string whose =
        fmt::format("{} is not the model of {}", model_name(), run.path().filename().string());
    if (!differ.empty())
        throw Error(whose, differ,
                    "give --model the one that the run was captured from: " + run.model_name());
    const auto sum = its.find("xxh3_128");
    std::string note;
    if (sum == its.end() || *sum != model_.checksum())
        note =
            whose +
            " but one with other weights: where a prompt falls shows both what it says and how they differ";
    if (const std::string acts = acts_of(run); !acts.empty())
        note += fmt::format("{}the run's model was changed while it read ({}), the prompt's is not",
                            note.empty() ? "" : "; ", acts);
    return note;
}

/// The tokens of a prompt, one sequence. Errors: Error for one that is too long or none.
PromptSet LiveModel::tokens_of(const LivePrompt& prompt, const Run& like) const {
    const Vocabulary& vocabulary = model_.vocabulary();
    const std::int64_t most = options_.most_tokens;
    PromptSet set;
    if (prompt.messages.empty()) {
        // Longer than any text of a request: it is refused below, by its whole length.
        set = given_prompts(
            vocabulary, {.prompts = {prompt.text}, .length = std::int64_t{1} << 24, .start = start_of(like)});
    } else {
        std::vector<ChatMessage> messages;
        for (const auto& [role, content] : prompt.messages) messages.push_back({role, content});
        set = conversation_prompts(
            vocabulary, messages,
            {.length = most, .start = start_of(like), .chat_template = options_.chat_template});
    }
    const std::int64_t length = longest_length(set.sequences);
    if (length > most)
        throw Error(fmt::format("the prompt has {} tokens", length), fmt::format("{} are read at most", most),
                    "shorten it");
    return set;
}

std::vector<std::string> LiveModel::read(const LivePrompt& prompt, const Run& like,
                                         const std::filesystem::path& out, Progress& progress) {
    const PromptSet set = tokens_of(prompt, like);
    const std::lock_guard lock(state_->one);
    Engine& engine = state_->engine_for(manner_of(like), model_, options_);
    state_->asked = &progress;
    const auto nobody = [this](void*) { state_->asked = nullptr; };
    const std::unique_ptr<void, decltype(nobody)> until(state_.get(), nobody);
    CaptureOptions options = capture_options(like);
    if (prompt.steering) options.intervention = steered(engine, set, *prompt.steering);
    const CaptureSummary summary = capture(model_, engine, set, out, options, progress);
    std::vector<std::string> notes = set.notes;
    notes.insert(notes.end(), summary.notes.begin(), summary.notes.end());
    return notes;
}

SteeringEffect LiveModel::effect(const LivePrompt& prompt, const Run& like, int n_words, int n_control) {
    if (!prompt.steering) throw Error("this prompt was read without steering", "", "");
    const PromptSet set = tokens_of(prompt, like);
    const std::lock_guard lock(state_->one);
    return steering_effect(state_->engine_for(manner_of(like), model_, options_), model_.vocabulary(), set,
                           *prompt.steering, n_words, n_control);
}

std::vector<LayerWords> LiveModel::words(const Run& prompt, std::int64_t token, int n_words) {
    const std::lock_guard lock(state_->one);
    Engine& engine = state_->engine_for(manner_of(prompt), model_, options_);
    const Site last{Component::resid_post, model_.info().n_layers - 1};
    const auto site = std::ranges::find(engine.sites(), last, &SiteShape::site);
    std::vector<LayerWords> words;
    for (int layer = 0; layer <= last.layer; ++layer) {
        const Site stream{Component::resid_post, layer};
        if (prompt.has_site(stream) && prompt.has_vectors(stream)) words.push_back({layer, {}});
    }
    if (words.empty() || site == engine.sites().end() || !ends_alone(engine)) return {};

    const auto width = static_cast<std::size_t>(site->width());
    const std::size_t most = static_cast<std::size_t>(options_.most_tokens);
    for (std::size_t first = 0; first < words.size(); first += most) {
        const std::size_t n = std::min(most, words.size() - first);
        std::vector<LayerWords> some(words.begin() + static_cast<std::ptrdiff_t>(first),
                                     words.begin() + static_cast<std::ptrdiff_t>(first + n));
        std::vector<float> rows(n * width);
        for (std::size_t i = 0; i < n; ++i)
            prompt.read_rows({Component::resid_post, some[i].layer}, token, token + 1,
                             rows.data() + i * width);
        // Each layer's stream in place of the last one's.
        WordsTap tap(model_.vocabulary(), some, n_words);
        run_given(engine, static_cast<std::size_t>(site - engine.sites().begin()), rows, {}, tap);
        std::ranges::move(some, words.begin() + static_cast<std::ptrdiff_t>(first));
    }
    return words;
}

}  // namespace tomograph
