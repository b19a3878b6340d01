#include "tomograph/capture/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/capture/plan.h"
#include "tomograph/capture/sink.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

constexpr std::size_t kWriteBuffers = 32'000'000;

void write_tokens(const std::filesystem::path& folder, const Model& model, const PromptSet& prompts,
                  const CapturePlan& plan) {
    std::vector<std::int32_t> ids, sequences, labels;
    AtomicFile lines(folder / "tokens.jsonl");
    std::string text;
    for (std::size_t s = 0; s < prompts.sequences.size(); ++s) {
        const Sequence& sequence = prompts.sequences[s];
        Json line = {{"sequence", s}, {"pieces", Json::array()}};
        for (std::size_t p = 0; p < sequence.tokens.size(); ++p) {
            const std::int32_t token = sequence.tokens[p];
            ids.push_back(token);
            sequences.push_back(static_cast<std::int32_t>(s));
            labels.push_back(sequence.labels.empty() ? -1 : sequence.labels[p]);
            line["pieces"].push_back(token < 0 ? Json("") : piece_to_json(model.piece(token)));
        }
        if (!sequence.labels.empty()) {
            for (const std::int32_t label : sequence.labels)
                line["labels"].push_back(label < 0 ? Json(nullptr)
                                                   : Json(prompts.labels[static_cast<std::size_t>(label)]));
        }
        text += json_text(line) + "\n";
        if (text.size() > (1u << 20)) {
            lines.write(text);
            text.clear();
        }
    }
    lines.write(text);
    lines.commit();
    const std::vector<std::int64_t> shape{plan.n_tokens};
    write_safetensors(folder / "tokens.safetensors", {{{"token_id", Dtype::i32, shape}, ids.data()},
                                                      {{"position", Dtype::i32, shape}, plan.position.data()},
                                                      {{"sequence", Dtype::i32, shape}, sequences.data()},
                                                      {{"label", Dtype::i32, shape}, labels.data()}});
}

Json describe_run(const Model& model, const Engine& engine, const PromptSet& prompts, const CapturePlan& plan,
                  const CaptureOptions& options) {
    const ModelInfo& info = model.info();
    Json json = {{"format", kRunFormat},
                 {"program", {{"name", "tomograph"}, {"version", kVersion}}},
                 {"status", "incomplete"}};
    json["model"] = {{"name", info.name},
                     {"path", info.path},
                     {"architecture", info.architecture},
                     {"type", info.type},
                     {"d_model", info.d_model},
                     {"n_layers", info.n_layers},
                     {"n_heads", info.n_heads},
                     {"n_kv_heads", info.n_kv_heads},
                     {"context_length", info.context_length},
                     {"n_vocab", info.n_vocab},
                     {"n_parameters", info.n_parameters},
                     {"file_bytes", info.file_bytes},
                     {"learned_positions", info.learned_positions}};
    json["prompts"] = prompts.description;
    json["labels"] = prompts.labels;
    if (prompts.label_outside_means >= 0)
        json["means_without_label"] = prompts.labels[static_cast<std::size_t>(prompts.label_outside_means)];
    json["capture"] = {{"vectors", options.vectors},      {"dtype", dtype_name(options.dtype)},
                       {"layers", options.layers.text()}, {"positions", options.positions.text()},
                       {"sample", options.sample},        {"seed", options.seed},
                       {"exact", options.exact},          {"rope_off", options.rope_off}};
    for (const Component component : options.components)
        json["capture"]["components"].push_back(component_name(component));
    json["n_tokens"] = plan.n_tokens;
    json["n_rows"] = 0;
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        const SiteShape& site = engine.sites()[plan.sites[i]];
        const bool stored = std::find(plan.stored.begin(), plan.stored.end(), i) != plan.stored.end();
        json["sites"].push_back({{"name", site.site.name()}, {"shape", site.shape}, {"vectors", stored}});
    }
    json["shards"] = Json::array();
    return json;
}

/// Hands what the engine shows to the sinks, counted in tokens of the whole run.
class SinkTap final : public Tap {
  public:
    SinkTap(StatsSink& stats) : stats_(stats) {}
    void begin(std::int64_t first_token, ShardSink* shard) {
        first_token_ = first_token;
        shard_ = shard;
    }
    void take(const SiteBatch& batch) override {
        const std::int64_t first = first_token_ + batch.first_token;
        stats_.take(batch.site, first, batch.n_tokens, batch.width, batch.data);
        if (shard_ != nullptr) shard_->take(batch.site, first, batch.n_tokens, batch.width, batch.data);
    }

  private:
    StatsSink& stats_;
    ShardSink* shard_ = nullptr;
    std::int64_t first_token_ = 0;
};

}  // namespace

CaptureSummary capture(const Model& model, const PromptSet& prompts, const std::filesystem::path& out,
                       const CaptureOptions& options, Progress& progress) {
    check_output_folder(out, options.force);
    std::int64_t longest = 1;
    for (const Sequence& sequence : prompts.sequences) longest = std::max(longest, sequence.length());
    Engine engine(model, {.max_length = longest,
                          .exact = options.exact,
                          .rope_off = options.rope_off,
                          .threads = options.threads,
                          .stop_requested = [&progress] { return progress.stop_requested(); }});
    const CapturePlan plan = plan_capture(engine, model.info(), prompts, options);

    OutputFolder folder(out, options.force);
    std::filesystem::create_directories(folder.path() / "stats");
    if (options.vectors) std::filesystem::create_directories(folder.path() / "vectors");
    write_tokens(folder.path(), model, prompts, plan);
    Json run = describe_run(model, engine, prompts, plan, options);
    write_json(folder.path() / "run.json", run);

    const auto began = std::chrono::steady_clock::now();
    CaptureSummary summary{static_cast<std::int64_t>(prompts.sequences.size()), plan.n_tokens, plan.n_rows,
                           plan.sites.size()};
    StatsSink stats(folder.path() / "stats", plan, engine.sites());
    WriteQueue queue(kWriteBuffers);
    SinkTap tap(stats);
    std::optional<ShardSink> shard;
    auto next_shard = plan.shards.begin();
    std::int64_t rows_written = 0;
    progress.begin("capture " + model.info().name, plan.n_tokens, "tokens");
    for (std::size_t b = 0; b < plan.batches.size(); ++b) {
        if (progress.stop_requested())
            throw Stopped(
                fmt::format("{} of {} tokens were read", plan.batches[b].first_token, plan.n_tokens));
        const auto& batch = plan.batches[b];
        if (next_shard != plan.shards.end() && next_shard->first_batch == b) {
            shard.emplace(folder.path() / "vectors" /
                              fmt::format("{:06}.safetensors", next_shard - plan.shards.begin()),
                          plan, *next_shard, engine.sites(), options.dtype, queue);
        }
        tap.begin(batch.first_token, shard ? &*shard : nullptr);
        engine.run(std::span(prompts.sequences).subspan(batch.first_sequence, batch.n_sequences), plan.sites,
                   tap, b == 0);
        folder.keep();
        if (shard && b + 1 == next_shard->first_batch + next_shard->n_batches) {
            const Json entry = shard->finish();
            summary.bytes += entry.at("bytes").get<std::uint64_t>();
            rows_written += next_shard->n_rows;
            run["shards"].push_back(entry);
            run["n_rows"] = rows_written;
            write_json(folder.path() / "run.json", run);
            shard.reset();
            ++next_shard;
        }
        progress.update(batch.first_token + batch.n_tokens);
    }
    stats.finish();
    run["status"] = "complete";
    write_json(folder.path() / "run.json", run);
    progress.end();
    summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return summary;
}

}  // namespace tomograph
