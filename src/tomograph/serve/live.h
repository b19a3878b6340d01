#pragma once
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/serve/catalog.h"
#include "tomograph/serve/directions.h"
#include "tomograph/serve/jobs.h"
#include "tomograph/serve/task.h"

namespace tomograph {

/// What is added to what the model computes while it reads: at a site, for every token but the first, whose
/// vector holds a sequence's rest in place. Of a prompt of one token, for that one.
struct Steering {
    Site site;
    Vector direction;     ///< [d_model]
    double strength = 1;  ///< so many times
};

/// What a page asks to be read: a text, or a conversation.
struct LivePrompt {
    struct Message {
        std::string role, content;
    };
    std::string text;               ///< empty: a conversation
    std::vector<Message> messages;  ///< empty: a text
    std::optional<Steering> steering = std::nullopt;
};

/// What a model would say after some token, most probable first.
struct LiveWord {
    std::int32_t token = -1;
    std::string text;  ///< safe for eyes
    double p = 0;
};
struct LayerWords {
    int layer = 0;
    std::vector<LiveWord> words;
};

/// What steering does to the word after a prompt, beside what as long a push in no direction does.
/// Divergences are Kullback-Leibler's, of the plain next word from the steered one, in nats.
struct SteeringEffect {
    double divergence = 0;
    /// Of random directions, each as long as the steering's push, at the same site and tokens.
    std::vector<double> control;
    std::vector<LiveWord> plain, steered;  ///< most probable first
};

/// A model that reads what is typed into a page. Nothing here knows what runs it. Safe from several threads.
class LiveReader {
  public:
    virtual ~LiveReader() = default;

    virtual std::string model_name() const = 0;
    /// Tokens of a prompt at most.
    virtual std::int64_t most_tokens() const = 0;
    /// Does it know how to write out a conversation?
    virtual bool converses() const = 0;
    /// Whether prompts that it reads belong on the run's maps. What the user should know, a sentence; empty:
    /// nothing. Errors: Error when its vectors are of another kind than the run's.
    virtual std::string check(const Run& run) const = 0;
    /// Reads a prompt into the run folder `out`, captured as `like` was, with scores. Gives notes. Errors:
    /// Error for a prompt that is too long or cannot be read; Stopped.
    virtual std::vector<std::string> read(const LivePrompt& prompt, const Run& like,
                                          const std::filesystem::path& out, Progress& progress) = 0;
    /// What each layer's stream would say next after a token of a run that read() wrote, by the end of the
    /// model that the last one goes through; the last layer's is what the model says. Empty: it cannot be
    /// told.
    virtual std::vector<LayerWords> words(const Run& prompt, std::int64_t token, int n_words) = 0;
    /// Measures a prompt's steering, by `n_control` random directions. Errors: as read(); Error when the
    /// prompt is not steered.
    virtual SteeringEffect effect(const LivePrompt& prompt, const Run& like, int n_words, int n_control) = 0;
};

/// Errors: Error when it is none: no text, control characters, neither or both of text and messages.
LivePrompt parse_prompt(const Json& json);

/// Prompts typed into a page: one is read at a time, the last few are kept as small runs in a temporary
/// folder until the program ends. Safe from several threads.
class LivePrompts {
  public:
    /// `reader`: null where no model was given. Both must outlive this.
    LivePrompts(Catalog& catalog, LiveReader* reader);

    bool on() const { return reader_ != nullptr; }
    /// For the manifest: {"model", "tokens", "chat", "steer": {"least", "most": points of each group,
    /// "strength": either way at most}, "runs": [{"note"} or {"refused"}, ...]}.
    Json describe() const;

    /// {"run", "text"} or {"run", "messages": [{"role", "content"}, ...]}, and to steer it also "steer":
    /// {"direction": one of directions(), "strength"}. Errors: Busy; Error for a broken request, a run of
    /// another model or a direction of another run.
    int start(const Json& request);
    /// As Task::status(), with "run"; once it is done also "tokens": [{"id", "text", "label", "logprob",
    /// "entropy", "rank"}, ...], "notes", "next": [{"text", "p"}, ...] and "seconds".
    Json status(int id) const { return tasks_.status(id); }
    void cancel(int id) { tasks_.cancel(id); }

    /// The prompt's rows on a map of its run, as projection_columns(), with "notes" in the header.
    std::shared_ptr<const ColumnSet> map(int id, const std::string& name);
    /// Rows of the map nearest to a row of map(), in the full space, as JSON.
    Json nearest(int id, const std::string& name, std::int64_t row, int k);
    /// [{"layer", "words": [{"text", "p"}, ...]}, ...] after a token of the prompt.
    Json words(int id, std::int64_t token);
    /// [{"component", "layer", "distance", "cosine"}, ...]: how far apart a token of one prompt and a token
    /// of another are at each site of a map, in the full space, as the map normalises.
    Json apart(int id, std::int64_t token, int other, std::int64_t others_token, const std::string& name);
    /// {"divergence", "control": [divergence, ...], "plain": [{"text", "p"}, ...], "steered": [...]} of a
    /// prompt that was steered.
    Json effect(int id);
    Directions& directions() { return directions_; }
    /// Copies the prompt's run into a folder beside what is shown. Errors: Error when there is one of this
    /// name, or it cannot be written. Gives its path.
    std::filesystem::path keep(int id, const std::string& name);

  private:
    struct Read;  // a prompt that was read
    std::shared_ptr<Read> find(int id) const;
    std::filesystem::path folder();
    Json read(Task& task, const LivePrompt& prompt, std::size_t run);

    Catalog& catalog_;
    LiveReader* reader_;
    Directions directions_;
    mutable std::mutex mutex_;                       // of what follows
    std::shared_ptr<std::filesystem::path> folder_;  // of all prompts, from the first on; goes with its owner
    std::list<std::shared_ptr<Read>> kept_;          // newest first
    Tasks tasks_;                                    // ends first
};

}  // namespace tomograph
