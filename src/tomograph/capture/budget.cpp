#include "tomograph/capture/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/capture/axes.h"
#include "tomograph/capture/plan.h"
#include "tomograph/store/site_moments.h"

namespace tomograph {
namespace {

constexpr double kWriteBuffers = 32e6;
constexpr double kTokenBytes = 40;  // its columns, and its bytes in tokens.jsonl

double gigabytes(double bytes) {
    return bytes / 1e9;
}

CaptureCost cost_of(const CapturePlan& plan, const Engine& engine, const CaptureOptions& options) {
    const auto n_tokens = static_cast<double>(plan.n_tokens), n_rows = static_cast<double>(plan.n_rows);
    const double sites = static_cast<double>(plan.sites.size());
    const auto size = static_cast<double>(dtype_size(options.dtype.value_or(Dtype::f16)));
    double row = 0, position = 0, moments = 0, tables = 0, axes = 0, widest = 0, fitting = 0;
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        const std::int64_t width = engine.sites()[plan.sites[i]].width();
        const std::int64_t rank = std::min(options.keep.scores, width), summed = rank > 0 ? rank : width;
        const auto d = static_cast<double>(width), q = static_cast<double>(summed);
        if (plan.is_written(i)) row += (rank > 0 ? q + 1 : d) * size;
        position += 4 * q;
        moments += static_cast<double>(moments_bytes(width, rank));
        tables += 8 * (q * q + 2 * d);
        if (rank > 0) axes += 4 * d * (q + 1);
        fitting += 4 * d * std::min(2 * d, 2 * (q + 16));
        widest = std::max(widest, d);
    }
    std::int64_t longest_batch = 0, length = 0, longest_shard = 0;
    for (const CapturePlan::Batch& batch : plan.batches) {
        longest_batch = std::max(longest_batch, batch.n_tokens);
        length = std::max(length, batch.longest);
    }
    for (const CapturePlan::Shard& shard : plan.shards)
        longest_shard = std::max(longest_shard, shard.end_token - shard.begin_token);
    const auto n_shards = static_cast<double>(plan.shards.size());
    const double positions = plan.means ? static_cast<double>(length) * position : 0;
    CaptureCost cost{.n_tokens = plan.n_tokens, .n_rows = plan.n_rows};
    // Norms are in the shards, and all of them together.
    cost.token_disk = 2 * 4 * sites + kTokenBytes + (n_tokens > 0 ? n_rows / n_tokens * row : 0);
    cost.disk = n_tokens * cost.token_disk + n_shards * positions + axes;
    if (options.keep.moments) cost.disk += n_shards * moments;
    // Of the sums there may be a little more than one table, in float64 where many vectors meet.
    const bool wide = longest_shard > 64 * std::max<std::int64_t>(length, 1);
    cost.memory = kWriteBuffers + positions * (wide ? 2.5 : 1.25) +
                  4 * 4 * widest * static_cast<double>(longest_batch) + kTokenBytes * n_tokens;
    if (options.keep.moments) cost.memory += tables;
    // The sketches are gone when the tables grow, and the axes stay.
    if (options.keep.scores > 0)
        cost.memory = std::max(cost.memory + axes, kWriteBuffers + fitting + axes / 4);
    return cost;
}

}  // namespace

CaptureCost capture_cost(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options) {
    return cost_of(plan_capture(engine, model, prompts, options), engine, options);
}

Keep keep_within(const Budget& budget, const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                 const CaptureOptions& options) {
    std::vector<Keep> candidates;
    std::vector<std::int64_t> ranks{0};
    if (options.vectors) ranks.insert(ranks.end(), {256, 128, 64, 32, 16, 8, 4, 2});
    for (const std::int64_t scores : ranks) {
        Keep keep = options.keep;
        keep.scores = scores;
        candidates.push_back(keep);
        if (keep.moments) {
            keep.moments = false;
            candidates.push_back(keep);
        }
        if (keep.means) {
            keep.means = false;
            candidates.push_back(keep);
        }
    }
    CapturePlan plan = plan_reading(engine, model, prompts, options);
    CaptureCost cost;
    for (const Keep& keep : candidates) {
        CaptureOptions trial = options;
        trial.keep = keep;
        cut_into_shards(plan, engine, trial);
        cost = cost_of(plan, engine, trial);
        const bool fits = (budget.disk <= 0 || cost.disk <= budget.disk) &&
                          (budget.memory <= 0 || cost.memory <= budget.memory);
        if (fits) return keep;
    }
    throw Error("nothing fits the budget",
                fmt::format("{} take {:.2f} GB of disk and {:.2f} GB of memory",
                            options.vectors ? "two scores of each vector" : "norms", gigabytes(cost.disk),
                            gigabytes(cost.memory)),
                "choose fewer --components, --layers or --sequences, or a --sample");
}

std::string keep_text(const CaptureOptions& options) {
    std::string text = "norms";
    if (options.keep.means) text += ", means";
    if (options.keep.moments) text += ", moments";
    if (options.keep.scores > 0)
        text += fmt::format(", scores:{}", options.keep.scores);
    else if (options.vectors)
        text += options.sample < 1 ? fmt::format(", vectors:{}", options.sample) : ", vectors";
    return text;
}

}  // namespace tomograph
