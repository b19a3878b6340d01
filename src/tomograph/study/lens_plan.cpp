#include "tomograph/study/lens_plan.h"

#include <algorithm>

namespace tomograph {
namespace {

constexpr double kBudget = 2e12;  // floating point operations
constexpr std::int64_t kRows[] = {512, 256, 128};
constexpr std::int64_t kTwinRows = 64;
constexpr std::int64_t kMostFitted = 8192;

/// Products of a lens: answers over the vocabulary, and the maps' normal equations with their solution.
double work_of(const ModelInfo& model, const LensOptions& options) {
    const auto d = static_cast<double>(model.d_model), vocabulary = static_cast<double>(model.n_vocab);
    const double sites = model.n_layers * (1.0 + static_cast<double>(options.beside.size()));
    const auto fitted = static_cast<double>(options.fit_rows), rows = static_cast<double>(options.rows);
    const double answers = 2 * vocabulary * d * (fitted + rows * (1 + 2 * sites));
    const double maps = 2 * sites * (2 * fitted * d * d + 10 * d * d * d);
    return answers + maps;
}

}  // namespace

LensPlan plan_lens(const ModelInfo& model, std::int64_t n_tokens, int n_twins) {
    LensPlan plan;
    const std::int64_t fitted = std::min({8 * model.d_model, kMostFitted, n_tokens});
    double left = kBudget;
    for (const bool beside : {true, false}) {
        for (const std::int64_t rows : kRows) {
            LensOptions options{.rows = rows, .fit_rows = fitted};
            if (!beside) options.beside.clear();
            if (plan.text || work_of(model, options) > kBudget) continue;
            left -= work_of(model, options);
            plan.text = options;
        }
    }
    plan.twin = {.rows = kTwinRows, .fit_rows = std::min(fitted, 4 * model.d_model), .beside = {}};
    if (plan.text && n_twins > 0)
        plan.n_twins =
            static_cast<int>(std::clamp(left / work_of(model, plan.twin), 1.0, static_cast<double>(n_twins)));
    return plan;
}

}  // namespace tomograph
