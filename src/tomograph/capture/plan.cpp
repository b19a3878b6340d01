#include "tomograph/capture/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/store/site_moments.h"

namespace tomograph {
namespace {

/// A shard's sums take as much room however few its sequences are: it goes on until the rest of it is so many
/// times larger,
constexpr std::int64_t kSumShare = 10;
/// or it has so many tokens: minutes of a small model, hours of a large one.
constexpr std::int64_t kShardTokens = 1 << 18;

/// A state is behind the last token of each sequence, and as large as many vectors.
void check_states(const Engine& engine, const CapturePlan& plan, const PromptSet& prompts,
                  const CaptureOptions& options) {
    const bool any = std::ranges::any_of(
        plan.sites, [&](std::size_t site) { return of_sequence(engine.sites()[site].site.component); });
    if (!any) return;
    bool last_only =
        options.vectors && !options.keep.means && !options.keep.moments && options.keep.scores == 0;
    std::size_t token = 0;
    for (const Sequence& sequence : prompts.sequences) {
        for (std::int64_t p = 0; p < sequence.length(); ++p, ++token)
            last_only = last_only && (plan.kept[token] == 0 || p + 1 == sequence.length());
    }
    if (!last_only)
        throw Error("states are behind the last token of a sequence only",
                    "means and vectors of the other tokens would be zeros", "add --last --keep vectors");
}

/// Which sites need no vectors of their own beside others'.
std::vector<std::vector<std::size_t>> find_sums(const CapturePlan& plan, const Engine& engine,
                                                const CaptureOptions& options) {
    std::vector<std::vector<std::size_t>> sums(plan.sites.size());
    if (options.keep.scores > 0) return sums;  // these have axes of their own
    const std::vector<std::vector<std::size_t>> parts = engine.parts();
    const auto place_of = [&](std::size_t site) -> std::optional<std::size_t> {
        const auto at = std::ranges::find(plan.sites, site);
        const auto place = static_cast<std::size_t>(at - plan.sites.begin());
        return at != plan.sites.end() && plan.stored[place] ? std::optional(place) : std::nullopt;
    };
    // What holds a site's vectors: another of its value, or itself.
    const auto holder_of = [&](std::size_t site) {
        const auto other = parts[site].size() == 1 ? place_of(parts[site].front()) : std::nullopt;
        return other ? other : place_of(site);
    };
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        const std::size_t site = plan.sites[i];
        if (!plan.stored[i]) continue;
        if (holder_of(site) != i) {
            sums[i] = {*holder_of(site)};
            continue;
        }
        const bool as_sum = options.mid_as_sum && !options.intervention && parts[site].size() > 1 &&
                            engine.sites()[site].site.component == Component::resid_mid;
        if (!as_sum) continue;
        std::vector<std::size_t> holders;
        for (const std::size_t part : parts[site]) {
            if (const auto holder = holder_of(part)) holders.push_back(*holder);
        }
        if (holders.size() == parts[site].size()) sums[i] = std::move(holders);
    }
    return sums;
}

}  // namespace

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
        if (named && (site.layer < 0 || wanted.contains(site.layer, model.n_layers))) chosen.push_back(i);
    }
    if (chosen.empty())
        throw Error("no site is left to capture", "", "choose other --components or --layers");
    return chosen;
}

CapturePlan plan_reading(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options) {
    if (!(options.sample > 0 && options.sample <= 1))
        throw Error(fmt::format("--sample {} is no fraction", options.sample), "",
                    "use a number above 0, up to 1");
    const Part& asked = options.part;
    if (asked.of < 1 || asked.of > kMostParts || asked.number < 1 || asked.number > asked.of)
        throw Error(fmt::format("there is no part {}/{}", asked.number, asked.of),
                    fmt::format("parts go from 1 to their number, at most {}", kMostParts), "");
    CapturePlan plan;
    plan.sites = choose_sites(engine, model, options.components, options.layers);
    resolve_range(options.positions, longest_length(prompts.sequences),
                  "positions");  // the longest sequence must have them
    for (std::size_t s = 0; s < prompts.sequences.size(); ++s) {
        for (std::int64_t p = 0; p < prompts.sequences[s].length(); ++p) {
            const bool chosen = options.sample >= 1 ||
                                to_unit(mix(options.seed, s, static_cast<std::size_t>(p))) < options.sample;
            plan.kept.push_back(options.vectors &&
                                options.positions.contains(p, prompts.sequences[s].length()) && chosen);
            plan.n_rows += plan.kept.back();
        }
    }
    check_states(engine, plan, prompts, options);
    const Range vector_layers = resolve_range(options.vector_layers, model.n_layers, "layers");
    for (const std::size_t index : plan.sites) {
        const auto& named = options.vector_components;
        const Site& site = engine.sites()[index].site;
        plan.stored.push_back(options.vectors &&
                              (named.empty() || std::ranges::find(named, site.component) != named.end()) &&
                              (site.layer < 0 || vector_layers.contains(site.layer, model.n_layers)));
    }
    for (std::size_t s = 0; s < prompts.sequences.size();) {
        CapturePlan::Batch batch{s, engine.next_batch(std::span(prompts.sequences).subspan(s)), plan.n_tokens,
                                 0, 0};
        for (std::size_t i = 0; i < batch.n_sequences; ++i) {
            const std::int64_t length = prompts.sequences[s + i].length();
            batch.longest = std::max(batch.longest, length);
            batch.n_tokens += length;
        }
        plan.batches.push_back(batch);
        plan.n_tokens += batch.n_tokens;
        s += batch.n_sequences;
    }
    return plan;
}

void cut_into_shards(CapturePlan& plan, const Engine& engine, const CaptureOptions& options) {
    if (options.keep.scores < 0)
        throw Error(fmt::format("cannot keep {} scores", options.keep.scores), "", "keep at least 1");
    if (options.keep.scores > 0 && !options.vectors)
        throw Error("scores are kept of no vectors", "they stand for the vectors, which are not to be kept",
                    "leave one of the two out");
    plan.shards.clear();
    plan.part_ends.clear();
    plan.sums = find_sums(plan, engine, options);
    // Of what is kept of every token at every site, vectors or scores, the means can be had from it.
    const bool all_kept =
        plan.n_rows == std::ssize(plan.kept) &&
        (options.keep.scores > 0 || std::ranges::find(plan.stored, false) == plan.stored.end());
    plan.means = options.keep.means && !all_kept;
    std::int64_t row_bytes = 0, position_bytes = 0, all_moments = 0;
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        const std::int64_t width = engine.sites()[plan.sites[i]].width();
        const std::int64_t scores = std::min(options.keep.scores, width);
        const std::int64_t numbers = scores > 0 ? scores + 1 : width;
        const std::int64_t summed = scores > 0 ? scores : width;
        if (plan.is_written(i))
            row_bytes += numbers * static_cast<std::int64_t>(dtype_size(options.dtype.value_or(Dtype::f16)));
        if (plan.means) position_bytes += summed * static_cast<std::int64_t>(sizeof(float));
        if (options.keep.moments) all_moments += moments_bytes(width, scores);
    }
    const auto token_bytes = static_cast<std::int64_t>(plan.sites.size() * sizeof(float));  // its norms

    /// What the open shard holds: it ends before the batch that would make it too large.
    struct Open {
        std::size_t first_batch = 0;
        std::int64_t n_tokens = 0, bytes = 0, length = 0;
    } shard;
    const auto end_shard = [&](std::size_t next_batch, std::int64_t end_token) {
        if (shard.n_tokens == 0) return;
        plan.shards.push_back(
            {shard.first_batch, next_batch - shard.first_batch, end_token, end_token - shard.n_tokens});
        shard = {next_batch};
    };
    const std::int64_t n_parts = options.part.of, n_all = std::ssize(plan.kept);
    std::int64_t part = 0;  // that the open shard is in
    const auto end_parts = [&](std::int64_t before, std::size_t next_batch, std::int64_t end_token) {
        if (part == before) return;
        end_shard(next_batch, end_token);
        for (; part < before; ++part) plan.part_ends.push_back(plan.shards.size());
    };
    for (std::size_t b = 0; b < plan.batches.size(); ++b) {
        const CapturePlan::Batch& batch = plan.batches[b];
        const auto first = plan.kept.begin() + batch.first_token;
        const auto n_rows = std::accumulate(first, first + batch.n_tokens, std::int64_t{0});
        // A batch belongs to the part in which its middle lies. (2^31 tokens and 2^16 parts multiply safely.)
        if (n_parts > 1)
            end_parts((2 * batch.first_token + batch.n_tokens) * n_parts / (2 * n_all), b, batch.first_token);
        const std::int64_t bytes = n_rows * row_bytes + batch.n_tokens * token_bytes;
        const std::int64_t sums = std::max(shard.length, batch.longest) * position_bytes + all_moments;
        const bool full = shard.bytes + bytes > std::max(options.shard_bytes, kSumShare * sums) ||
                          shard.n_tokens + batch.n_tokens > kShardTokens;
        if (full) end_shard(b, batch.first_token);
        shard.n_tokens += batch.n_tokens;
        shard.bytes += bytes;
        shard.length = std::max(shard.length, batch.longest);
    }
    end_shard(plan.batches.size(), plan.n_tokens);
    if (n_parts > 1) end_parts(n_parts, plan.batches.size(), plan.n_tokens);
}

CapturePlan plan_capture(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options) {
    CapturePlan plan = plan_reading(engine, model, prompts, options);
    cut_into_shards(plan, engine, options);
    return plan;
}

}  // namespace tomograph
