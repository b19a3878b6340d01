#include "tomograph/capture/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"

namespace tomograph {

std::vector<std::size_t> choose_sites(const Engine& engine, const ModelInfo& model,
                                      const std::vector<Component>& components, const Range& layers) {
    const Range wanted = resolve_range(layers, model.n_layers, "layers");
    std::string existing;
    for (const Component component : all_components()) {
        if (std::any_of(engine.sites().begin(), engine.sites().end(),
                        [&](const SiteShape& s) { return s.site.component == component; })) {
            existing += fmt::format("{}{}", existing.empty() ? "" : ", ", component_name(component));
        }
    }
    std::vector<std::size_t> chosen;
    for (const Component component : components) {
        const bool exists = std::any_of(engine.sites().begin(), engine.sites().end(),
                                        [&](const SiteShape& s) { return s.site.component == component; });
        if (!exists)
            throw Error(fmt::format("{} has no component {}", model.name, component_name(component)),
                        "it has " + existing, "");
    }
    for (std::size_t i = 0; i < engine.sites().size(); ++i) {
        const Site& site = engine.sites()[i].site;
        const bool named = components.empty() || std::find(components.begin(), components.end(),
                                                           site.component) != components.end();
        if (named && (site.layer < 0 || wanted.contains(site.layer))) chosen.push_back(i);
    }
    if (chosen.empty())
        throw Error("no site is left to capture", "", "choose other --components or --layers");
    return chosen;
}

CapturePlan plan_capture(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options) {
    if (!(options.sample > 0 && options.sample <= 1))
        throw Error(fmt::format("--sample {} is no fraction", options.sample), "",
                    "use a number above 0, up to 1");
    CapturePlan plan;
    plan.sites = choose_sites(engine, model, options.components, options.layers);
    for (const Sequence& sequence : prompts.sequences) plan.length = std::max(plan.length, sequence.length());
    resolve_range(options.positions, plan.length, "positions");  // the longest sequence must have them

    std::vector<std::int32_t> seen(static_cast<std::size_t>(plan.length), 0);
    for (std::size_t s = 0; s < prompts.sequences.size(); ++s) {
        const Sequence& sequence = prompts.sequences[s];
        for (std::int64_t p = 0; p < sequence.length(); ++p) {
            const auto at = static_cast<std::size_t>(p);
            const bool chosen = options.sample >= 1 || to_unit(mix(options.seed, s, at)) < options.sample;
            plan.kept.push_back(options.vectors && options.positions.contains(p, sequence.length()) && chosen);
            plan.position.push_back(static_cast<std::int32_t>(p));
            const bool outside = prompts.label_outside_means >= 0 && !sequence.labels.empty() &&
                                 sequence.labels[at] == prompts.label_outside_means;
            plan.mean_count.push_back(outside ? 0 : ++seen[at]);
        }
    }

    std::int64_t row_bytes = 0;
    for (std::size_t i = 0; i < plan.sites.size() && options.vectors; ++i) {
        const SiteShape& site = engine.sites()[plan.sites[i]];
        const auto& named = options.vector_components;
        if (!named.empty() && std::find(named.begin(), named.end(), site.site.component) == named.end())
            continue;
        plan.stored.push_back(i);
        row_bytes += site.width() * static_cast<std::int64_t>(dtype_size(options.dtype));
    }
    const auto end_shard = [&](std::size_t first_batch, std::int64_t n_rows) {
        if (n_rows > 0) plan.shards.push_back({first_batch, plan.batches.size() - first_batch, n_rows});
    };
    std::size_t shard_begin = 0;
    std::int64_t shard_rows = 0;
    for (std::size_t s = 0; s < prompts.sequences.size();) {
        CapturePlan::Batch batch{s, engine.next_batch(std::span(prompts.sequences).subspan(s)), plan.n_tokens,
                                 0, 0};
        for (std::size_t i = 0; i < batch.n_sequences; ++i)
            batch.n_tokens += prompts.sequences[s + i].length();
        for (std::int64_t i = 0; i < batch.n_tokens; ++i)
            batch.n_rows += plan.kept[static_cast<std::size_t>(plan.n_tokens + i)];
        if (shard_rows > 0 && (shard_rows + batch.n_rows) * row_bytes > options.shard_bytes) {
            end_shard(shard_begin, shard_rows);
            shard_begin = plan.batches.size();
            shard_rows = 0;
        }
        plan.batches.push_back(batch);
        shard_rows += batch.n_rows;
        plan.n_rows += batch.n_rows;
        plan.n_tokens += batch.n_tokens;
        s += batch.n_sequences;
    }
    end_shard(shard_begin, shard_rows);
    return plan;
}

}  // namespace tomograph
