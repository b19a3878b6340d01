#include "tomograph/findings/outlier_board.h"

#include <algorithm>
#include <cmath>

#include "tomograph/findings/site_outliers.h"

namespace tomograph {
namespace {

constexpr std::size_t kMostFirstTokens = 10;
constexpr int kContext = 8;  // tokens on either side

std::string context_of(const Run& run, std::size_t token) {
    std::string text;
    const auto& pieces = run.pieces();
    const auto n = static_cast<std::ptrdiff_t>(pieces.size()), at = static_cast<std::ptrdiff_t>(token);
    for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(0, at - kContext); i < std::min(n, at + kContext + 1);
         ++i) {
        const auto j = static_cast<std::size_t>(i);
        if (run.tokens().sequence[j] != run.tokens().sequence[token]) continue;
        text += i == at ? "[" + pieces[j] + "]" : pieces[j];
    }
    return text;
}

}  // namespace

Outlier make_outlier(const Run& run, std::int64_t row, const Site& site, double score, const char* by) {
    const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
    return {.site = site,
            .token = static_cast<std::int64_t>(token),
            .sequence = run.tokens().sequence[token],
            .position = run.tokens().position[token],
            .piece = run.pieces()[token],
            .context = context_of(run, token),
            .score = score,
            .by = by};
}

OutlierBoard::OutlierBoard(const Run& run, const std::vector<Site>& sites,
                           std::span<const std::uint8_t> left_out)
    : run_(run),
      sites_(sites),
      left_out_(left_out),
      best_(static_cast<std::size_t>(run.n_rows())),
      best_first_(best_.size()),
      label_auroc_(sites.size()) {}

void OutlierBoard::keep_best(Best& best, double score, int site, const char* by) {
    const auto value = static_cast<float>(score);
    if (value > best.score || (value == best.score && site < best.site)) best = {value, site, by};
}

void OutlierBoard::score(std::size_t at, const Matrix& sample, const Pca& pca, std::uint64_t seed) {
    const SiteScores scores =
        score_site(run_, sites_[at], left_out_, OutlierModel(sample, pca, {.seed = seed}));
    std::vector<double> by_label;
    for (std::size_t label = 0; label < run_.labels().size(); ++label) {
        by_label.push_back(tomograph::label_auroc(run_, scores, label));
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < scores.rows.size(); ++i) {
        keep_best(best_[static_cast<std::size_t>(scores.rows[i])], scores.scored[i].score,
                  static_cast<int>(at), scores.scored[i].by);
    }
    for (std::size_t i = 0; i < scores.first_rows.size(); ++i) {
        keep_best(best_first_[static_cast<std::size_t>(scores.first_rows[i])], scores.first_scores[i],
                  static_cast<int>(at), "norm");
    }
    label_auroc_[at] = std::move(by_label);
}

double OutlierBoard::threshold(double false_alarm_rate) const {
    std::vector<double> scores;
    for (const Best& best : best_) {
        if (best.site >= 0) scores.push_back(best.score);
    }
    return quantile(std::move(scores), 1 - false_alarm_rate);
}

std::vector<Outlier> OutlierBoard::outliers(double threshold) const {
    return ranked(best_, threshold, kMostOutliers);
}
std::vector<Outlier> OutlierBoard::first_tokens() const {
    return ranked(best_first_, 0, kMostFirstTokens);
}

std::vector<float> OutlierBoard::token_scores() const {
    std::vector<float> scores(static_cast<std::size_t>(run_.n_tokens()), static_cast<float>(kNoNumber));
    for (std::size_t row = 0; row < best_.size(); ++row) {
        if (best_[row].site >= 0) scores[static_cast<std::size_t>(run_.rows()[row])] = best_[row].score;
    }
    return scores;
}

std::vector<Outlier> OutlierBoard::ranked(const std::vector<Best>& best, double threshold,
                                          std::size_t most) const {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < best.size(); ++row) {
        if (best[row].site >= 0 && best[row].score > threshold) rows.push_back(row);
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [&](std::size_t a, std::size_t b) { return best[a].score > best[b].score; });
    if (rows.size() > most) rows.resize(most);
    std::vector<Outlier> outliers;
    for (const std::size_t row : rows)
        outliers.push_back(make_outlier(run_, static_cast<std::int64_t>(row),
                                        sites_[static_cast<std::size_t>(best[row].site)], best[row].score,
                                        best[row].by));
    return outliers;
}

Json OutlierBoard::found_labels() const {
    SiteScores together;
    for (std::size_t row = 0; row < best_.size(); ++row) {
        if (best_[row].site < 0) continue;
        together.rows.push_back(static_cast<std::int64_t>(row));
        together.scored.push_back({best_[row].score, best_[row].by});
    }
    Json list = Json::array();
    for (std::size_t label = 0; label < run_.labels().size(); ++label) {
        std::size_t best = 0;
        double value = -1;
        for (std::size_t at = 0; at < sites_.size(); ++at) {
            if (label_auroc_[at].empty() || !(label_auroc_[at][label] > value)) continue;
            value = label_auroc_[at][label];
            best = at;
        }
        if (value < 0) continue;
        list.push_back({{"label", run_.labels()[label]},
                        {"auroc", number(tomograph::label_auroc(run_, together, label))},
                        {"best_site", sites_[best].name()},
                        {"best_auroc", number(value)}});
    }
    return list;
}

}  // namespace tomograph
