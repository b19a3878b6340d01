#include "tomograph/capture/axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tomograph/base/error.h"
#include "tomograph/capture/shared_axes.h"
#include "tomograph/linear/rows_product.h"

namespace tomograph {
namespace {

class FitTap final : public Tap {
  public:
    explicit FitTap(std::vector<SketchPca>& sketches) : sketches_(sketches) {}
    void take(const SiteBatch& batch) override { sketches_[batch.site].add(batch.data, batch.n_tokens); }

  private:
    std::vector<SketchPca>& sketches_;
};

/// The largest score that the rows could have becomes 512: float16 has room for 128 times as much, and keeps
/// its precision down to a ten-millionth.
float scale_of(double largest) {
    if (!(largest > 0) || !std::isfinite(largest)) return 1;
    return std::ldexp(1.0f, std::clamp(std::ilogb(largest) - 8, -100, 100));
}

}  // namespace

std::size_t fit_batches(const CapturePlan& plan, const CaptureOptions& options) {
    const std::int64_t asked = options.keep.fit_tokens;
    const std::int64_t enough = asked > 0 ? asked : std::max<std::int64_t>(2048, 64 * options.keep.scores);
    std::size_t n = 0;
    std::int64_t tokens = 0;
    while (n < plan.batches.size() && tokens < enough) tokens += plan.batches[n++].n_tokens;
    return n;
}

std::shared_ptr<const Basis> find_axes(Engine& engine, const PromptSet& prompts, const CapturePlan& plan,
                                       const std::filesystem::path& out, const CaptureOptions& options,
                                       Progress& progress) {
    std::vector<SiteShape> sites;
    for (const std::size_t site : plan.sites) sites.push_back(engine.sites()[site]);
    if (!options.keep.axes_of.empty())
        return std::make_shared<const Basis>(basis_of(options.keep.axes_of, sites));
    if (options.begin == Begin::resume) {
        try {
            return std::make_shared<const Basis>(basis_of(out, sites));
        } catch (const Error&) {  // begun before there were any: they are fitted
        }
    }
    std::vector<SketchPca> sketches;
    for (std::size_t i = 0; i < sites.size(); ++i)
        sketches.emplace_back(sites[i].width(), options.keep.scores, options.seed + i);
    const std::size_t n_batches = fit_batches(plan, options);
    const CapturePlan::Batch& last = plan.batches[n_batches - 1];
    progress.begin("fit axes", last.first_token + last.n_tokens, "tokens");
    FitTap tap(sketches);
    for (std::size_t b = 0; b < n_batches; ++b) {
        if (progress.stop_requested()) throw Stopped("nothing is kept");
        const CapturePlan::Batch& batch = plan.batches[b];
        Plan doing{.reads = plan.sites, .check_sums = b == 0};
        if (options.intervention)
            doing.writes = options.intervention->writes(batch.first_sequence, batch.n_sequences);
        engine.run(std::span(prompts.sequences).subspan(batch.first_sequence, batch.n_sequences), doing, tap);
        progress.update(batch.first_token + batch.n_tokens);
    }
    progress.end();
    std::vector<SketchPca::Axes> fitted;
    std::int64_t count = 0;
    for (SketchPca& sketch : sketches) {
        count = std::max(count, sketch.count());
        fitted.push_back(sketch.finish());
        sketch = SketchPca(0, 0, 0);  // its memory is wanted for the next ones
    }
    share_axes(fitted, sites, count, options.keep.scores, options.seed);
    auto basis = std::make_shared<Basis>();
    for (SketchPca::Axes& axes : fitted)
        basis->sites.push_back({std::move(axes.mean), std::move(axes.components), scale_of(axes.largest)});
    return basis;
}

Scored Scorer::score(std::size_t site, std::int64_t n, const float* values) {
    const SiteBasis& axes = basis_->sites[site];
    const std::int64_t d = axes.mean.size(), k = axes.rank();
    centered_.resize(static_cast<std::size_t>(n * d));
    scores_.resize(static_cast<std::size_t>(n * k));
    residuals_.resize(static_cast<std::size_t>(n));
    Eigen::Map<Matrix> centered(centered_.data(), n, d);
    centered = MatrixView(values, n, d).rowwise() - axes.mean.transpose();
    multiply_by_rows(centered_.data(), n, axes.components.data(), k, d, scores_.data());
    const MatrixView scores(scores_.data(), n, k);
    for (std::int64_t i = 0; i < n; ++i) {
        // The axes are orthonormal: what they leave is what Pythagoras leaves.
        const float left = centered.row(i).squaredNorm() - scores.row(i).squaredNorm();
        residuals_[static_cast<std::size_t>(i)] = left > 0 ? std::sqrt(left) : left <= 0 ? 0.0f : left;
    }
    return {scores_.data(), residuals_.data()};
}

}  // namespace tomograph
