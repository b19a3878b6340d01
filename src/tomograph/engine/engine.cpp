#include "tomograph/engine/engine.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/engine/vocabulary.h"

namespace tomograph {

std::size_t Engine::next_batch(std::span<const Sequence> sequences) const {
    std::int64_t tokens = 0;
    std::size_t count = 0;
    for (const Sequence& sequence : sequences) {
        if (count == kMaxSequences || (count > 0 && tokens + sequence.length() > batch_tokens())) break;
        if (count > 0 && sequence.vectors.empty() != sequences.front().vectors.empty()) break;
        tokens += sequence.length();
        ++count;
    }
    return count;
}

std::int64_t check_batch(std::span<const Sequence> batch, const ModelInfo& model, std::int64_t max_length) {
    if (batch.size() > Engine::kMaxSequences) {
        throw Error(fmt::format("a batch of {} sequences is too large", batch.size()),
                    fmt::format("{} may run at once", Engine::kMaxSequences), "");
    }
    std::int64_t total = 0;
    const bool vectors = !batch.empty() && !batch.front().vectors.empty();
    for (const Sequence& sequence : batch) {
        total += sequence.length();
        if (sequence.length() > max_length) {
            throw Error("a sequence is longer than the engine was made for",
                        fmt::format("{} tokens", sequence.length()), "");
        }
        if (sequence.length() > 0 && sequence.vectors.empty() == vectors) {
            throw Error("a batch mixes tokens and vectors", "", "run them apart");
        }
        if (model.side == "target" && sequence.length() > 0 && sequence.source.empty())
            throw Error(model.name + " has nothing to read a target from",
                        "its decoder attends to a source, and a sequence has none", "");
        if (static_cast<std::int64_t>(sequence.source.size()) > max_length)
            throw Error("a source is longer than the engine was made for",
                        fmt::format("{} tokens", sequence.source.size()), "");
        for (const std::int32_t token : sequence.source) check_token(token, model.name, model.n_vocab);
        if (vectors) {
            if (static_cast<std::int64_t>(sequence.vectors.size()) == sequence.length() * model.d_model)
                continue;
            throw Error(fmt::format("{} numbers are no vectors of {}", sequence.vectors.size(), model.name),
                        fmt::format("{} positions of {} each are needed", sequence.length(), model.d_model),
                        "");
        }
        for (const std::int32_t token : sequence.tokens) check_token(token, model.name, model.n_vocab);
    }
    return total;
}

void check_plan(const Plan& plan, std::span<const SiteShape> sites, std::int64_t n_tokens) {
    const std::size_t n_sites = sites.size();
    const auto check_site = [&](std::size_t site) {
        if (site >= n_sites)
            throw Error(fmt::format("no site {}", site), fmt::format("the model has {} sites", n_sites), "");
    };
    for (const std::size_t site : plan.reads) check_site(site);
    for (const Write& write : plan.writes) check_site(write.site);
    if (plan.given) {
        check_site(plan.given->site);
        const auto wanted = static_cast<std::size_t>(sites[plan.given->site].width() * n_tokens);
        if (plan.given->values.size() != wanted)
            throw Error(fmt::format("{} numbers are no values of {}", plan.given->values.size(),
                                    sites[plan.given->site].site.name()),
                        fmt::format("the batch has {}", wanted), "");
        if (plan.check_sums) throw Error("sums cannot be checked where a site is given", "", "");
    }
    std::int64_t previous = -1;
    for (const std::int64_t token : plan.logits) {
        if (token <= previous || token >= n_tokens) {
            throw Error(fmt::format("no logits of token {}", token),
                        token < n_tokens && token >= 0 ? "the tokens must ascend"
                                                       : fmt::format("the batch has {} tokens", n_tokens),
                        "");
        }
        previous = token;
    }
}

}  // namespace tomograph
