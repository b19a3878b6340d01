#include "tomograph/lens/lens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/sample.h"
#include "tomograph/findings/sinks.h"
#include "tomograph/lens/check.h"
#include "tomograph/lens/head.h"
#include "tomograph/lens/maps.h"
#include "tomograph/statistics/answers.h"
#include "tomograph/store/token_numbers.h"

namespace tomograph {
namespace {

constexpr std::int64_t kMostMapBytes = 256'000'000;
constexpr std::int64_t kFitCost = 24;            // readings that take about as long as a fit
constexpr std::int64_t kFitBytes = 600'000'000;  // that the fits under way may take together
constexpr int kFolds = 2;
constexpr std::array kLenses{LensKind::logit, LensKind::ridge};

/// A stored row that may be read: its token, the one that came next, and whose it is.
struct LensRow {
    std::int64_t row = 0;
    std::int64_t token = 0;  // index into Run::tokens()
    std::int32_t next = 0;
    std::int32_t sequence = 0;
};

/// Some rows of one half of the sequences that are read at once: the vocabulary's weights are read once a
/// block, so that few rows take as long as many.
struct LensBlock {
    struct Row {
        std::size_t measured = 0;  // which of the measured rows
        std::size_t group = 0;     // which of the table's sequences
        std::size_t other = 0;     // which of the block is its pair, of the same sequence
    };
    std::vector<Row> rows;
    int fold = 0;
};

/// Sums of LensNumbers by group.
void add(LensNumbers& numbers, std::size_t group, double kl, double rank, bool agrees) {
    numbers.kl[group] += kl;
    numbers.log_rank[group] += std::log(rank);
    numbers.agrees[group] += agrees;
}
LensNumbers no_numbers(std::size_t n) {
    return {std::vector<double>(n, 0), std::vector<double>(n, 0), std::vector<double>(n, 0)};
}

class Lens {
  public:
    Lens(const LanguageModel& model, const Run& run, const LensOptions& options, Progress& progress)
        : model_(model),
          run_(run),
          options_(options),
          progress_(progress),
          last_(last_site(model, run)),
          head_(model, options.threads, progress) {
        choose_rows();
        choose_sites();
    }
    LensResult measure();

  private:
    void choose_rows();
    void add_to_block(int fold, std::size_t group, std::size_t count);
    void choose_sites();
    void sum_mean_answers();
    void read_group(int fold, const MapFitter& fitter, std::size_t first_site, std::size_t n_sites);
    void read_block(const LensBlock& block, std::size_t first_site, const std::vector<AffineMap>& maps,
                    bool answers_too);
    void read_depths(LensResult& result) const;
    int fits_at_once() const {
        // Moments of [x, y] twice over, and what is solved.
        const std::int64_t width = head_.stream_width() + model_.info().d_model;
        const std::int64_t affordable = kFitBytes / (6 * width * width * std::int64_t{sizeof(double)});
        return static_cast<int>(std::clamp<std::int64_t>(affordable, 1, thread_count(options_.threads)));
    }
    void count(std::int64_t readings) {
        progress_.update(done_ += readings);
        if (progress_.stop_requested()) throw Stopped("nothing was measured");
    }
    std::vector<std::int64_t> stored(std::span<const LensRow> rows) const {
        std::vector<std::int64_t> numbers;
        for (const LensRow& row : rows) numbers.push_back(row.row);
        return numbers;
    }

    const LanguageModel& model_;
    const Run& run_;
    const LensOptions& options_;
    Progress& progress_;
    const Site last_;
    ModelHead head_;
    std::array<std::vector<LensRow>, kFolds> fit_rows_;  // of each half of the sequences
    std::vector<LensRow> measured_;                      // by sequence
    std::vector<LensBlock> blocks_;
    std::vector<Site> sites_;
    LensTable table_;
    std::array<std::vector<float>, kFolds> mean_answer_;  // logarithms, [n_vocab], of each half
    /// [lens][stream's layers][measured rows] is the most probable token the answer's?
    std::array<std::vector<std::vector<std::uint8_t>>, kLenses.size()> agrees_;
    std::int64_t done_ = 0;
};

/// The next `count` measured rows, all of one sequence: behind the last ones of their half, where there is
/// room.
void Lens::add_to_block(int fold, std::size_t group, std::size_t count) {
    auto block = std::find_if(blocks_.rbegin(), blocks_.rend(),
                              [&](const LensBlock& one) { return one.fold == fold; });
    const bool fits = block != blocks_.rend() &&
                      std::ssize(block->rows) + static_cast<std::int64_t>(count) <= head_.most_rows();
    std::vector<LensBlock::Row>& rows =
        fits ? block->rows : blocks_.emplace_back(LensBlock{.rows = {}, .fold = fold}).rows;
    const std::size_t first = rows.size();
    for (std::size_t i = 0; i < count; ++i)
        rows.push_back({measured_.size() + i, group, first + (i + count / 2) % count});
}

void Lens::choose_rows() {
    const TokenTable& tokens = run_.tokens();
    const std::vector<Sink> sinks = find_sinks(run_);
    std::vector<std::vector<LensRow>> of_sequence(static_cast<std::size_t>(run_.n_sequences()));
    for (std::int64_t row = 0; row < run_.n_rows(); ++row) {
        const std::int64_t token = run_.rows()[static_cast<std::size_t>(row)];
        const auto t = static_cast<std::size_t>(token);
        if (tokens.token_id[t] < 0)
            throw Error("no lens can be made of " + run_.path().string(), "it holds raw vectors, no text",
                        "");
        const bool inside = tokens.position[t] > 0 && t + 1 < tokens.token_id.size() &&
                            tokens.sequence[t + 1] == tokens.sequence[t];
        if (!inside || std::ranges::binary_search(sinks, token, {}, &Sink::token)) continue;
        of_sequence[static_cast<std::size_t>(tokens.sequence[t])].push_back(
            {row, token, tokens.token_id[t + 1], tokens.sequence[t]});
    }
    std::erase_if(of_sequence, [](const auto& rows) { return rows.size() < 2; });
    if (of_sequence.size() < 2)
        throw Error("too few sequences for a lens",
                    fmt::format("{} with two tokens or more that are neither first, last nor a sink",
                                of_sequence.size()),
                    "read two sequences or more; with --prompt the model's words by layer need one");
    const auto n = static_cast<std::int64_t>(of_sequence.size());
    for (std::int64_t g = 0; g < n; ++g) {
        const auto& rows = of_sequence[static_cast<std::size_t>(g)];
        const auto seed = mix(options_.seed, static_cast<std::uint64_t>(g));
        const auto take = [&](std::int64_t most, std::uint64_t by) {
            const std::int64_t share = most == 0 ? std::ssize(rows) : std::max<std::int64_t>(2, most / n);
            return sample_indices(std::ssize(rows), share, mix(seed, by));
        };
        for (const std::int64_t i : take(options_.fit_rows, 1))
            fit_rows_[static_cast<std::size_t>(g % kFolds)].push_back(rows[static_cast<std::size_t>(i)]);
        const auto chosen = take(options_.rows, 2);
        // Evenly cut, so that no stretch is of one token, which would have no other to be paired with.
        const std::int64_t cuts = (std::ssize(chosen) + head_.most_rows() - 1) / head_.most_rows();
        for (std::int64_t c = 0; c < cuts; ++c) {
            const auto begin = std::ssize(chosen) * c / cuts, end = std::ssize(chosen) * (c + 1) / cuts;
            add_to_block(static_cast<int>(g % kFolds), static_cast<std::size_t>(g),
                         static_cast<std::size_t>(end - begin));
            for (auto i = begin; i < end; ++i)
                measured_.push_back(rows[static_cast<std::size_t>(chosen[static_cast<std::size_t>(i)])]);
        }
        table_.sequences.push_back(rows.front().sequence);
        table_.rows.push_back(std::ssize(chosen));
    }
    table_.n_tokens = run_.n_tokens();
    table_.n_layers = run_.n_layers();
    table_.fitted_on = std::min(std::ssize(fit_rows_[0]), std::ssize(fit_rows_[1]));
}

void Lens::choose_sites() {
    std::vector<Component> components = options_.beside;
    components.push_back(Component::resid_post);
    for (const SiteShape& shape : run_.sites()) {
        const Site& site = shape.site;
        if (std::ranges::find(components, site.component) == components.end()) continue;
        // One of several streams' writes is no stream: the model's end cannot read it.
        if (shape.width() != head_.stream_width() || !run_.has_vectors(site)) continue;
        sites_.push_back(site);
        for (const LensKind lens : kLenses)
            table_.series.push_back({.site = site,
                                     .lens = lens,
                                     .own = no_numbers(table_.sequences.size()),
                                     .shifted = no_numbers(table_.sequences.size())});
    }
    const auto layers = std::ranges::count(sites_, Component::resid_post, &Site::component);
    for (auto& of_lens : agrees_)
        of_lens.assign(static_cast<std::size_t>(layers), std::vector<std::uint8_t>(measured_.size(), 0));
    table_.final = table_.unigram = no_numbers(table_.sequences.size());
}

/// The best constant answer: the mean over one half's tokens, for the other half to be compared with.
void Lens::sum_mean_answers() {
    const int threads = thread_count(options_.threads);
    for (int fold = 0; fold < kFolds; ++fold) {
        const auto f = static_cast<std::size_t>(fold);
        std::vector<double> sum(static_cast<std::size_t>(head_.n_vocab()), 0);
        const std::span<const LensRow> rows(fit_rows_[f]);
        for (std::size_t first = 0; first < rows.size();
             first += static_cast<std::size_t>(head_.most_rows())) {
            const auto some = rows.subspan(
                first, std::min(static_cast<std::size_t>(head_.most_rows()), rows.size() - first));
            const Matrix logits = head_.from_stream(read_sample(run_, last_, stored(some)));
            std::vector<Answer> answers(some.size());
            parallel_for(std::ssize(some), threads, [&](std::int64_t i) {
                answers[static_cast<std::size_t>(i)] = answer_of({logits.row(i).data(), sum.size()});
            });
            // Each word's sum in the order of the rows, whichever thread has it.
            fork_join(threads, [&](int part, int n_parts) {
                const auto share = [&](int parts) {
                    return sum.size() * static_cast<std::size_t>(parts) / static_cast<std::size_t>(n_parts);
                };
                const std::size_t begin = share(part), end = share(part + 1);
                for (const Answer& answer : answers) {
                    for (std::size_t v = begin; v < end; ++v) sum[v] += static_cast<double>(answer.p[v]);
                }
            });
            count(std::ssize(some));
        }
        for (const double p : sum)
            mean_answer_[f].push_back(
                static_cast<float>(std::log(std::max(p / static_cast<double>(rows.size()), 1e-30))));
    }
}

void Lens::read_block(const LensBlock& block, std::size_t first_site, const std::vector<AffineMap>& maps,
                      bool answers_too) {
    std::vector<LensRow> rows;
    for (const LensBlock::Row& row : block.rows) rows.push_back(measured_[row.measured]);
    const std::vector<std::int64_t> numbers = stored(rows);
    const auto n_vocab = static_cast<std::size_t>(head_.n_vocab());
    const int threads = thread_count(options_.threads);
    const Matrix final = head_.from_stream(read_sample(run_, last_, numbers));
    std::vector<Answer> answers(rows.size());
    const auto of = [&](const Matrix& logits, std::size_t i) {
        return std::span<const float>(logits.row(static_cast<Eigen::Index>(i)).data(), n_vocab);
    };
    const auto n = static_cast<std::int64_t>(rows.size());
    parallel_for(n, threads, [&](std::int64_t i) {
        answers[static_cast<std::size_t>(i)] = answer_of(of(final, static_cast<std::size_t>(i)));
    });
    if (answers_too) {
        const std::vector<float>& mean = mean_answer_[static_cast<std::size_t>(1 - block.fold)];
        const LogitRow unigram = read_logits(mean);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::size_t group = block.rows[i].group;
            add(table_.final, group, 0, static_cast<double>(rank_of(of(final, i), rows[i].next)), true);
            add(table_.unigram, group, divergence(answers[i], unigram),
                static_cast<double>(rank_of(mean, rows[i].next)), unigram.top == answers[i].top);
        }
    }
    count(n);
    struct Scored {
        double kl, rank, kl_shifted, rank_shifted;
        bool agrees, agrees_shifted;
    };
    for (std::size_t s = 0; s < maps.size(); ++s) {
        const Site& site = sites_[first_site + s];
        Matrix x = read_sample(run_, site, numbers);
        const auto layer = static_cast<std::size_t>(
            std::count_if(sites_.begin(), sites_.begin() + static_cast<std::ptrdiff_t>(first_site + s),
                          [](const Site& before) { return before.component == Component::resid_post; }));
        for (std::size_t lens = 0; lens < kLenses.size(); ++lens) {
            if (kLenses[lens] == LensKind::ridge) level_rows(x);
            const Matrix logits =
                kLenses[lens] == LensKind::logit ? head_.from_stream(x) : head_.from_normed(maps[s].apply(x));
            std::vector<Scored> scored(rows.size());
            parallel_for(n, threads, [&](std::int64_t at) {
                const auto i = static_cast<std::size_t>(at), other = block.rows[i].other;
                const LogitRow reading = read_logits(of(logits, i));
                scored[i] = {divergence(answers[i], reading),
                             static_cast<double>(rank_of(reading.logits, rows[i].next)),
                             divergence(answers[other], reading),
                             static_cast<double>(rank_of(reading.logits, rows[other].next)),
                             reading.top == answers[i].top,
                             reading.top == answers[other].top};
            });
            LensSeries& series = table_.series[kLenses.size() * (first_site + s) + lens];
            for (std::size_t i = 0; i < rows.size(); ++i) {
                const Scored& one = scored[i];
                const LensBlock::Row& row = block.rows[i];
                add(series.own, row.group, one.kl, one.rank, one.agrees);
                add(series.shifted, row.group, one.kl_shifted, one.rank_shifted, one.agrees_shifted);
                if (site.component == Component::resid_post) agrees_[lens][layer][row.measured] = one.agrees;
            }
            count(n);
        }
    }
}

/// Sites [first_site, + n_sites) of the sequences outside `fold`, with maps fitted on it.
void Lens::read_group(int fold, const MapFitter& fitter, std::size_t first_site, std::size_t n_sites) {
    // Solving is one thread's work, so several maps are fitted at once as far as memory allows.
    std::vector<AffineMap> maps(n_sites);
    parallel_for(static_cast<std::int64_t>(n_sites), fits_at_once(), [&](std::int64_t s) {
        const auto i = static_cast<std::size_t>(s);
        maps[i] = fitter.fit(sites_[first_site + i], progress_);
    });
    for (std::size_t s = 0; s < n_sites; ++s) {
        LensSeries& series = table_.series[kLenses.size() * (first_site + s) + 1];
        const auto mean = [&](double& of, double value) {
            of = fold == 0 ? value / kFolds : of + value / kFolds;
        };
        mean(series.penalty, maps[s].penalty);
        mean(series.explained, maps[s].explained);
        count(kFitCost);
    }
    run_.release();
    for (const LensBlock& block : blocks_) {
        if (block.fold != fold) read_block(block, first_site, maps, first_site == 0);
    }
}

void Lens::read_depths(LensResult& result) const {
    std::vector<int> layers;
    for (const Site& site : sites_) {
        if (site.component == Component::resid_post) layers.push_back(site.layer);
    }
    const std::array depths{&result.logit_depth, &result.ridge_depth};
    for (std::size_t lens = 0; lens < kLenses.size(); ++lens) {
        depths[lens]->assign(static_cast<std::size_t>(run_.n_tokens()),
                             std::numeric_limits<float>::quiet_NaN());
        for (std::size_t i = 0; i < measured_.size(); ++i) {
            std::size_t from = layers.size();
            while (from > 0 && agrees_[lens][from - 1][i]) --from;
            // A ridge lens of the last layer may itself err: past the last layer the model has its say.
            const int layer = from < layers.size() ? layers[from] : run_.n_layers();
            (*depths[lens])[static_cast<std::size_t>(measured_[i].token)] = static_cast<float>(layer);
        }
    }
}

LensResult Lens::measure() {
    const std::int64_t map_bytes = 4 * head_.stream_width() * model_.info().d_model;
    const auto per_group = static_cast<std::size_t>(std::max<std::int64_t>(1, kMostMapBytes / map_bytes));
    const auto n_sites = std::ssize(sites_), n_measured = std::ssize(measured_);
    const auto n_groups =
        (n_sites + static_cast<std::int64_t>(per_group) - 1) / static_cast<std::int64_t>(per_group);
    progress_.begin("lens of " + model_.info().name,
                    std::ssize(fit_rows_[0]) + std::ssize(fit_rows_[1]) + kFolds * n_sites * kFitCost +
                        n_measured * (n_groups + 2 * n_sites),
                    "readings");
    table_.check = check_last_layer(model_, run_, last_, head_, options_.threads, progress_);
    sum_mean_answers();
    for (int fold = 0; fold < kFolds; ++fold) {
        const MapFitter fitter(run_, stored(fit_rows_[static_cast<std::size_t>(fold)]), last_, head_,
                               std::max(1, thread_count(options_.threads) / fits_at_once()));
        for (std::size_t first = 0; first < sites_.size(); first += per_group)
            read_group(fold, fitter, first, std::min(per_group, sites_.size() - first));
    }
    const auto divide = [&](LensNumbers& numbers) {
        for (auto* values : {&numbers.kl, &numbers.log_rank, &numbers.agrees}) {
            for (std::size_t g = 0; g < values->size(); ++g)
                (*values)[g] /= static_cast<double>(table_.rows[g]);
        }
    };
    divide(table_.final);
    divide(table_.unigram);
    for (LensSeries& series : table_.series) {
        divide(series.own);
        divide(series.shifted);
    }
    LensResult result;
    result.table = table_;
    read_depths(result);
    progress_.end();
    return result;
}

}  // namespace

LensResult measure_lens(const LanguageModel& model, const Run& run, const LensOptions& options,
                        Progress& progress) {
    return Lens(model, run, options, progress).measure();
}

void save_lens(const Run& run, const LensResult& result) {
    save_lens(run, result.table);
    save_token_numbers(run, "lens_depth", result.logit_depth);
    save_token_numbers(run, "ridge_depth", result.ridge_depth);
}

}  // namespace tomograph
