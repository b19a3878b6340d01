#include "tomograph/lens/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/findings/sample.h"
#include "tomograph/lens/lens.h"
#include "tomograph/statistics/answers.h"
#include "tomograph/store/run_acts.h"

namespace tomograph {
namespace {

constexpr std::size_t kTokens = 32;
// The stream as it was computed and the answer that the same pass came to.
constexpr double kHeadTolerance = 1e-3;
// The same text read again: other threads or processors round otherwise, and vectors were rounded as they
// were stored.
constexpr double kTolerance = 5e-2;

class AnswersTap final : public Tap {
  public:
    AnswersTap(Eigen::Index n_tokens, Eigen::Index width) : stream(n_tokens, width) {}
    void take(const SiteBatch& batch) override {
        std::copy_n(batch.data, batch.n_tokens * batch.width, stream.row(batch.first_token).data());
    }
    void take_logits(std::size_t, std::span<const float> logits) override {
        answers.push_back(answer_of(logits));
    }
    Matrix stream;  // of the last layer
    std::vector<Answer> answers;
};

/// Mean divergence of what the head makes of the stream from the answers.
double mean_divergence(ModelHead& head, const Matrix& stream, const std::vector<Answer>& answers) {
    const Matrix logits = head.from_stream(stream);
    double sum = 0;
    for (Eigen::Index i = 0; i < logits.rows(); ++i) {
        const LogitRow row = read_logits({logits.row(i).data(), static_cast<std::size_t>(logits.cols())});
        sum += divergence(answers[static_cast<std::size_t>(i)], row);
    }
    return sum / static_cast<double>(logits.rows());
}

/// How a run was captured, as far as it matters for what the model computes.
EngineOptions engine_options(const Run& run, std::int64_t length, int threads, Progress& progress) {
    const Json capture = run.json().value("capture", Json::object());
    return {.max_length = length,
            .exact = capture.value("exact", false),
            .rope_off = capture.value("rope_off", false),
            .rope_frequency = capture.value("rope_frequency", 1.0),
            .threads = threads,
            .stop_requested = [&progress] { return progress.stop_requested(); }};
}

}  // namespace

Site last_site(const LanguageModel& model, const Run& run) {
    const ModelInfo& info = model.info();
    const std::string path = run.path().string();
    const auto differ = [&](const std::string& why) {
        throw Error(fmt::format("{} is no run of {}", path, info.path), why,
                    "name the model that it was captured from with --model");
    };
    if (run.d_model() != info.d_model || run.n_layers() != info.n_layers)
        differ(fmt::format("it has {} layers of width {}, the model {} of {}", run.n_layers(), run.d_model(),
                           info.n_layers, info.d_model));
    if (const Json& described = run.json().at("model");
        described.contains("xxh3_128") && described["xxh3_128"] != model.checksum())
        differ("the model's file is not the one that was captured");
    const Site last{Component::resid_post, info.n_layers - 1};
    if (!run.has_site(last) || !run.has_vectors(last))
        throw Error("no lens can be made of " + path, "it has no vectors of " + last.name(),
                    "capture it with --components resid_post,attn_out,mlp_out");
    return last;
}

LensCheck check_last_layer(const LanguageModel& model, const Run& run, const Site& last, ModelHead& head,
                           int threads, Progress& progress) {
    LensCheck check;
    if (const std::string acts = acts_of(run); !acts.empty()) {
        check.unchecked = "the model was changed while it read: " + acts;
        return check;
    }
    const Json capture = run.json().value("capture", Json::object());
    if (const auto context = capture.value("context", std::int64_t{0}); context > 0) {
        check.unchecked = fmt::format("each token read its last {} only", context);
        return check;
    }
    // The first batch as it was captured: in another one products round otherwise.
    const std::vector<Sequence> all = prompts_of_run(run).sequences;
    const auto engine = model.make_engine(engine_options(run, run.length(), threads, progress));
    const std::span<const Sequence> batch = std::span(all).first(engine->next_batch(all));
    std::int64_t n_tokens = 0;
    for (const Sequence& sequence : batch) n_tokens += sequence.length();
    Plan plan;
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < run.n_rows() && rows.size() < kTokens; ++row) {
        const std::int64_t token = run.rows()[static_cast<std::size_t>(row)];
        if (token >= n_tokens) break;
        rows.push_back(row);
        plan.logits.push_back(token);
    }
    if (rows.empty()) {
        check.unchecked = "the run keeps no vectors of its first batch";
        return check;
    }
    plan.reads = {static_cast<std::size_t>(std::ranges::find(engine->sites(), last, &SiteShape::site) -
                                           engine->sites().begin())};
    AnswersTap tap(n_tokens, head.stream_width());
    engine->run(batch, plan, tap);
    const auto differs = [&](const std::string& whose, double kl, double tolerance, const char* mend) {
        if (kl <= tolerance) return;
        throw Error("no lens can be made of " + run.path().string(),
                    fmt::format("what {} of the last layer say differs from the model's own answer by {:.3g} "
                                "nats, {:.2g} are allowed",
                                whose, kl, tolerance),
                    mend);
    };
    const std::vector<Eigen::Index> at(plan.logits.begin(), plan.logits.end());
    differs("the vectors", mean_divergence(head, tap.stream(at, Eigen::all), tap.answers), kHeadTolerance,
            "please report this model");
    check = {std::ssize(rows), mean_divergence(head, read_sample(run, last, rows), tap.answers), kTolerance,
             ""};
    differs("the stored vectors", check.kl, kTolerance, "capture it again with this model and program");
    return check;
}

}  // namespace tomograph
