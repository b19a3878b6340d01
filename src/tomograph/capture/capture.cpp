#include "tomograph/capture/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/version.h"
#include "tomograph/capture/plan.h"
#include "tomograph/store/run_writer.h"

namespace tomograph {
namespace {

/// Of all that the model is to read: sequence by sequence its length, tokens, labels and raw vectors.
std::string hash_of(const PromptSet& prompts) {
    std::string all;
    const auto add = [&](const auto& values) {
        const auto bytes = std::as_bytes(std::span(values));
        all += fmt::format("{}:", bytes.size());
        // Vectors are long: their own checksum stands for them.
        all += xxh3_128(bytes);
    };
    for (const Sequence& sequence : prompts.sequences) {
        add(sequence.tokens);
        add(sequence.labels);
        add(sequence.vectors);
    }
    return xxh3_128(std::as_bytes(std::span(all)));
}

Json describe(const LanguageModel& model, const PromptSet& prompts, const CaptureOptions& options) {
    Json json = {{"program", {{"name", "tomograph"}, {"version", kVersion}}}};
    json["program"]["backend"] = model.backend();
    if (!options.command.empty()) json["program"]["command"] = options.command;
    json["model"] = model_json(model.info());
    json["model"]["xxh3_128"] = model.checksum();
    json["prompts"] = prompts.description;
    json["prompts"]["xxh3_128"] = hash_of(prompts);
    json["capture"] = {{"vectors", options.vectors},
                       {"dtype", dtype_name(options.dtype)},
                       {"layers", options.layers.text()},
                       {"positions", options.positions.text()},
                       {"sample", options.sample},
                       {"seed", options.seed},
                       {"exact", options.exact},
                       {"rope_off", options.rope_off},
                       {"shard_bytes", options.shard_bytes}};
    for (const Component component : options.components)
        json["capture"]["components"].push_back(component_name(component));
    return json;
}

RunPlan plan_run(const LanguageModel& model, const Engine& engine, const PromptSet& prompts,
                 const CapturePlan& plan, const CaptureOptions& options) {
    RunPlan run{.description = describe(model, prompts, options),
                .labels = prompts.labels,
                .label_outside_means = prompts.label_outside_means,
                .kept = plan.kept};
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        run.sites.push_back(engine.sites()[plan.sites[i]]);
        run.stored.push_back(plan.stored[i] ? std::optional(options.dtype) : std::nullopt);
    }
    for (const CapturePlan::Shard& shard : plan.shards) run.shard_ends.push_back(shard.end_token);
    std::int32_t number = 0;
    for (const Sequence& sequence : prompts.sequences) {
        for (std::size_t p = 0; p < sequence.tokens.size(); ++p) {
            run.tokens.token_id.push_back(sequence.tokens[p]);
            run.tokens.position.push_back(static_cast<std::int32_t>(p));
            run.tokens.sequence.push_back(number);
            run.tokens.label.push_back(sequence.labels.empty() ? -1 : sequence.labels[p]);
        }
        ++number;
    }
    run.piece = [&model, ids = run.tokens.token_id](std::int64_t token) {
        const std::int32_t id = ids[static_cast<std::size_t>(token)];
        return id < 0 ? std::string() : model.vocabulary().piece(id);
    };
    return run;
}

/// Hands what the engine shows to the writer, counted in tokens of the whole run.
class WriterTap final : public Tap {
  public:
    explicit WriterTap(RunWriter& writer) : writer_(writer) {}
    void begin(std::int64_t first_token) { first_token_ = first_token; }
    void take(const SiteBatch& batch) override {
        writer_.take(batch.site, first_token_ + batch.first_token, batch.n_tokens, batch.data);
    }

  private:
    RunWriter& writer_;
    std::int64_t first_token_ = 0;
};

}  // namespace

CaptureSummary capture(const LanguageModel& model, const PromptSet& prompts, const std::filesystem::path& out,
                       const CaptureOptions& options, Progress& progress) {
    check_output_folder(out, FolderKind::run, options.begin);
    std::int64_t longest = 1;
    for (const Sequence& sequence : prompts.sequences) longest = std::max(longest, sequence.length());
    const auto made =
        model.make_engine({.max_length = longest,
                           .exact = options.exact,
                           .rope_off = options.rope_off,
                           .threads = options.threads,
                           .stop_requested = [&progress] { return progress.stop_requested(); }});
    Engine& engine = *made;
    const CapturePlan plan = plan_capture(engine, model.info(), prompts, options);
    RunWriter writer(out, plan_run(model, engine, prompts, plan, options), {.begin = options.begin});

    const auto began = std::chrono::steady_clock::now();
    CaptureSummary summary{static_cast<std::int64_t>(prompts.sequences.size()), plan.n_tokens, plan.n_rows,
                           plan.sites.size()};
    WriterTap tap(writer);
    bool checked = false;
    std::int64_t kept = 0;
    const auto what_is_kept = [&] {
        return kept == 0 ? "nothing is kept"
                         : fmt::format("{} of {} tokens are kept, go on with --resume", kept, plan.n_tokens);
    };
    progress.begin("capture " + model.info().name, plan.n_tokens, "tokens");
    try {
        for (std::size_t s = 0; s < plan.shards.size(); ++s) {
            const auto [first_token, end_token] = writer.shard_tokens(s);
            if (writer.is_whole(s)) {
                summary.n_tokens_found += end_token - first_token;
            } else {
                writer.begin_shard(s);
                const CapturePlan::Shard& shard = plan.shards[s];
                for (const auto& batch :
                     std::span(plan.batches).subspan(shard.first_batch, shard.n_batches)) {
                    if (progress.stop_requested()) throw Stopped("");
                    tap.begin(batch.first_token);
                    engine.run(std::span(prompts.sequences).subspan(batch.first_sequence, batch.n_sequences),
                               {.reads = plan.sites, .check_sums = !std::exchange(checked, true)}, tap);
                    progress.update(batch.first_token + batch.n_tokens);
                }
                writer.end_shard();
            }
            kept += end_token - first_token;
            progress.update(end_token);
        }
        writer.finish();
    } catch (const Stopped&) {
        throw Stopped(what_is_kept());
    } catch (const Error& e) {
        if (kept == 0) throw;
        throw Error(e.what(), "", what_is_kept());
    }
    summary.bytes = writer.vector_bytes();
    progress.end();
    summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return summary;
}

}  // namespace tomograph
