#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/random.h"
#include "tomograph/engine/engine.h"

namespace tomograph::test {

/// Every site's value by the site's name, [n_tokens, width].
using Recording = std::map<std::string, Matrix>;

/// Keeps all that it is handed, and insists on each token once and in order.
class RecordingTap final : public Tap {
  public:
    RecordingTap(const Engine& engine, std::span<const std::size_t> requested, std::int64_t n_tokens)
        : n_tokens_(n_tokens), taken_(requested.size(), 0) {
        for (const std::size_t index : requested) shapes_.push_back(engine.sites().at(index));
        for (const SiteShape& shape : shapes_) recording[shape.site.name()].setZero(n_tokens, shape.width());
    }
    void take(const SiteBatch& batch) override {
        const SiteShape& shape = shapes_.at(batch.site);
        const std::string name = shape.site.name();
        if (batch.width != shape.width()) throw std::runtime_error(name + " has not the promised width");
        if (batch.first_token != taken_[batch.site])
            throw std::runtime_error(name + " skipped or repeated tokens");
        taken_[batch.site] += batch.n_tokens;
        recording[name].middleRows(batch.first_token, batch.n_tokens) =
            MatrixView(batch.data, batch.n_tokens, batch.width);
    }
    void expect_all_taken() const {
        for (const std::int64_t taken : taken_) {
            if (taken != n_tokens_) throw std::runtime_error("a site was not handed over for every token");
        }
    }
    Recording recording;

  private:
    std::int64_t n_tokens_;
    std::vector<SiteShape> shapes_;
    std::vector<std::int64_t> taken_;  // per requested site
};

inline std::vector<std::size_t> all_sites(const Engine& engine) {
    std::vector<std::size_t> indices(engine.sites().size());
    std::iota(indices.begin(), indices.end(), std::size_t{0});
    return indices;
}

/// One batch, these sites.
inline Recording record(Engine& engine, std::span<const Sequence> batch, std::span<const std::size_t> sites,
                        bool check_sums = false) {
    std::int64_t n_tokens = 0;
    for (const Sequence& sequence : batch) n_tokens += sequence.length();
    RecordingTap tap(engine, sites, n_tokens);
    engine.run(batch, {.reads = {sites.begin(), sites.end()}, .check_sums = check_sums}, tap);
    tap.expect_all_taken();
    return std::move(tap.recording);
}

/// One batch, every site.
inline Recording record(Engine& engine, std::span<const Sequence> batch) {
    return record(engine, batch, all_sites(engine));
}

inline Sequence random_sequence(std::int64_t length, std::int64_t n_vocab, std::uint64_t seed) {
    Rng rng(seed);
    Sequence sequence;
    for (std::int64_t i = 0; i < length; ++i) {
        sequence.tokens.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(n_vocab))));
    }
    return sequence;
}

/// Largest over rows of ||got - want|| / ||want||, in float64. A row of zeros counts by its absolute error.
inline double row_error(const Matrix& got, const Matrix& want) {
    if (got.rows() != want.rows() || got.cols() != want.cols())
        return std::numeric_limits<double>::infinity();
    double worst = 0;
    for (Eigen::Index row = 0; row < want.rows(); ++row) {
        const double norm = want.row(row).cast<double>().norm();
        const double difference = (got.row(row).cast<double>() - want.row(row).cast<double>()).norm();
        const double error = norm > 0 ? difference / norm : difference;
        if (!(error <= worst)) worst = error;  // NaN counts as worst
    }
    return worst;
}

struct WorstSite {
    std::string site;
    double error = 0;
};

/// The site where two recordings differ most; a site that one of them lacks differs infinitely.
inline WorstSite worst_site(const Recording& got, const Recording& want) {
    WorstSite worst;
    for (const auto& [site, values] : want) {
        const auto other = got.find(site);
        const double error =
            other == got.end() ? std::numeric_limits<double>::infinity() : row_error(other->second, values);
        if (!(error <= worst.error)) worst = {site, error};
    }
    for (const auto& [site, values] : got) {
        if (!want.contains(site)) worst = {site, std::numeric_limits<double>::infinity()};
    }
    return worst;
}

/// Rows [begin, begin + count) of every site.
inline Recording rows_of(const Recording& recording, Eigen::Index begin, Eigen::Index count) {
    Recording rows;
    for (const auto& [site, values] : recording) rows[site] = values.middleRows(begin, count);
    return rows;
}

}  // namespace tomograph::test
