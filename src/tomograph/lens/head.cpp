#include "tomograph/lens/head.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/engine/given.h"

namespace tomograph {
namespace {

// Of one call: the vocabulary's weights are read once for all of them, and each leaves n_vocab logits.
constexpr std::int64_t kFewestRows = 32, kMostRows = 128, kLogitBytes = 32'000'000;

/// Keeps logits, or the values of one site.
class KeepingTap final : public Tap {
  public:
    explicit KeepingTap(Matrix& into) : into_(into) {}
    void take(const SiteBatch& batch) override {
        std::copy_n(batch.data, batch.n_tokens * batch.width, into_.row(batch.first_token).data());
    }
    void take_logits(std::size_t which, std::span<const float> logits) override {
        std::copy(logits.begin(), logits.end(), into_.row(static_cast<Eigen::Index>(which)).data());
    }

  private:
    Matrix& into_;
};

std::size_t find_site(const Engine& engine, const Site& site, const std::string& model) {
    const auto& sites = engine.sites();
    const auto found = std::ranges::find(sites, site, &SiteShape::site);
    if (found == sites.end()) throw Error("no lens can be made of " + model, "it has no " + site.name(), "");
    return static_cast<std::size_t>(found - sites.begin());
}

std::span<const float> values_of(const Matrix& rows) {
    return {rows.data(), static_cast<std::size_t>(rows.size())};
}

}  // namespace

ModelHead::ModelHead(const LanguageModel& model, int threads, Progress& progress)
    : n_vocab_(model.info().n_vocab) {
    most_rows_ =
        std::min(std::clamp(kLogitBytes / (std::int64_t{sizeof(float)} * n_vocab_), kFewestRows, kMostRows),
                 model.info().context_length);
    engine_ = model.make_engine({.max_length = most_rows_, .threads = threads, .stop_requested = [&progress] {
                                     return progress.stop_requested();
                                 }});
    const ModelInfo& info = model.info();
    if (!ends_alone(*engine_))
        throw Error("no lens can be made of " + info.name,
                    "its end reads earlier streams, too, which were put aside (attention residuals)", "");
    stream_ = find_site(*engine_, {Component::resid_post, info.n_layers - 1}, info.name);
    normed_ = find_site(*engine_, {Component::ln_final, -1}, info.name);
}

Matrix ModelHead::logits(std::size_t site, const Matrix& rows) {
    Matrix all(rows.rows(), n_vocab_);
    KeepingTap tap(all);
    run_given(*engine_, site, values_of(rows), {}, tap);
    return all;
}

Matrix ModelHead::from_stream(const Matrix& rows) {
    return logits(stream_, rows);
}

Matrix ModelHead::from_normed(const Matrix& rows) {
    return logits(normed_, rows);
}

Matrix ModelHead::norm(const Matrix& rows) {
    Matrix all(rows.rows(), engine_->sites()[normed_].width());
    for (Eigen::Index first = 0; first < rows.rows(); first += most_rows_) {
        const Eigen::Index n = std::min<Eigen::Index>(most_rows_, rows.rows() - first);
        const Matrix block = rows.middleRows(first, n);
        Matrix normed(n, all.cols());
        KeepingTap tap(normed);
        run_given(*engine_, stream_, values_of(block), {normed_}, tap);
        all.middleRows(first, n) = normed;
    }
    return all;
}

}  // namespace tomograph
