#include "tomograph/findings/reference_outliers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "tomograph/base/error.h"
#include "tomograph/base/progress_count.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/outlier_board.h"
#include "tomograph/findings/site_outliers.h"
#include "tomograph/statistics/conformal.h"

namespace tomograph {
namespace {

constexpr std::int64_t kFewestRows = 32;  // on either side
constexpr int kComponents = 32;           // as OutlierOptions

struct Best {
    double score = -1;
    int site = -1;
    const char* by = "norm";
};

/// Which rows of the reference fit the model (0) and which are scored by it, one mask each.
struct Halves {
    std::vector<std::uint8_t> out_of_fit, out_of_scores;
};

Halves split(const Run& reference, const RowCensus& census, std::uint64_t seed) {
    const auto order = permutation(reference.n_sequences(), mix(seed, 0x5b117));
    std::vector<std::uint8_t> fits(order.size(), 0);
    for (std::size_t i = 0; i < order.size() / 2; ++i) fits[static_cast<std::size_t>(order[i])] = 1;
    Halves halves{census.left_out, census.left_out};
    for (std::int64_t row = 0; row < reference.n_rows(); ++row) {
        const auto r = static_cast<std::size_t>(row);
        const auto token = static_cast<std::size_t>(reference.rows()[r]);
        const bool fit = fits[static_cast<std::size_t>(reference.tokens().sequence[token])] != 0;
        (fit ? halves.out_of_scores : halves.out_of_fit)[r] = 1;
    }
    return halves;
}

void keep_best(const SiteDistances& distances, const std::vector<ScoredRow>& scores, int site,
               std::vector<Best>& best) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
        Best& own = best[static_cast<std::size_t>(distances.rows[i])];
        if (scores[i].score > own.score || (scores[i].score == own.score && site < own.site))
            own = {scores[i].score, site, scores[i].by};
    }
}

[[noreturn]] void refuse(const Run& run, const Run& reference, const std::string& why,
                         const std::string& mend) {
    throw Error(
        fmt::format("{} cannot be the reference of {}", reference.path().string(), run.path().string()), why,
        mend);
}

}  // namespace

void require_reference(const Run& run, const Run& reference) {
    const std::string mend = "capture the reference with the same model";
    if (run.d_model() != reference.d_model())
        refuse(run, reference, fmt::format("it is {} wide, the run {}", reference.d_model(), run.d_model()),
               mend);
    if (run.n_layers() != reference.n_layers())
        refuse(run, reference,
               fmt::format("it has {} layers, the run {}", reference.n_layers(), run.n_layers()), mend);
    if (run.model_name() != reference.model_name())
        refuse(run, reference,
               fmt::format("it is of {}, the run of {}", reference.model_name(), run.model_name()), mend);
    if (reference.n_sequences() < 2)
        refuse(run, reference, "it has one sequence, and one half fits what the other is scored by",
               "capture more --sequences");
}

ReferenceOutliers test_against_reference(const Subject& subject) {
    const Run &run = subject.run, &reference = *subject.options.reference;
    std::vector<Site> sites;
    for (const Site& site : subject.sites) {
        if (reference.has_site(site) && reference.has_vectors(site)) sites.push_back(site);
    }
    const RowCensus census = take_census(reference, sites, subject.threads);
    std::erase_if(sites, [&](const Site& site) { return !census.has(site); });
    if (sites.empty())
        refuse(run, reference, "they have no site in common whose vectors both keep",
               "capture the same --components and --layers of both");
    const std::uint64_t seed = subject.options.seed;
    const Halves halves = split(reference, census, seed);
    const SampleRows fit = draw_sample(reference, subject.options.rows, seed, halves.out_of_fit);
    if (fit.size() < kFewestRows || subject.sample.size() == 0)
        refuse(run, reference, "too few rows are left of one of them", "capture more --sequences");

    std::vector<Best> ordinary(static_cast<std::size_t>(reference.n_rows())),
        tested(static_cast<std::size_t>(run.n_rows()));
    std::mutex mutex;
    ProgressCount done(subject.progress);
    subject.progress.begin("holding against the reference", static_cast<std::int64_t>(sites.size()), "sites");
    parallel_for(static_cast<std::int64_t>(sites.size()), subject.threads, [&](std::int64_t s) {
        if (subject.progress.stop_requested()) throw Stopped("no measure was written");
        const Site& site = sites[static_cast<std::size_t>(s)];
        const Matrix rows = read_sample(reference, site, fit.rows);
        const Pca pca = fit_pca(MatrixRows(rows), {.n_components = kComponents, .threads = 1});
        done.add();
        if (!(pca.total_variance > 0)) return;
        const OutlierModel model(rows, pca, {.components = kComponents, .seed = seed});
        std::vector<double> norms;
        for (Eigen::Index i = 0; i < rows.rows(); ++i) norms.push_back(rows.row(i).cast<double>().norm());
        const OutlierScales scales = outlier_scales(norms, model.distances(rows));
        const auto score = [&](const Run& of, std::span<const std::uint8_t> left_out,
                               std::vector<Best>& best) {
            const SiteDistances distances = read_distances(of, site, left_out, model);
            const auto scores = score_rows(scales, distances.norms, distances.distances);
            const std::lock_guard lock(mutex);
            keep_best(distances, scores, static_cast<int>(s), best);
            of.release();
        };
        score(reference, halves.out_of_scores, ordinary);
        score(run, subject.census.left_out, tested);
    });
    subject.progress.end();

    std::vector<double> ordinary_scores, scores;
    std::vector<std::int64_t> rows;
    for (const Best& best : ordinary) {
        if (best.site >= 0) ordinary_scores.push_back(best.score);
    }
    for (std::size_t row = 0; row < tested.size(); ++row) {
        if (tested[row].site < 0) continue;
        rows.push_back(static_cast<std::int64_t>(row));
        scores.push_back(tested[row].score);
    }
    if (static_cast<std::int64_t>(ordinary_scores.size()) < kFewestRows)
        refuse(run, reference, "too few of its rows are left to score", "capture more --sequences");

    ReferenceOutliers result;
    const auto p = conformal_p(ordinary_scores, scores);
    auto found = benjamini_hochberg(p, subject.options.fdr);
    std::stable_sort(found.begin(), found.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    result.test = {.reference = reference.path().string(),
                   .fdr = subject.options.fdr,
                   .ordinary = static_cast<std::int64_t>(ordinary_scores.size()),
                   .tested = static_cast<std::int64_t>(scores.size()),
                   .found = static_cast<std::int64_t>(found.size()),
                   .fewest = static_cast<std::int64_t>(
                       std::ceil(static_cast<double>(scores.size()) /
                                 (subject.options.fdr * static_cast<double>(ordinary_scores.size() + 1))))};
    for (std::size_t i = 0; i < std::min(found.size(), kMostOutliers); ++i) {
        const Best& best = tested[static_cast<std::size_t>(rows[found[i]])];
        result.outliers.push_back(make_outlier(
            run, rows[found[i]], sites[static_cast<std::size_t>(best.site)], best.score, best.by));
        result.outliers.back().p = p[found[i]];
    }
    return result;
}

}  // namespace tomograph
