#include "tomograph/study/lens_plan.h"

#include <algorithm>

namespace tomograph {
namespace {

constexpr double kBudget = 1.5e12;  // floating point operations
constexpr std::int64_t kRows[] = {512, 256, 128};
constexpr std::int64_t kLensTwinRows = 64;
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
    double left = kBudget;
    // Maps that are fitted well say more than further sites, and these more than further tokens.
    for (const std::int64_t most : {kMostFitted, 8 * model.d_model}) {
        for (const bool beside : {true, false}) {
            for (const std::int64_t rows : kRows) {
                LensOptions options{.rows = rows, .fit_rows = std::min({most, kMostFitted, n_tokens})};
                if (!beside) options.beside.clear();
                if (plan.text || work_of(model, options) > kBudget) continue;
                left -= work_of(model, options);
                plan.text = options;
            }
        }
    }
    if (!plan.text || n_twins < 1) return plan;
    plan.twin = {.rows = kLensTwinRows, .fit_rows = plan.text->fit_rows, .beside = {}};
    if (work_of(model, plan.twin) * n_twins > left)
        plan.twin.fit_rows = std::min(plan.twin.fit_rows, 4 * model.d_model);
    plan.n_twins =
        static_cast<int>(std::clamp(left / work_of(model, plan.twin), 1.0, static_cast<double>(n_twins)));
    return plan;
}

}  // namespace tomograph
