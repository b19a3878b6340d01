// Runs for a lens, and what a model would say by layer after each token of a prompt.
#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/capture/capture.h"
#include "tomograph/findings/sinks.h"
#include "tomograph/lens/check.h"
#include "tomograph/lens/lens.h"
#include "tomograph/lens/maps.h"
#include "tomograph/statistics/answers.h"

namespace tomograph {
namespace {

LensCell cell_of(const Answer& answer, std::size_t n_top, double kl) {
    LensCell cell{.top = top_tokens(answer.p, n_top), .p = {}, .kl = kl};
    for (const std::int32_t token : cell.top)
        cell.p.push_back(static_cast<double>(answer.p[static_cast<std::size_t>(token)]));
    return cell;
}

/// The stream of one prompt at every layer, and the model's own answers.
class PromptTap final : public Tap {
  public:
    PromptTap(std::size_t n_sites, Eigen::Index n_tokens, Eigen::Index width)
        : stream(n_sites, Matrix(n_tokens, width)), answers(static_cast<std::size_t>(n_tokens)) {}
    void take(const SiteBatch& batch) override {
        std::copy_n(batch.data, batch.n_tokens * batch.width,
                    stream[batch.site].row(batch.first_token).data());
    }
    void take_logits(std::size_t which, std::span<const float> logits) override {
        answers[which] = answer_of(logits);
    }
    std::vector<Matrix> stream;
    std::vector<Answer> answers;
};

/// Stored rows of text that maps are fitted on.
std::vector<std::int64_t> rows_to_fit(const Run& run, std::int64_t most, std::uint64_t seed) {
    const std::vector<Sink> sinks = find_sinks(run);
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        const std::int64_t token = run.rows()[static_cast<std::size_t>(row)];
        if (run.tokens().position[static_cast<std::size_t>(token)] > 0 &&
            !std::ranges::binary_search(sinks, token, {}, &Sink::token))
            rows.push_back(row);
    }
    if (most == 0) return rows;
    std::vector<std::int64_t> some;
    for (const std::int64_t i : sample_indices(std::ssize(rows), most, seed))
        some.push_back(rows[static_cast<std::size_t>(i)]);
    return some;
}

}  // namespace

Run capture_for_lens(const LanguageModel& model, const PromptSet& prompts,
                     const std::filesystem::path& folder, const LensOptions& options, bool exact, Begin begin,
                     const std::string& command, Progress& progress) {
    std::vector<Component> components = options.beside;
    components.push_back(Component::resid_post);
    capture(model, prompts, folder,
            {.components = components,
             .dtype = Dtype::f32,
             .exact = exact,
             .threads = options.threads,
             .seed = options.seed,
             .begin = begin,
             .command = command},
            progress);
    return Run::open(folder);
}

PromptSet prompts_of_run(const Run& run) {
    PromptSet prompts;
    const TokenTable& tokens = run.tokens();
    for (std::size_t t = 0; t < tokens.token_id.size(); ++t) {
        if (t == 0 || tokens.sequence[t] != tokens.sequence[t - 1]) prompts.sequences.emplace_back();
        prompts.sequences.back().tokens.push_back(tokens.token_id[t]);
    }
    prompts.description = run.json().at("prompts");
    prompts.description["sequences"] = prompts.sequences.size();
    return prompts;
}

std::vector<LensReading> read_prompts(const LanguageModel& model, const PromptSet& prompts, const Run* fitted,
                                      std::size_t n_top, bool exact, const LensOptions& options,
                                      Progress& progress) {
    std::int64_t total = 0;
    for (const Sequence& sequence : prompts.sequences) total += sequence.length();
    const auto engine =
        model.make_engine(engine_options(prompts, {.exact = exact, .threads = options.threads}, progress));
    std::vector<std::size_t> reads;
    std::vector<Site> sites;
    for (std::size_t s = 0; s < engine->sites().size(); ++s) {
        if (engine->sites()[s].site.component != Component::resid_post) continue;
        reads.push_back(s);
        sites.push_back(engine->sites()[s].site);
    }
    ModelHead head(model, options.threads, progress);
    std::vector<LensReading> readings;
    std::vector<PromptTap> taps;
    progress.begin("lens of " + model.info().name, total * (std::ssize(sites) + 1), "readings");
    std::int64_t done = 0;
    const auto count = [&](std::int64_t n) {
        progress.update(done += n);
        if (progress.stop_requested()) throw Stopped("nothing was read");
    };
    for (const Sequence& sequence : prompts.sequences) {
        PromptTap& tap = taps.emplace_back(sites.size(), sequence.length(), head.stream_width());
        Plan plan{.reads = reads};
        for (std::int64_t t = 0; t < sequence.length(); ++t) plan.logits.push_back(t);
        engine->run({&sequence, 1}, plan, tap);
        LensReading& reading = readings.emplace_back();
        reading.tokens = sequence.tokens;
        reading.sites = sites;
        reading.cells.resize(sites.size());
        for (const Answer& answer : tap.answers) reading.own.push_back(cell_of(answer, n_top, 0));
        count(sequence.length());
    }
    std::optional<MapFitter> fitter;
    if (fitted != nullptr)
        fitter.emplace(*fitted, rows_to_fit(*fitted, options.fit_rows, options.seed),
                       last_site(model, *fitted), head, options.threads);
    // Layer by layer, so that one map is held at a time.
    for (std::size_t s = 0; s < sites.size(); ++s) {
        std::optional<AffineMap> map;
        if (fitter) map = fitter->fit(sites[s], progress);
        for (std::size_t r = 0; r < readings.size(); ++r) {
            const Matrix& stream = taps[r].stream[s];
            for (Eigen::Index first = 0; first < stream.rows(); first += head.most_rows()) {
                Matrix x =
                    stream.middleRows(first, std::min<Eigen::Index>(head.most_rows(), stream.rows() - first));
                if (map) level_rows(x);
                const Matrix logits = map ? head.from_normed(map->apply(x)) : head.from_stream(x);
                for (Eigen::Index i = 0; i < logits.rows(); ++i) {
                    const std::span<const float> row(logits.row(i).data(),
                                                     static_cast<std::size_t>(logits.cols()));
                    readings[r].cells[s].push_back(cell_of(
                        answer_of(row), n_top,
                        divergence(taps[r].answers[static_cast<std::size_t>(first + i)], read_logits(row))));
                }
                count(x.rows());
            }
        }
    }
    progress.end();
    return readings;
}

}  // namespace tomograph
