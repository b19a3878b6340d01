#include "tomograph/capture/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/threads.h"
#include "tomograph/base/version.h"
#include "tomograph/capture/axes.h"
#include "tomograph/capture/plan.h"
#include "tomograph/capture/shard_moments.h"
#include "tomograph/engine/score.h"
#include "tomograph/engine/truncated.h"
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
        if (!sequence.source.empty()) add(sequence.source);
        for (const auto& column : sequence.columns) add(column);
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
                       {"dtype", options.dtype ? dtype_name(*options.dtype) : "auto"},
                       {"layers", options.layers.text()},
                       {"positions", options.positions.text()},
                       {"sample", options.sample},
                       {"seed", options.seed},
                       {"exact", options.exact},
                       {"rope_off", options.rope_off},
                       {"shard_bytes", options.shard_bytes}};
    const Keep& keep = options.keep;
    if (!keep.means) json["capture"]["means"] = false;
    if (keep.moments) json["capture"]["moments"] = true;
    if (keep.scores > 0) {
        json["capture"]["scores"] = keep.scores;
        json["capture"]["fit_tokens"] = keep.fit_tokens;
    }
    if (options.part.of > 1) json["capture"]["parts"] = options.part.of;
    if (options.context > 0) json["capture"]["context"] = options.context;
    if (options.rope_frequency != 1) json["capture"]["rope_frequency"] = options.rope_frequency;
    if (options.intervention) json["capture"]["acts"] = options.intervention->acts;
    for (const Component component : options.components)
        json["capture"]["components"].push_back(component_name(component));
    return json;
}

/// Column `type`: what each token is to the vocabulary. Left out where they are all the same.
void add_types(RunPlan& run, const Vocabulary& vocabulary) {
    std::map<std::int32_t, TokenType> type_of;
    for (const std::int32_t token : run.tokens.token_id) {
        if (token >= 0 && !type_of.contains(token)) type_of[token] = vocabulary.type(token);
    }
    std::map<TokenType, std::int32_t> index;
    for (const auto& [token, type] : type_of) index.emplace(type, 0);
    if (index.size() < 2) return;
    LabelColumn column{"type"};
    for (auto& [type, number] : index) {
        number = static_cast<std::int32_t>(column.words.size());
        column.words.emplace_back(token_type_name(type));
    }
    std::vector<std::int32_t> entries;
    for (const std::int32_t token : run.tokens.token_id)
        entries.push_back(token < 0 ? -1 : index[type_of[token]]);
    run.columns.push_back(std::move(column));
    run.tokens.further.push_back(std::move(entries));
}

RunPlan plan_run(const LanguageModel& model, const Engine& engine, const PromptSet& prompts,
                 const CapturePlan& plan, const CaptureOptions& options, std::shared_ptr<const Basis> basis) {
    RunPlan run{.description = describe(model, prompts, options),
                .basis = std::move(basis),
                .sums = plan.sums,
                .means = plan.means,
                .moments = options.keep.moments,
                .labels = prompts.labels,
                .label_outside_means = prompts.label_outside_means,
                .kept = plan.kept};
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        run.sites.push_back(engine.sites()[plan.sites[i]]);
        run.stored.push_back(plan.is_written(i) ? std::optional(options.dtype.value_or(Dtype::f16))
                                                : std::nullopt);
    }
    for (const CapturePlan::Shard& shard : plan.shards) run.shard_ends.push_back(shard.end_token);
    run.part_ends = plan.part_ends;
    run.columns = prompts.columns;
    run.tokens.further.resize(run.columns.size());
    run.texts = prompts.texts;
    if (options.scores) run.scores = {"logprob", "entropy", "rank"};
    std::int32_t number = 0;
    for (const Sequence& sequence : prompts.sequences) {
        for (std::size_t p = 0; p < sequence.tokens.size(); ++p) {
            run.tokens.token_id.push_back(sequence.tokens[p]);
            run.tokens.position.push_back(static_cast<std::int32_t>(p));
            run.tokens.sequence.push_back(number);
            run.tokens.label.push_back(sequence.labels.empty() ? -1 : sequence.labels[p]);
        }
        for (std::size_t c = 0; c < prompts.columns.size(); ++c) {
            const bool has = c < sequence.columns.size() && !sequence.columns[c].empty();
            auto& entries = run.tokens.further[c];
            if (has) entries.insert(entries.end(), sequence.columns[c].begin(), sequence.columns[c].end());
            entries.resize(run.tokens.token_id.size(), -1);
        }
        ++number;
    }
    add_types(run, model.vocabulary());
    run.piece = [&model, ids = run.tokens.token_id](std::int64_t token) {
        const std::int32_t id = ids[static_cast<std::size_t>(token)];
        return id < 0 ? std::string() : model.vocabulary().piece(id);
    };
    return run;
}

/// Hands what the engine shows to the writer, counted in tokens of the whole run.
class WriterTap final : public Tap {
  public:
    WriterTap(RunWriter& writer, int threads)
        : writer_(writer), tokens_(writer.plan().tokens.token_id), moments_(writer.plan(), threads) {
        if (writer.plan().basis) scorer_.emplace(writer.plan().basis);
    }
    void begin_shard() {
        if (writer_.plan().moments) moments_.begin();
    }
    /// All of the shard's batches have been run.
    void end_shard() {
        if (writer_.plan().moments) moments_.write(writer_);
    }
    /// `predicting`: the tokens of the batch whose logits come, in order.
    void begin(const CapturePlan::Batch& batch, const std::vector<std::int64_t>& predicting) {
        first_token_ = batch.first_token;
        predicting_ = &predicting;
        for (auto& score : scores_)
            score.assign(static_cast<std::size_t>(batch.n_tokens), std::numeric_limits<float>::quiet_NaN());
    }
    void take(const SiteBatch& batch) override {
        const std::int64_t first = first_token_ + batch.first_token;
        Scored scored;
        if (scorer_) {
            scored = scorer_->score(batch.site, batch.n_tokens, batch.data);
            writer_.take(batch.site, first, batch.n_tokens, batch.data, scored);
        } else {
            writer_.take(batch.site, first, batch.n_tokens, batch.data);
        }
        if (writer_.plan().moments) moments_.add(batch.site, first, batch.n_tokens, batch.data, scored);
    }
    void take_logits(std::size_t which, std::span<const float> logits) override {
        const auto next = static_cast<std::size_t>((*predicting_)[which] + 1);
        const TokenScore score = score_token(logits, tokens_[static_cast<std::size_t>(first_token_) + next]);
        scores_[0][next] = score.logprob;
        scores_[1][next] = score.entropy;
        scores_[2][next] = score.rank;
    }
    void take_sum_error(double error) override { sum_error_ = error; }
    double sum_error() const { return sum_error_; }
    /// The batch has been run: its scores go to the writer, and its log-probabilities to a sum and a count.
    void end(double& sum, std::int64_t& count) {
        for (std::size_t i = 0; i < scores_.size(); ++i)
            writer_.take_scores(i, first_token_, std::ssize(scores_[i]), scores_[i].data());
        for (const float logprob : scores_[0]) {
            if (std::isnan(logprob)) continue;
            sum += static_cast<double>(logprob);
            ++count;
        }
    }

  private:
    RunWriter& writer_;
    const std::vector<std::int32_t>& tokens_;  // of the run
    std::optional<Scorer> scorer_;
    ShardMoments moments_;
    std::int64_t first_token_ = 0;
    const std::vector<std::int64_t>* predicting_ = nullptr;
    double sum_error_ = 0;
    std::array<std::vector<float>, 3> scores_;  // logprob, entropy, rank of the batch's tokens
};

/// Tokens of a batch that predict another one: all but the last of each sequence, and none of raw vectors.
std::vector<std::int64_t> predicting_tokens(std::span<const Sequence> batch) {
    std::vector<std::int64_t> tokens;
    std::int64_t first = 0;
    for (const Sequence& sequence : batch) {
        for (std::int64_t p = 0; p + 1 < sequence.length(); ++p) {
            if (sequence.tokens[static_cast<std::size_t>(p) + 1] >= 0) tokens.push_back(first + p);
        }
        first += sequence.length();
    }
    return tokens;
}

/// Shards [begin, end) of one part, and what is in them.
struct PartOfPlan {
    std::size_t begin = 0, end = 0;
    std::int64_t n_sequences = 0, first_token = 0, end_token = 0, n_rows = 0;
};

PartOfPlan part_of(const CapturePlan& plan, const Part& asked) {
    PartOfPlan part{.end = plan.shards.size()};
    if (!plan.part_ends.empty()) {
        const auto number = static_cast<std::size_t>(asked.number);
        part.begin = number == 1 ? 0 : plan.part_ends[number - 2];
        part.end = plan.part_ends[number - 1];
    }
    if (part.begin == part.end) return part;
    part.first_token = plan.shards[part.begin].begin_token;
    part.end_token = plan.shards[part.end - 1].end_token;
    for (const CapturePlan::Batch& batch : plan.batches) {
        if (batch.first_token >= part.first_token && batch.first_token < part.end_token)
            part.n_sequences += static_cast<std::int64_t>(batch.n_sequences);
    }
    part.n_rows =
        std::count(plan.kept.begin() + part.first_token, plan.kept.begin() + part.end_token, std::uint8_t{1});
    return part;
}

}  // namespace

EngineOptions engine_options(const PromptSet& prompts, const CaptureOptions& options, Progress& progress) {
    return {.max_length = std::max<std::int64_t>(longest_read(prompts.sequences), 1),
            .exact = options.exact,
            .rope_off = options.rope_off,
            .rope_frequency = options.rope_frequency,
            .states = std::ranges::any_of(options.components, of_sequence),
            .threads = options.threads,
            .stop_requested = [&progress] { return progress.stop_requested(); }};
}

std::unique_ptr<Engine> capture_engine(const LanguageModel& model, const PromptSet& prompts,
                                       const CaptureOptions& options, Progress& progress) {
    EngineOptions how = engine_options(prompts, options, progress);
    if (options.context == 0) return model.make_engine(how);
    // What is read anew for each token is short; a source is read whole.
    const std::int64_t longest = longest_length(prompts.sequences);
    if (options.context < longest)
        how.max_length = how.max_length > longest ? how.max_length : options.context;
    const Json start = prompts.description.value("start_token", Json());
    return std::make_unique<TruncatedContext>(
        model.make_engine(how), options.context,
        start.is_number() ? std::optional(start.get<std::int32_t>()) : std::nullopt);
}

CaptureSummary capture(const LanguageModel& model, const PromptSet& prompts, const std::filesystem::path& out,
                       const CaptureOptions& options, Progress& progress) {
    check_output_folder(out, FolderKind::run, options.begin);
    const auto engine = capture_engine(model, prompts, options, progress);
    return capture(model, *engine, prompts, out, options, progress);
}

CaptureSummary capture(const LanguageModel& model, Engine& engine, const PromptSet& prompts,
                       const std::filesystem::path& out, const CaptureOptions& options, Progress& progress) {
    check_output_folder(out, FolderKind::run, options.begin);
    if (options.scores && !model.info().causal)
        throw Error("cannot keep scores of " + model.info().name,
                    "its tokens see those that follow them, and none is predicted", "leave out --scores");
    const CapturePlan plan = plan_capture(engine, model.info(), prompts, options);
    const PartOfPlan part = part_of(plan, options.part);
    if (part.begin == part.end) {
        return {.n_sites = plan.sites.size(),
                .notes = {fmt::format("part {}/{} has no sequences: they make {} batches",
                                      options.part.number, options.part.of, plan.batches.size())}};
    }
    std::shared_ptr<const Basis> axes;
    if (options.keep.scores > 0) axes = find_axes(engine, prompts, plan, out, options, progress);
    RunWriter writer(out, plan_run(model, engine, prompts, plan, options, std::move(axes)),
                     {.begin = options.begin, .threads = thread_count(options.threads)});

    const auto began = std::chrono::steady_clock::now();
    CaptureSummary summary{part.n_sequences, part.end_token - part.first_token, part.n_rows,
                           plan.sites.size()};
    WriterTap tap(writer, options.threads);
    bool checked = false;
    double logprob = 0;
    std::int64_t n_scored = 0;
    const Dtype after_float16 = options.exact || options.keep.scores > 0 ? Dtype::f32 : Dtype::bf16;
    std::optional<Dtype> wider;  // once float16 cannot hold what is there
    const auto read_shard = [&](std::size_t s) {
        writer.begin_shard(s, wider);
        tap.begin_shard();
        const CapturePlan::Shard& shard = plan.shards[s];
        double sum = 0;
        std::int64_t count = 0;
        for (const auto& batch : std::span(plan.batches).subspan(shard.first_batch, shard.n_batches)) {
            if (progress.stop_requested()) throw Stopped("");
            const auto sequences =
                std::span(prompts.sequences).subspan(batch.first_sequence, batch.n_sequences);
            Plan doing{.reads = plan.sites, .check_sums = !std::exchange(checked, true)};
            if (options.scores) doing.logits = predicting_tokens(sequences);
            if (options.intervention)
                doing.writes = options.intervention->writes(batch.first_sequence, batch.n_sequences);
            tap.begin(batch, doing.logits);
            engine.run(sequences, doing, tap);
            summary.sum_error = std::max(summary.sum_error, tap.sum_error());
            if (options.scores) tap.end(sum, count);
            progress.update(batch.first_token + batch.n_tokens - part.first_token);
        }
        tap.end_shard();
        writer.end_shard();
        logprob += sum;
        n_scored += count;
    };
    std::int64_t kept = 0;
    const auto what_is_kept = [&] {
        return kept == 0
                   ? "nothing is kept"
                   : fmt::format("{} of {} tokens are kept, go on with --resume", kept, summary.n_tokens);
    };
    progress.begin("capture " + model.info().name, summary.n_tokens, "tokens");
    try {
        for (std::size_t s = part.begin; s < part.end; ++s) {
            const auto [first_token, end_token] = writer.shard_tokens(s);
            if (writer.is_whole(s)) {
                summary.n_tokens_found += end_token - first_token;
                if (!options.dtype && writer.is_widened(s)) wider = after_float16;
            } else {
                try {
                    read_shard(s);
                } catch (const Float16Overflow& overflow) {
                    if (options.dtype) throw;
                    wider = after_float16;
                    const std::string why = overflow.what();
                    summary.notes.push_back(fmt::format("{} are kept as {} from token {} on: {}",
                                                        options.keep.scores > 0 ? "scores" : "vectors",
                                                        dtype_name(*wider), first_token,
                                                        why.substr(0, why.find(';'))));
                    read_shard(s);
                }
            }
            kept += end_token - first_token;
            progress.update(end_token - part.first_token);
        }
        writer.finish();
    } catch (const Stopped&) {
        throw Stopped(what_is_kept());
    } catch (const Error& e) {
        if (kept == 0) throw;
        throw Error(e.what(), "", what_is_kept());
    }
    if (n_scored > 0) summary.mean_logprob = logprob / static_cast<double>(n_scored);
    summary.bytes = writer.vector_bytes();
    progress.end();
    summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return summary;
}

}  // namespace tomograph
