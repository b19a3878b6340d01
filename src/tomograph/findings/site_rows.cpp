#include "tomograph/findings/site_rows.h"

#include <algorithm>
#include <map>

#include "tomograph/base/error.h"
#include "tomograph/base/progress_count.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/outlier_board.h"
#include "tomograph/statistics/clouds.h"

namespace tomograph {
namespace {

constexpr Eigen::Index kFewestSiteRows = 3;
constexpr int kLabelShuffles = 20;  // of labels, for silhouettes

}  // namespace

SiteRows::SiteRows(Subject& subject, std::size_t index)
    : subject_(subject),
      index_(index),
      rows_(read_sample(subject.run, subject.sites[index], subject.sample.rows)) {
    for (Eigen::Index i = 0; i < rows_.rows(); ++i) {
        if (rows_.row(i).allFinite()) continue;
        const std::int32_t token =
            subject.run.rows()[static_cast<std::size_t>(subject.sample.rows[static_cast<std::size_t>(i)])];
        throw Error(site().name() + " holds NaN or Inf",
                    "at token " + std::to_string(token) + ", whose norm is an ordinary number",
                    "the file is damaged: check it with tomograph verify");
    }
}

const Moments& SiteRows::moments() {
    if (!moments_) moments_ = compute_moments(MatrixRows(rows_), {1});
    return *moments_;
}

const Pca& SiteRows::pca() {
    if (!pca_) pca_ = fit_pca(moments(), {.n_components = 0});
    return *pca_;
}

bool SiteRows::constant() {
    return !(pca().total_variance > 1e-12 * (moments().mean.squaredNorm() + pca().total_variance));
}

std::vector<std::int8_t> pair_labels(std::int64_t n, std::uint64_t seed, int shuffle) {
    std::vector<std::int8_t> labels(static_cast<std::size_t>(2 * n));
    Rng rng(mix(seed, 0x1abe1, static_cast<std::uint64_t>(shuffle)));
    for (std::int64_t i = 0; i < n; ++i) {
        const bool swap = shuffle > 0 && (rng() & 1) != 0;
        labels[static_cast<std::size_t>(i)] = swap ? 1 : 0;
        labels[static_cast<std::size_t>(n + i)] = swap ? 0 : 1;
    }
    return labels;
}

LayerPair::LayerPair(const Subject& subject, SiteRows& its_attention, SiteRows& its_mlp, std::size_t index)
    : attention(its_attention), mlp(its_mlp), subject_(subject), index_(index), group_(subject.sample.group) {
    group_.insert(group_.end(), subject.sample.group.begin(), subject.sample.group.end());
}

const Matrix& LayerPair::unit() {
    if (!unit_) {
        unit_.emplace(2 * attention.rows().rows(), attention.rows().cols());
        *unit_ << unit_rows(attention.rows()), unit_rows(mlp.rows());
    }
    return *unit_;
}

const Silhouettes& LayerPair::silhouettes() {
    if (silhouettes_) return *silhouettes_;
    Silhouettes& result = silhouettes_.emplace();
    const std::uint64_t seed = subject_.options.seed;
    const std::int64_t n = attention.rows().rows();
    const int n_groups = subject_.sample.n_groups;
    const CosineSilhouette silhouette(unit(), group_, n_groups);
    const auto labels = pair_labels(n, seed, 0);
    result.value = silhouette.value(labels);
    if (subject_.effects_only) return result;
    std::vector<double> shuffled;
    for (int s = 1; s <= kLabelShuffles; ++s) shuffled.push_back(silhouette.value(pair_labels(n, seed, s)));
    result.shuffled = quantile(shuffled, 0.975);
    const auto labelled = silhouette.labelled(labels);
    result.left_out =
        leave_out_groups(subject_, [&](std::span<const double> w) { return labelled.value(w); });
    return result;
}

std::vector<int> paired_layers(const Subject& subject) {
    std::vector<int> layers;
    if (subject.sample.rows.empty()) return layers;
    for (const Site& site : subject.sites) {
        const Site other{Component::mlp_out, site.layer};
        if (site.component == Component::attn_out &&
            std::find(subject.sites.begin(), subject.sites.end(), other) != subject.sites.end())
            layers.push_back(site.layer);
    }
    std::sort(layers.begin(), layers.end());
    return layers;
}

std::string lacks_pairs(const Subject& subject) {
    const auto layers = paired_layers(subject);
    if (std::any_of(layers.begin(), layers.end(), [&](int layer) { return subject.headline_layer(layer); }))
        return "";
    for (const Component component : {Component::attn_out, Component::mlp_out}) {
        if (std::string why = subject.lacks(component); !why.empty()) return why;
    }
    return "no middle layer has both attn_out and mlp_out; capture more --layers";
}

void visit_sites(Subject& subject, const std::vector<std::unique_ptr<Measurement>>& measurements,
                 OutlierBoard* board) {
    const Run& run = subject.run;
    for (std::size_t i = 0; i < subject.sites.size(); ++i)
        subject.site_lines[i] = {{"site", subject.sites[i].name()}, {"rows", subject.sample.size()}};
    if (subject.sample.rows.empty()) return;
    std::map<int, std::vector<std::size_t>> by_layer;  // sites outside blocks are one job
    for (std::size_t i = 0; i < subject.sites.size(); ++i) by_layer[subject.sites[i].layer].push_back(i);
    std::vector<std::vector<std::size_t>> jobs;
    for (auto& [layer, sites] : by_layer) jobs.push_back(std::move(sites));
    const std::vector<int> pairs = paired_layers(subject);

    const auto show = [&](SiteRows& rows) {
        if (rows.rows().rows() < kFewestSiteRows) return;
        rows.line()["constant"] = rows.constant();
        if (!subject.effects_only || rows.headline()) {
            for (const auto& measurement : measurements) measurement->site(rows);
        }
        if (board != nullptr && !rows.constant())
            board->score(rows.index(), rows.rows(), rows.pca(), subject.options.seed);
    };
    ProgressCount done(subject.progress);
    subject.progress.begin("measuring " + run.model_name(), static_cast<std::int64_t>(subject.sites.size()),
                           "sites");
    parallel_for(static_cast<std::int64_t>(jobs.size()), subject.threads, [&](std::int64_t job) {
        std::unique_ptr<SiteRows> attention, mlp;
        for (const std::size_t at : jobs[static_cast<std::size_t>(job)]) {
            if (subject.progress.stop_requested()) throw Stopped("no measure was written");
            auto rows = std::make_unique<SiteRows>(subject, at);
            show(*rows);
            run.release();
            if (rows->site().component == Component::attn_out)
                attention = std::move(rows);
            else if (rows->site().component == Component::mlp_out)
                mlp = std::move(rows);
            done.add();
        }
        if (!attention || !mlp || attention->rows().rows() < kFewestPairs) return;
        const auto place = std::find(pairs.begin(), pairs.end(), attention->site().layer);
        LayerPair pair(subject, *attention, *mlp, static_cast<std::size_t>(place - pairs.begin()));
        for (const auto& measurement : measurements) measurement->layer(pair);
    });
    subject.progress.end();
}

}  // namespace tomograph
