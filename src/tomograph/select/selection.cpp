#include "tomograph/select/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/select/own_lengths.h"
#include "tomograph/store/let_go.h"

namespace tomograph {
namespace {

constexpr std::int64_t kReadRows = 1024;

/// Tokens of each sequence.
std::vector<std::int64_t> sequence_lengths(const Run& run) {
    std::vector<std::int64_t> lengths(static_cast<std::size_t>(run.n_sequences()), 0);
    const TokenTable& tokens = run.tokens();
    for (std::size_t i = 0; i < tokens.sequence.size(); ++i) {
        std::int64_t& length = lengths[static_cast<std::size_t>(tokens.sequence[i])];
        length = std::max<std::int64_t>(length, tokens.position[i] + 1);
    }
    return lengths;
}

/// Lets through what one condition names. Errors: Error that says which columns and words there are.
void filter_where(const Run& run, const ColumnFilter& where, std::vector<std::uint8_t>& passes) {
    const std::size_t index = run.column(where.column);
    const LabelColumn& column = run.columns()[index];
    const std::vector<std::int32_t>& entries = run.tokens().further[index];
    std::vector<std::int32_t> words;
    std::vector<Range> ranges;
    std::int64_t count = 0;
    for (const std::int32_t entry : entries) count = std::max(count, std::int64_t{entry} + 1);
    for (const std::string& value : where.values) {
        if (column.counts()) {
            ranges.push_back(resolve_range(parse_range(value, column.name), count, column.name));
            continue;
        }
        const auto found = std::find(column.words.begin(), column.words.end(), value);
        if (found == column.words.end())
            throw Error(fmt::format("no {} '{}' in {}", column.name, value, run.path().string()),
                        fmt::format("it has {}", fmt::join(column.words, ", ")), "");
        words.push_back(static_cast<std::int32_t>(found - column.words.begin()));
    }
    for (std::size_t t = 0; t < passes.size(); ++t) {
        const std::int32_t entry = entries[t];
        const bool named =
            column.counts()
                ? entry >= 0 && std::any_of(ranges.begin(), ranges.end(),
                                            [&](const Range& r) { return r.contains(entry, count); })
                : std::find(words.begin(), words.end(), entry) != words.end();
        if (!named) passes[t] = 0;
    }
}

/// Which tokens pass the filters on positions, sequences, labels and further columns. Bounds from the end
/// count from each sequence's own.
std::vector<std::uint8_t> filter_tokens(const Run& run, const Selection& selection) {
    resolve_range(selection.positions, run.length(), "positions");  // the longest sequence must have them
    const Range& positions = selection.positions;
    const auto lengths = sequence_lengths(run);
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
            positions.contains(tokens.position[i], lengths[static_cast<std::size_t>(tokens.sequence[i])]) &&
            sequences.contains(tokens.sequence[i], run.n_sequences()) &&
            (labels.empty() || std::find(labels.begin(), labels.end(), tokens.label[i]) != labels.end());
    }
    for (const ColumnFilter& where : selection.where) filter_where(run, where, passes);
    return passes;
}

/// The number under which each layer is shown.
std::vector<std::int32_t> layer_numbers(const Run& run, const Selection& selection) {
    const int n = run.n_layers();
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(n));
    const auto order = permutation(n, selection.seed);
    for (int i = 0; i < n; ++i) {
        std::int64_t shown = i;
        switch (selection.layer_order) {
            case LayerOrder::given:
                break;
            case LayerOrder::reversed:
                shown = n - 1 - i;
                break;
            case LayerOrder::swapped:
                shown = (i ^ 1) < n ? i ^ 1 : i;
                break;
            case LayerOrder::random:
                shown = order[static_cast<std::size_t>(i)];
                break;
        }
        numbers[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(shown);
    }
    return numbers;
}

/// Component, layer, position, sequence; -1 where averaged over.
using Group = std::tuple<Component, std::int32_t, std::int32_t, std::int32_t>;

struct Accumulator {
    VectorD sum;
    std::int64_t count = 0;
    std::int32_t true_layer = -1;
    std::int32_t label = -1;  // of those that have one; -1 as well once they differ
    bool labels_differ = false;

    void add_label(std::int32_t one) {
        if (one < 0 || one == label) return;
        labels_differ = labels_differ || label >= 0;
        label = labels_differ ? -1 : one;
    }
};

}  // namespace

std::vector<SiteShape> selected_sites(const Run& run, const Selection& selection) {
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
        if (named && (site.site.layer < 0 || layers.contains(site.site.layer, run.n_layers())))
            chosen.push_back(site);
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

/// A selection on its way to its rows.
class Selecting {
  public:
    Selecting(const Run& run, const Selection& selection)
        : run_(run),
          selection_(selection),
          sites_(selected_sites(run, selection)),
          passes_(filter_tokens(run, selection)),
          shown_(layer_numbers(run, selection)),
          renumbered_(selection.layer_order != LayerOrder::given),
          all_stored_(std::all_of(sites_.begin(), sites_.end(),
                                  [&](const SiteShape& s) { return run.has_vectors(s.site); })) {
        for (std::int64_t row = 0; row < run.n_rows(); ++row) {
            if (passes_[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])])
                stored_.push_back(row);
        }
        result_.run_ = &run;
        result_.normalize_ = selection.normalize;
        result_.renumbered_ = renumbered_;
        result_.labels_ = std::make_shared<SelectedRows::Labels>();
        result_.dim_ = sites_.front().width();
    }

    SelectedRows finish() && {
        selection_.averages() ? average() : take_rows();
        if (result_.n_rows() == 0)
            throw Error("the selection holds no rows",
                        "no stored token passes its positions, sequences and labels", "widen it");
        return std::move(result_);
    }

  private:
    std::int32_t shown_layer(const Site& site) const {
        return site.layer < 0 ? -1 : shown_[static_cast<std::size_t>(site.layer)];
    }
    /// How many tokens, or averages of a site, `rows` leaves of each site's; nothing: it does not keep them
    /// whole.
    std::optional<std::int64_t> whole_tokens(std::int64_t n_sites, std::int64_t n_tokens) {
        const std::int64_t all = n_sites * n_tokens, rows = selection_.rows;
        result_.n_candidates_ = all;
        if (rows == 0 || rows >= all) return n_tokens;
        if (selection_.sample == Sample::rows) return std::nullopt;
        if (rows < n_sites)
            throw Error(fmt::format("{} rows do not hold one token whole", rows),
                        fmt::format("each has {} vectors in this selection", n_sites),
                        fmt::format("ask for {} rows or more, or for fewer components and layers", n_sites));
        return rows / n_sites;
    }
    /// Which of the rows that are numbered by site and then by token, or by what an average is of, are kept.
    std::vector<std::int64_t> cut(std::int64_t n_sites, std::int64_t n_tokens) {
        const auto whole = whole_tokens(n_sites, n_tokens);
        if (!whole) return sample_indices(n_sites * n_tokens, selection_.rows, selection_.seed);
        const auto tokens = sample_indices(n_tokens, *whole, selection_.seed);
        std::vector<std::int64_t> kept;
        kept.reserve(static_cast<std::size_t>(n_sites) * tokens.size());
        for (std::int64_t site = 0; site < n_sites; ++site) {
            for (const std::int64_t token : tokens) kept.push_back(site * n_tokens + token);
        }
        return kept;
    }

    void take_rows() {
        if (!all_stored_)
            throw Error(run_.path().string() + " keeps no vectors of the selection",
                        run_.n_tokens() == 0 ? "its capture was interrupted before a shard was whole"
                                             : "it was captured without them",
                        way_to_vectors(run_, "average with --mean samples, or capture again"));
        result_.from_scores_ =
            std::ranges::any_of(sites_, [&](const SiteShape& site) { return run_.rank(site.site) > 0; });
        const auto n_sites = std::ssize(sites_), per_site = std::ssize(stored_);
        const auto add = [&](const Site& site, SelectedRows::StoredList stored) {
            if (stored->empty()) return;
            const std::int64_t first = result_.n_rows_;
            result_.n_rows_ += std::ssize(*stored);
            result_.segments_.push_back({first, site, shown_layer(site), std::move(stored)});
        };
        const auto list = [](std::vector<std::int64_t> rows) {
            return std::make_shared<const std::vector<std::int64_t>>(std::move(rows));
        };
        if (const auto whole = whole_tokens(n_sites, per_site)) {
            std::vector<std::int64_t> kept;
            if (*whole < per_site) {
                for (const std::int64_t i : sample_indices(per_site, *whole, selection_.seed))
                    kept.push_back(stored_[static_cast<std::size_t>(i)]);
            } else {
                kept = std::move(stored_);
            }
            const SelectedRows::StoredList of_each = list(std::move(kept));
            for (const SiteShape& site : sites_) add(site.site, of_each);
            return;
        }
        const auto chosen = sample_indices(n_sites * per_site, selection_.rows, selection_.seed);
        std::size_t next = 0;
        for (std::int64_t s = 0; s < n_sites; ++s) {
            std::vector<std::int64_t> kept;
            for (; next < chosen.size() && chosen[next] / per_site == s; ++next)
                kept.push_back(stored_[static_cast<std::size_t>(chosen[next] % per_site)]);
            add(sites_[static_cast<std::size_t>(s)].site, list(std::move(kept)));
        }
    }

    void average() {
        // Where the run keeps no vectors, its means over sequences serve, weighted by how many each
        // stands for.
        const bool from_means = !all_stored_ && selection_.mean_samples &&
                                selection_.normalize == Normalize::none && selection_.labels.empty() &&
                                selection_.where.empty() && selection_.sequences == Range{} &&
                                !selection_.positions.from_end() && run_.has_stats();
        if (!all_stored_ && !from_means)
            throw Error(run_.path().string() + " keeps no vectors of the selection",
                        "only raw means over samples of all sequences can be had",
                        way_to_vectors(run_, "capture it again with vectors"));
        from_means ? add_means() : add_vectors();
        // Every site has an average of the same positions and sequences: all have the same tokens.
        std::set<std::pair<Component, std::int32_t>> of_sites;
        for (const auto& [group, accumulated] : groups_)
            of_sites.insert({std::get<0>(group), std::get<1>(group)});
        const auto n_sites = static_cast<std::int64_t>(of_sites.size());
        const auto n_groups = static_cast<std::int64_t>(groups_.size());
        const auto chosen = cut(n_sites, n_sites > 0 ? n_groups / n_sites : 0);
        result_.averages_.resize(static_cast<Eigen::Index>(chosen.size()), result_.dim_);
        result_.n_rows_ = std::ssize(chosen);
        RowLabels& labels = result_.labels_->all;
        std::int64_t index = 0, row = 0;
        for (const auto& [group, accumulated] : groups_) {
            if (row < static_cast<std::int64_t>(chosen.size()) &&
                chosen[static_cast<std::size_t>(row)] == index) {
                const auto& [component, layer, position, sequence] = group;
                result_.averages_.row(row) =
                    (accumulated.sum / static_cast<double>(accumulated.count)).cast<float>();
                labels.add({{component, accumulated.true_layer},
                            layer,
                            position,
                            -1,
                            sequence,
                            accumulated.label,
                            result_.averages_.row(row).norm()},
                           renumbered_);
                ++row;
            }
            ++index;
        }
    }

    void add(const Site& site, std::int32_t position, std::int32_t sequence, std::int32_t label,
             const float* row, std::int64_t weight) {
        const Component component =
            selection_.mean_components ? sites_.back().site.component : site.component;
        Accumulator& group =
            groups_[{component, selection_.mean_layers ? -1 : shown_layer(site),
                     selection_.mean_positions ? -1 : position, selection_.mean_samples ? -1 : sequence}];
        if (group.count == 0) {
            group.sum = VectorD::Zero(result_.dim_);
            group.true_layer = selection_.mean_layers ? -1 : site.layer;
        }
        group.sum += static_cast<double>(weight) * Eigen::Map<const Vector>(row, result_.dim_).cast<double>();
        group.count += weight;
        group.add_label(label);
    }

    void add_means() {
        const TokenTable& tokens = run_.tokens();
        std::map<std::int32_t, std::int64_t> counts;  // by position
        for (std::size_t t = 0; t < passes_.size(); ++t) {
            if (passes_[t]) ++counts[tokens.position[t]];
        }
        for (const SiteShape& site : sites_) {
            const Matrix means = run_.means(site.site);
            for (const auto& [position, count] : counts) {
                if (position < means.rows())
                    add(site.site, position, -1, -1, means.row(position).data(), count);
            }
        }
    }

    void add_vectors() {
        const TokenTable& tokens = run_.tokens();
        // Prompts of unequal length that are chosen by their end are compared there: the last token of each
        // stands under the longest one's last position.
        const bool by_end = selection_.positions.from_end();
        const auto lengths = by_end ? sequence_lengths(run_) : std::vector<std::int64_t>{};
        const auto shown_position = [&](std::size_t t) {
            const std::int64_t shift =
                by_end ? run_.length() - lengths[static_cast<std::size_t>(tokens.sequence[t])] : 0;
            return static_cast<std::int32_t>(tokens.position[t] + shift);
        };
        Matrix block;
        for (const SiteShape& site : sites_) {
            for (std::size_t at = 0; at < stored_.size();) {
                std::size_t end = at + 1;
                while (end < stored_.size() &&
                       stored_[end] == stored_[at] + static_cast<std::int64_t>(end - at) &&
                       static_cast<std::int64_t>(end - at) < kReadRows)
                    ++end;
                const auto n = static_cast<std::int64_t>(end - at);
                block.resize(n, result_.dim_);
                run_.read_rows(site.site, stored_[at], stored_[at] + n, block.data());
                normalize_stored(run_, site.site, selection_.normalize, stored_[at], stored_[at] + n,
                                 block.data());
                for (std::int64_t i = 0; i < n; ++i) {
                    const auto t =
                        static_cast<std::size_t>(run_.rows()[static_cast<std::size_t>(stored_[at] + i)]);
                    add(site.site, shown_position(t), tokens.sequence[t], tokens.label[t],
                        block.row(i).data(), 1);
                }
                at = end;
            }
        }
    }

    const Run& run_;
    const Selection& selection_;
    const std::vector<SiteShape> sites_;
    const std::vector<std::uint8_t> passes_;  // of the run's tokens
    const std::vector<std::int32_t> shown_;   // number of each layer
    const bool renumbered_, all_stored_;
    std::vector<std::int64_t> stored_;  // of the run's stored rows, those that pass
    std::map<Group, Accumulator> groups_;
    SelectedRows result_;
};

SelectedRows select(const Run& run, const Selection& selection) {
    if (selection.rows < 0)
        throw Error(fmt::format("cannot select {} rows", selection.rows), "", "ask for 1 or more; 0: all");
    return Selecting(run, selection).finish();
}

}  // namespace tomograph
