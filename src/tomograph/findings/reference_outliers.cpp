#include "tomograph/findings/reference_outliers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tomograph/base/error.h"
#include "tomograph/base/progress_count.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/outlier_board.h"
#include "tomograph/findings/site_outliers.h"
#include "tomograph/statistics/conformal.h"

namespace tomograph {
namespace {

constexpr std::int64_t kFewestOutlierRows = 32;  // on either side
constexpr int kOutlierComponents = 32;           // as OutlierOptions

/// How surprising one token is: the sum over sites, and where it is the most.
struct Surprise {
    double sum = 0, most = -1;
    int site = -1;
    const char* by = "mahalanobis";
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

/// Minus the logarithm of the share of `ordinary` values that are at least as large. Beyond them all the
/// share is the same however far a value lies, so there the logarithm of how far is added: an odd token
/// stands above an ordinary one that happens to be the farthest.
std::vector<double> surprises(const std::vector<double>& ordinary, const std::vector<double>& values) {
    std::vector<double> logs = conformal_p(ordinary, values);
    // Distances are logarithms already. A site of no ordinary rows says nothing.
    const double farthest =
        ordinary.empty() ? std::numeric_limits<double>::infinity() : *std::ranges::max_element(ordinary);
    for (std::size_t i = 0; i < logs.size(); ++i) {
        logs[i] = -std::log(logs[i]);
        if (values[i] > farthest) logs[i] += values[i] - farthest;
    }
    return logs;
}

/// One site's surprises for the rows of a run. The sum over sites and both distances is what tells tokens
/// that are a little odd everywhere from those that are very odd once, as some always are.
void add_site(const OutlierModel::Distances& ordinary, const SiteDistances& site_distances, int site,
              std::vector<Surprise>& tokens) {
    const OutlierModel::Distances& distances = site_distances.distances;
    const auto far = surprises(ordinary.mahalanobis, distances.mahalanobis);
    const auto alone = ordinary.neighbors_tell() ? surprises(ordinary.neighbor, distances.neighbor)
                                                 : std::vector<double>(far.size(), 0.0);
    for (std::size_t i = 0; i < far.size(); ++i) {
        const double here = far[i] + alone[i];
        tokens[static_cast<std::size_t>(site_distances.rows[i])] = {
            here, here, site, alone[i] > far[i] ? "neighbors" : "mahalanobis"};
    }
}

/// Added up in the order of the sites, so that no thread changes a digit.
std::vector<Surprise> over_sites(const std::vector<std::vector<Surprise>>& by_site) {
    std::vector<Surprise> total;
    for (const std::vector<Surprise>& tokens : by_site) {
        total.resize(std::max(total.size(), tokens.size()));
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            total[i].sum += tokens[i].sum;
            if (tokens[i].most <= total[i].most) continue;
            total[i].most = tokens[i].most;
            total[i].site = tokens[i].site;
            total[i].by = tokens[i].by;
        }
    }
    return total;
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
    if (fit.size() < kFewestOutlierRows || subject.sample.size() == 0)
        refuse(run, reference, "too few rows are left of one of them", "capture more --sequences");

    std::vector<std::vector<Surprise>> ordinary(sites.size()), tested(sites.size());  // a list a site
    ProgressCount done(subject.progress);
    subject.progress.begin("holding against the reference", static_cast<std::int64_t>(sites.size()), "sites");
    parallel_for(static_cast<std::int64_t>(sites.size()), subject.threads, [&](std::int64_t s) {
        if (subject.progress.stop_requested()) throw Stopped("no measure was written");
        const auto at = static_cast<std::size_t>(s);
        const Matrix rows = read_sample(reference, sites[at], fit.rows);
        const Pca pca = fit_pca(MatrixRows(rows), {.n_components = kOutlierComponents, .threads = 1});
        done.add();
        if (!(pca.total_variance > 0)) return;
        const OutlierModel model(rows, pca, {.components = kOutlierComponents, .seed = seed});
        const OutlierModel::Distances among_themselves = model.distances(rows);
        const auto score = [&](const Run& of, std::span<const std::uint8_t> left_out) {
            std::vector<Surprise> tokens(static_cast<std::size_t>(of.n_rows()));
            add_site(among_themselves, read_distances(of, sites[at], left_out, model), static_cast<int>(s),
                     tokens);
            of.release();
            return tokens;
        };
        ordinary[at] = score(reference, halves.out_of_scores);
        tested[at] = score(run, subject.census.left_out);
    });
    subject.progress.end();

    const std::vector<Surprise> of_reference = over_sites(ordinary), of_run = over_sites(tested);
    std::vector<double> ordinary_scores, scores;
    std::vector<std::int64_t> rows;
    for (const Surprise& token : of_reference) {
        if (token.site >= 0) ordinary_scores.push_back(token.sum);
    }
    for (std::size_t row = 0; row < of_run.size(); ++row) {
        if (of_run[row].site < 0) continue;
        rows.push_back(static_cast<std::int64_t>(row));
        scores.push_back(of_run[row].sum);
    }
    if (static_cast<std::int64_t>(ordinary_scores.size()) < kFewestOutlierRows)
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
        const Surprise& token = of_run[static_cast<std::size_t>(rows[found[i]])];
        result.outliers.push_back(make_outlier(run, rows[found[i]],
                                               sites[static_cast<std::size_t>(token.site)],
                                               token.sum / static_cast<double>(sites.size()), token.by));
        result.outliers.back().p = p[found[i]];
    }
    return result;
}

}  // namespace tomograph
