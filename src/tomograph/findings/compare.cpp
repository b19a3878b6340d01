#include "tomograph/findings/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tomograph/base/error.h"
#include "tomograph/base/progress_count.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/alignment.h"
#include "tomograph/findings/census.h"
#include "tomograph/findings/finding.h"
#include "tomograph/findings/sample.h"
#include "tomograph/linear/pca.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/select/selection.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/dimension.h"
#include "tomograph/statistics/subspaces.h"
#include "tomograph/store/run_acts.h"

namespace tomograph {
namespace {

/// Stored rows of the same token in both runs, after the first position, in ascending order of group.
struct CommonRows {
    std::vector<std::int64_t> a, b;
    std::vector<std::int32_t> group;
    int n_groups = 0;
    std::int64_t n_tokens = 0;
};

CommonRows common_rows(const Run& a, const Run& b, const RowCensus& of_a, const RowCensus& of_b,
                       const Alignment& alignment, const CompareOptions& options) {
    CommonRows common;
    const SampleRows all =
        draw_sample(a, std::numeric_limits<std::int64_t>::max(), options.seed, of_a.left_out);
    std::vector<std::int64_t> row_in_b(static_cast<std::size_t>(b.n_tokens()), -1);
    for (std::int64_t row = 0; row < b.n_rows(); ++row) {
        if (of_b.left_out[static_cast<std::size_t>(row)] == 0)
            row_in_b[static_cast<std::size_t>(b.rows()[static_cast<std::size_t>(row)])] = row;
    }
    // What stands first in either is left out.
    const auto partner = [&](std::size_t i) -> std::int64_t {
        const auto token = static_cast<std::size_t>(a.rows()[static_cast<std::size_t>(all.rows[i])]);
        const std::int64_t other = alignment.b_of_a[token];
        if (other < 0 || b.tokens().position[static_cast<std::size_t>(other)] == 0) return -1;
        return row_in_b[static_cast<std::size_t>(other)];
    };
    std::vector<std::size_t> both;
    for (std::size_t i = 0; i < all.rows.size(); ++i) {
        if (partner(i) >= 0) both.push_back(i);
    }
    common.n_tokens = static_cast<std::int64_t>(both.size());
    common.n_groups = all.n_groups;
    for (const std::int64_t chosen :
         sample_indices(common.n_tokens, options.rows, mix(options.seed, 0xc03))) {
        const std::size_t i = both[static_cast<std::size_t>(chosen)];
        common.a.push_back(all.rows[i]);
        common.b.push_back(partner(i));
        common.group.push_back(all.group[i]);
    }
    return common;
}

/// Share of the k nearest by cosine that both have, averaged over rows.
double neighbor_agreement(const Matrix& x, const Matrix& y, int k) {
    const NeighborOptions options{
        .metric = Metric::cosine, .search = NeighborOptions::Search::exact, .threads = 1};
    const auto in_x = find_neighbors(MatrixRows(x), k, options),
               in_y = find_neighbors(MatrixRows(y), k, options);
    double shared = 0;
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        for (int j = 0; j < k; ++j) {
            for (int l = 0; l < k; ++l) shared += in_x.indices(i, j) == in_y.indices(i, l);
        }
    }
    return shared / static_cast<double>(x.rows() * k);
}

Matrix first_rows(const Matrix& x, std::int64_t most, std::uint64_t seed) {
    const auto rows = sample_indices(x.rows(), most, seed);
    Matrix part(static_cast<Eigen::Index>(rows.size()), x.cols());
    for (Eigen::Index i = 0; i < part.rows(); ++i)
        part.row(i) = x.row(static_cast<Eigen::Index>(rows[static_cast<std::size_t>(i)]));
    return part;
}

/// What needs equal widths: how far rows, their mean and their leading subspace moved.
void measure_movement(const Matrix& x, const Matrix& y, const CommonRows& common,
                      const CompareOptions& options, SiteDrift& drift) {
    VectorD moved = VectorD::Zero(common.n_groups), squares = moved;
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const std::int32_t g = common.group[static_cast<std::size_t>(i)];
        moved[g] += (y.row(i).cast<double>() - x.row(i).cast<double>()).squaredNorm();
        squares[g] += x.row(i).cast<double>().squaredNorm();
    }
    const auto change = [&](const auto& w) {
        return w.dot(squares) > 0 ? std::sqrt(w.dot(moved) / w.dot(squares)) : kNoNumber;
    };
    drift.relative_change = change(VectorD::Ones(common.n_groups));
    drift.interval =
        bootstrap(common.n_groups, {.replicates = options.bootstrap, .seed = options.seed, .least = 0},
                  [&](std::span<const double> w) {
                      return change(Eigen::Map<const VectorD>(w.data(), common.n_groups));
                  });

    const Pca pca_x = fit_pca(MatrixRows(x), {.n_components = 0, .threads = 1});
    const double ratio = participation_ratio(pca_x.explained_variance);
    const double spread =
        std::sqrt(pca_x.total_variance * static_cast<double>(x.rows() - 1) / static_cast<double>(x.rows()));
    const double shift = (y.cast<double>().colwise().mean() - x.cast<double>().colwise().mean()).norm();
    if (spread > 0) drift.mean_shift = shift / spread;
    if (std::isnan(ratio)) return;
    drift.k =
        std::clamp<std::int64_t>(std::llround(ratio), 1, std::min<std::int64_t>(64, pca_x.n_components()));
    const Pca pca_y = fit_pca(MatrixRows(y), {.n_components = static_cast<int>(drift.k), .threads = 1});
    drift.subspace_overlap =
        subspace_overlap(pca_x.components.topRows(drift.k).cast<double>(), pca_y.components.cast<double>());
    drift.random_overlap = random_overlap(drift.k, drift.k, x.cols());
}

SiteDrift measure_drift(const Run& a, const Run& b, const Site& site, const CommonRows& common,
                        const CompareOptions& options) {
    SiteDrift drift;
    drift.site = site;
    const Matrix x = read_sample(a, site, common.a), y = read_sample(b, site, common.b);
    drift.rows = x.rows();
    if (x.cols() == y.cols()) measure_movement(x, y, common, options, drift);
    drift.cka = linear_cka(x, y);
    std::vector<double> ratios;
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const double norm = x.row(i).cast<double>().norm();
        if (norm > 0) ratios.push_back(y.row(i).cast<double>().norm() / norm - 1);
    }
    drift.norm_change = median(std::move(ratios));
    const Matrix few_x = first_rows(x, options.neighbor_rows, options.seed),
                 few_y = first_rows(y, options.neighbor_rows, options.seed);
    drift.procrustes = procrustes_distance(few_x, few_y);
    const auto k = static_cast<int>(std::min<Eigen::Index>(options.neighbors, few_x.rows() - 1));
    if (k >= 1) {
        drift.neighbor_agreement = neighbor_agreement(few_x, few_y, k);
        drift.random_agreement = static_cast<double>(k) / static_cast<double>(few_x.rows() - 1);
    }
    return drift;
}

Json drift_json(const SiteDrift& drift) {
    Json json = {{"site", drift.site.name()},
                 {"rows", drift.rows},
                 {"relative_change", number(drift.relative_change)},
                 {"interval", nullptr},
                 {"cka", number(drift.cka)},
                 {"procrustes", number(drift.procrustes)},
                 {"mean_shift", number(drift.mean_shift)},
                 {"subspace_overlap", number(drift.subspace_overlap)},
                 {"random_overlap", number(drift.random_overlap)},
                 {"k", drift.k},
                 {"norm_change", number(drift.norm_change)},
                 {"neighbor_agreement", number(drift.neighbor_agreement)},
                 {"random_agreement", number(drift.random_agreement)}};
    if (drift.interval) json["interval"] = {number(drift.interval->lo), number(drift.interval->hi)};
    return json;
}

/// How far a site moved, in the measure that any two widths allow.
double movement(const SiteDrift& drift) {
    return std::isnan(drift.relative_change) ? 1 - drift.cka : drift.relative_change;
}

}  // namespace

CompareReport compare_runs(const Run& a, const Run& b, const CompareOptions& options, Progress& progress) {
    const Alignment alignment = align_tokens(a, b);
    CompareReport report{a.path().string(), b.path().string(), {}, {}, 0};
    std::vector<Site> sites;
    for (const SiteShape& shape : a.sites()) {
        if (a.has_vectors(shape.site) && b.has_vectors(shape.site)) sites.push_back(shape.site);
    }
    if (sites.empty())
        throw Error("the runs have no site in common whose vectors both keep", "",
                    "capture the same --components and --layers of both");
    for (const Run* run : {&a, &b}) {
        if (const std::string acts = acts_of(*run); !acts.empty())
            report.notes.push_back(run->path().string() + ": the model was changed while it read: " + acts);
    }
    const int threads = thread_count(options.threads);
    const RowCensus of_a = take_census(a, sites, threads), of_b = take_census(b, sites, threads);
    for (const RowCensus* census : {&of_a, &of_b}) {
        for (const std::string& note : census->notes)
            report.notes.push_back((census == &of_a ? report.a : report.b) + ": " + note);
    }
    std::erase_if(sites, [&](const Site& site) { return !of_a.has(site) || !of_b.has(site); });
    if (sites.empty()) throw Error("the runs cannot be compared", "all vectors hold NaN or Inf", "");
    const CommonRows common = common_rows(a, b, of_a, of_b, alignment, options);
    report.common_tokens = common.n_tokens;
    if (common.n_tokens < 3)
        throw Error("the runs keep vectors of no more than 2 common tokens", "",
                    "capture both without --sample, or with the same seed");
    if (!alignment.same_tokens)
        report.notes.push_back(fmt::format(
            "the runs cut the same text into different tokens, {} and {}: compared are the {} pairs "
            "that end at the same byte",
            a.n_tokens(), b.n_tokens(), alignment.n_pairs));
    if (common.n_groups < kFewestGroups)
        report.notes.push_back(
            fmt::format("too few sequences for an interval: {} are needed", kFewestGroups));
    if (a.d_model() != b.d_model())
        report.notes.push_back(fmt::format(
            "widths differ ({} and {}): only CKA, Procrustes, norms and neighbours can be compared",
            a.d_model(), b.d_model()));
    report.sites.resize(sites.size());
    ProgressCount done(progress);
    progress.begin("comparing", static_cast<std::int64_t>(sites.size()), "sites");
    parallel_for(static_cast<std::int64_t>(sites.size()), threads, [&](std::int64_t i) {
        if (progress.stop_requested()) throw Stopped("nothing was written");
        report.sites[static_cast<std::size_t>(i)] =
            measure_drift(a, b, sites[static_cast<std::size_t>(i)], common, options);
        a.release();
        b.release();
        done.add();
    });
    progress.end();
    return report;
}

std::vector<SiteDrift> CompareReport::ranking() const {
    std::optional<Component> component;
    for (const Component candidate : {Component::resid_post, Component::mlp_out, Component::attn_out,
                                      Component::resid_mid, Component::resid_pre}) {
        if (!component && std::any_of(sites.begin(), sites.end(),
                                      [&](const SiteDrift& d) { return d.site.component == candidate; }))
            component = candidate;
    }
    std::vector<SiteDrift> ranked;
    for (const SiteDrift& drift : sites) {
        if (component && drift.site.component == *component) ranked.push_back(drift);
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const SiteDrift& x, const SiteDrift& y) { return movement(x) > movement(y); });
    return ranked;
}

std::string compare_table(const CompareReport& report) {
    const auto shown = [](double value) {
        return std::isnan(value) ? std::string("-") : fmt::format("{:.4g}", value);
    };
    std::string text =
        fmt::format("{:<24}{:>10}{:>22}{:>10}{:>12}{:>12}{:>10}{:>12}{:>12}\n", "site", "change", "interval",
                    "cka", "procrustes", "mean shift", "overlap", "norm change", "neighbours");
    for (const SiteDrift& d : report.sites) {
        const std::string interval =
            d.interval ? fmt::format("{} .. {}", shown(d.interval->lo), shown(d.interval->hi)) : "-";
        text += fmt::format("{:<24}{:>10}{:>22}{:>10}{:>12}{:>12}{:>10}{:>12}{:>12}\n", d.site.name(),
                            shown(d.relative_change), interval, shown(d.cka), shown(d.procrustes),
                            shown(d.mean_shift), shown(d.subspace_overlap), shown(d.norm_change),
                            shown(d.neighbor_agreement));
    }
    const auto ranked = report.ranking();
    if (!ranked.empty()) {
        text += fmt::format("\nlayers by how far {} moved:", component_name(ranked.front().site.component));
        for (const SiteDrift& drift : ranked)
            text += fmt::format(" {} ({})", drift.site.layer, shown(movement(drift)));
        text += "\n";
    }
    for (const std::string& note : report.notes) text += "note: " + note + "\n";
    return text;
}

Json compare_json(const CompareReport& report) {
    Json json = {{"a", report.a},
                 {"b", report.b},
                 {"common_tokens", report.common_tokens},
                 {"sites", Json::array()},
                 {"ranking", Json::array()},
                 {"notes", report.notes}};
    for (const SiteDrift& drift : report.sites) json["sites"].push_back(drift_json(drift));
    for (const SiteDrift& drift : report.ranking())
        json["ranking"].push_back({{"layer", drift.site.layer}, {"movement", number(movement(drift))}});
    return json;
}

SharedBasis shared_basis(const Run& a, const Run& b, Component component, int dims) {
    if (a.d_model() != b.d_model())
        throw Error("the runs cannot share a basis",
                    fmt::format("widths {} and {}", a.d_model(), b.d_model()), "");
    std::vector<Matrix> parts[2];
    SharedBasis basis;
    for (const SiteShape& shape : a.sites()) {
        if (shape.site.component != component || !b.has_site(shape.site)) continue;
        parts[0].push_back(a.means(shape.site));
        parts[1].push_back(b.means(shape.site));
        if (parts[0].back().rows() != parts[1].back().rows())
            throw Error("the runs cannot share a basis", "their sequences differ in length", "");
        basis.layer.insert(basis.layer.end(), static_cast<std::size_t>(parts[0].back().rows()),
                           shape.site.layer);
    }
    if (parts[0].empty())
        throw Error(fmt::format("the runs have no {} in common", component_name(component)), "",
                    fmt::format("capture both with --components {}", component_name(component)));
    Matrix rows(2 * static_cast<Eigen::Index>(basis.layer.size()), a.d_model());
    Eigen::Index at = 0;
    for (const auto& side : parts) {
        for (const Matrix& part : side) {
            rows.middleRows(at, part.rows()) = part;
            at += part.rows();
        }
    }
    normalize_rows(Normalize::unit, rows.data(), rows.rows(), rows.cols());  // layers differ in norm by far
    const Pca pca = fit_pca(MatrixRows(rows), {.n_components = dims});
    basis.points = transform(pca, MatrixRows(rows));
    basis.variance_ratio = {pca.explained_variance_ratio.begin(), pca.explained_variance_ratio.end()};
    return basis;
}

}  // namespace tomograph
