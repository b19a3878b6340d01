#include "tomograph/select/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

constexpr std::int64_t kReadRows = 1024;

std::vector<SiteShape> choose(const Run& run, const Selection& selection) {
    const Range layers = resolve_range(selection.layers, run.n_layers(), "layers");
    const auto names = [&] {
        std::string text;
        for (const Component component : all_components()) {
            if (std::any_of(run.sites().begin(), run.sites().end(),
                            [&](const SiteShape& s) { return s.site.component == component; })) {
                text += fmt::format("{}{}", text.empty() ? "" : ", ", component_name(component));
            }
        }
        return text;
    };
    for (const Component component : selection.components) {
        if (std::none_of(run.sites().begin(), run.sites().end(),
                         [&](const SiteShape& s) { return s.site.component == component; })) {
            throw Error(fmt::format("{} holds no {}", run.path().string(), component_name(component)),
                        "it holds " + names(), "");
        }
    }
    std::vector<SiteShape> chosen;
    for (const SiteShape& site : run.sites()) {
        const bool named = selection.components.empty()
                               ? site.site.component != Component::z && site.width() == run.d_model()
                               : std::find(selection.components.begin(), selection.components.end(),
                                           site.site.component) != selection.components.end();
        if (named && (site.site.layer < 0 || layers.contains(site.site.layer))) chosen.push_back(site);
    }
    if (chosen.empty())
        throw Error("the selection names no captured site", "the run holds " + names(),
                    "choose other --components or --layers");
    for (const SiteShape& site : chosen) {
        if (site.width() == chosen.front().width()) continue;
        throw Error("the selected components have different widths",
                    fmt::format("{} has {}, {} has {}", chosen.front().site.name(), chosen.front().width(),
                                site.site.name(), site.width()),
                    "select them one by one");
    }
    return chosen;
}

/// Which tokens pass the filters on positions, sequences and labels.
std::vector<std::uint8_t> filter_tokens(const Run& run, const Selection& selection) {
    const Range positions = resolve_range(selection.positions, run.length(), "positions");
    const Range sequences = resolve_range(selection.sequences, run.n_sequences(), "sequences");
    const auto known = run.labels();
    std::vector<std::int32_t> labels;
    for (const std::string& label : selection.labels) {
        const auto found = std::find(known.begin(), known.end(), label);
        if (found == known.end())
            throw Error(fmt::format("no label '{}' in {}", label, run.path().string()),
                        known.empty() ? "it has none" : fmt::format("it has {}", fmt::join(known, ", ")), "");
        labels.push_back(static_cast<std::int32_t>(found - known.begin()));
    }
    const TokenTable& tokens = run.tokens();
    std::vector<std::uint8_t> passes(static_cast<std::size_t>(tokens.size()));
    for (std::size_t i = 0; i < passes.size(); ++i) {
        passes[i] =
            positions.contains(tokens.position[i]) && sequences.contains(tokens.sequence[i]) &&
            (labels.empty() || std::find(labels.begin(), labels.end(), tokens.label[i]) != labels.end());
    }
    return passes;
}

void add_label(RowLabels& labels, Component component, std::int32_t layer, std::int32_t position,
               std::int32_t token, std::int32_t sequence, std::int32_t label, float norm) {
    labels.component.push_back(component);
    labels.layer.push_back(layer);
    labels.position.push_back(position);
    labels.token.push_back(token);
    labels.sequence.push_back(sequence);
    labels.label.push_back(label);
    labels.norm.push_back(norm);
}

/// Component, layer, position, sequence; -1 where averaged over.
using Group = std::tuple<Component, std::int32_t, std::int32_t, std::int32_t>;

struct Accumulator {
    VectorD sum;
    std::int64_t count = 0;
};

}  // namespace

std::vector<std::int32_t> layer_numbers(const Run& run, const Selection& selection) {
    const int n = run.n_layers();
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(n));
    const auto order = permutation(n, selection.seed);
    for (int i = 0; i < n; ++i) {
        const std::int64_t shown = selection.layer_order == LayerOrder::given ? i
                                   : selection.layer_order == LayerOrder::reversed
                                       ? n - 1 - i
                                       : order[static_cast<std::size_t>(i)];
        numbers[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(shown);
    }
    return numbers;
}

void SelectedRows::read(std::int64_t begin, std::int64_t end, float* out) const {
    if (averages_.size() > 0) {
        std::copy(averages_.data() + begin * dim_, averages_.data() + end * dim_, out);
        return;
    }
    auto segment = std::upper_bound(segments_.begin(), segments_.end(), begin,
                                    [](std::int64_t row, const Segment& s) { return row < s.first; });
    --segment;
    float* at = out;
    for (std::int64_t row = begin; row < end;) {
        const auto size = static_cast<std::int64_t>(segment->stored_rows.size());
        std::int64_t local = row - segment->first;
        const std::int64_t stop = std::min(size, local + end - row);
        while (local < stop) {
            // Runs of consecutive stored rows are read in one go.
            std::int64_t run_end = local + 1;
            const std::int64_t stored = segment->stored_rows[static_cast<std::size_t>(local)];
            while (run_end < stop &&
                   segment->stored_rows[static_cast<std::size_t>(run_end)] == stored + run_end - local)
                ++run_end;
            run_->read_rows(segment->site, stored, stored + run_end - local, at);
            at += (run_end - local) * dim_;
            row += run_end - local;
            local = run_end;
        }
        ++segment;
    }
    normalize_rows(normalize_, out, end - begin, dim_);
}

std::string SelectedRows::describe(std::int64_t row) const {
    const auto i = static_cast<std::size_t>(row);
    const Site site{labels_.component[i], labels_.layer[i]};
    if (labels_.token[i] < 0) {
        const bool over_layers = in_block(site.component) && site.layer < 0;
        std::string text = over_layers
                               ? fmt::format("{}, an average over layers", component_name(site.component))
                               : site.name() + ", an average";
        if (labels_.position[i] >= 0) text += fmt::format(" at position {}", labels_.position[i]);
        if (labels_.sequence[i] >= 0) text += fmt::format(" of sequence {}", labels_.sequence[i]);
        return text;
    }
    return fmt::format("{}, token {} (sequence {}, position {})", site.name(), labels_.token[i],
                       labels_.sequence[i], labels_.position[i]);
}

SelectedRows select(const Run& run, const Selection& selection) {
    const auto sites = choose(run, selection);
    const auto passes = filter_tokens(run, selection);
    const auto numbers = layer_numbers(run, selection);
    const TokenTable& tokens = run.tokens();
    SelectedRows result;
    result.run_ = &run;
    result.normalize_ = selection.normalize;
    result.dim_ = sites.front().width();
    const auto shown_layer = [&](const Site& site) {
        return site.layer < 0 ? -1 : numbers[static_cast<std::size_t>(site.layer)];
    };

    std::vector<std::int64_t> stored;  // of the run's stored rows, those that pass
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        if (passes[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])])
            stored.push_back(row);
    }

    const bool all_stored =
        std::all_of(sites.begin(), sites.end(), [&](const SiteShape& s) { return run.has_vectors(s.site); });
    if (!selection.averages()) {
        if (!all_stored)
            throw Error(run.path().string() + " keeps no vectors of the selection",
                        "it was captured without them or is incomplete",
                        "average with --mean samples, or capture again");
        const auto per_site = static_cast<std::int64_t>(stored.size());
        result.n_candidates_ = per_site * static_cast<std::int64_t>(sites.size());
        const auto chosen = sample_indices(
            result.n_candidates_, selection.rows > 0 ? selection.rows : result.n_candidates_, selection.seed);
        std::size_t next = 0;
        for (std::size_t s = 0; s < sites.size(); ++s) {
            SelectedRows::Segment segment{result.labels_.size(), sites[s].site, {}};
            const auto norms = run.has_stats() ? run.norms(sites[s].site) : std::vector<float>{};
            for (; next < chosen.size() && chosen[next] / per_site == static_cast<std::int64_t>(s); ++next) {
                const std::int64_t row = stored[static_cast<std::size_t>(chosen[next] % per_site)];
                const std::int32_t token = run.rows()[static_cast<std::size_t>(row)];
                const auto t = static_cast<std::size_t>(token);
                segment.stored_rows.push_back(row);
                add_label(result.labels_, sites[s].site.component, shown_layer(sites[s].site),
                          tokens.position[t], token, tokens.sequence[t], tokens.label[t],
                          norms.empty() ? std::nanf("") : norms[t]);
            }
            if (!segment.stored_rows.empty()) result.segments_.push_back(std::move(segment));
        }
    } else {
        std::map<Group, Accumulator> groups;
        const auto add = [&](const Site& site, std::int32_t position, std::int32_t sequence, const float* row,
                             std::int64_t weight) {
            Accumulator& group =
                groups[{site.component, selection.mean_layers ? -1 : shown_layer(site),
                        selection.mean_positions ? -1 : position, selection.mean_samples ? -1 : sequence}];
            if (group.count == 0) group.sum = VectorD::Zero(result.dim_);
            group.sum +=
                static_cast<double>(weight) * Eigen::Map<const Vector>(row, result.dim_).cast<double>();
            group.count += weight;
        };
        // Where the run keeps no vectors, its means over sequences serve, weighted by how many each stands
        // for.
        const bool from_means = !all_stored && selection.mean_samples &&
                                selection.normalize == Normalize::none && selection.labels.empty() &&
                                selection.sequences == Range{} && run.has_stats();
        if (!all_stored && !from_means)
            throw Error(run.path().string() + " keeps no vectors of the selection",
                        "only raw means over samples of all sequences can be had",
                        "capture it again with vectors");
        if (from_means) {
            std::vector<std::int64_t> counts(static_cast<std::size_t>(run.length()));
            for (std::size_t t = 0; t < passes.size(); ++t)
                counts[static_cast<std::size_t>(tokens.position[t])] += passes[t];
            for (const SiteShape& site : sites) {
                const Matrix means = run.means(site.site);
                for (std::int64_t p = 0; p < means.rows(); ++p) {
                    if (counts[static_cast<std::size_t>(p)] > 0)
                        add(site.site, static_cast<std::int32_t>(p), -1, means.row(p).data(),
                            counts[static_cast<std::size_t>(p)]);
                }
            }
        } else {
            Matrix block;
            for (const SiteShape& site : sites) {
                for (std::size_t at = 0; at < stored.size();) {
                    std::size_t end = at + 1;
                    while (end < stored.size() &&
                           stored[end] == stored[at] + static_cast<std::int64_t>(end - at) &&
                           static_cast<std::int64_t>(end - at) < kReadRows)
                        ++end;
                    const auto n = static_cast<std::int64_t>(end - at);
                    block.resize(n, result.dim_);
                    run.read_rows(site.site, stored[at], stored[at] + n, block.data());
                    normalize_rows(selection.normalize, block.data(), n, result.dim_);
                    for (std::int64_t i = 0; i < n; ++i) {
                        const auto t =
                            static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(stored[at] + i)]);
                        add(site.site, tokens.position[t], tokens.sequence[t], block.row(i).data(), 1);
                    }
                    at = end;
                }
            }
        }
        result.n_candidates_ = static_cast<std::int64_t>(groups.size());
        const auto chosen = sample_indices(
            result.n_candidates_, selection.rows > 0 ? selection.rows : result.n_candidates_, selection.seed);
        result.averages_.resize(static_cast<Eigen::Index>(chosen.size()), result.dim_);
        std::int64_t index = 0, row = 0;
        for (const auto& [group, accumulated] : groups) {
            if (row < static_cast<std::int64_t>(chosen.size()) &&
                chosen[static_cast<std::size_t>(row)] == index) {
                result.averages_.row(row) =
                    (accumulated.sum / static_cast<double>(accumulated.count)).cast<float>();
                add_label(result.labels_, std::get<0>(group), std::get<1>(group), std::get<2>(group), -1,
                          std::get<3>(group), -1, result.averages_.row(row).norm());
                ++row;
            }
            ++index;
        }
    }
    if (result.n_rows() == 0)
        throw Error("the selection holds no rows",
                    "no stored token passes its positions, sequences and labels", "widen it");
    return result;
}

}  // namespace tomograph
