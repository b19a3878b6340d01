#include "tomograph/intervene/advise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/rows.h"
#include "tomograph/intervene/place_geometry.h"
#include "tomograph/linear/pca.h"
#include "tomograph/statistics/interval_json.h"

namespace tomograph {
namespace {

constexpr std::array<Component, 2> kAdders{Component::attn_out, Component::mlp_out};

std::vector<Sequence> half(const PromptSet& prompts, std::size_t first) {
    std::vector<Sequence> some;
    for (std::size_t i = first; i < prompts.sequences.size(); i += 2) some.push_back(prompts.sequences[i]);
    return some;
}

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

WeightPart part_of(Component component) {
    return component == Component::attn_out ? WeightPart::attention : WeightPart::mlp;
}

/// Bytes of a model's weights, by what they belong to.
class Weights {
  public:
    explicit Weights(const std::vector<WeightTensor>& tensors) : tensors_(tensors) {
        for (const WeightTensor& tensor : tensors) total_ += static_cast<double>(tensor.bytes);
    }
    double share(int layer, Component component) const {
        double bytes = 0;
        for (const WeightTensor& tensor : tensors_) {
            if (of_block(tensor, layer) && in_part(tensor, part_of(component)))
                bytes += static_cast<double>(tensor.bytes);
        }
        return total_ > 0 ? bytes / total_ : 0;
    }
    /// Saved where the component's last matrix [d_in, d] becomes a product of [d_in, k] and [k, d].
    double saved_by_rank(int layer, Component component, int rank) const {
        const std::string_view stem = component == Component::attn_out ? ".attn_output" : ".ffn_down";
        double saved = 0;
        for (const WeightTensor& tensor : tensors_) {
            if (!of_block(tensor, layer) || !in_part(tensor, part_of(component))) continue;
            if (tensor.name.find(stem) == std::string::npos || tensor.shape.size() < 2) continue;
            const auto in = static_cast<double>(tensor.shape[0]), out = static_cast<double>(tensor.shape[1]);
            saved += static_cast<double>(tensor.bytes) * std::max(0.0, 1 - rank * (in + out) / (in * out));
        }
        return total_ > 0 ? saved / total_ : 0;
    }

  private:
    static bool of_block(const WeightTensor& tensor, int layer) {
        return tensor.name.starts_with(fmt::format("blk.{}.", layer));
    }
    const std::vector<WeightTensor>& tensors_;
    double total_ = 0;
};

/// What is written at one site: zeros, or the part within some directions about a mean.
struct Cut {
    std::size_t site;
    const Pca* basis = nullptr;  // null: zeros
    int rank = 0;

    void operator()(const WriteBatch& batch, std::span<const TokenPlace> places) const {
        Eigen::Map<Matrix> rows(batch.data, batch.n_tokens, batch.width);
        if (basis == nullptr) {
            rows.setZero();
            return;
        }
        const auto kept = basis->components.topRows(rank);
        const Matrix centred = rows.rowwise() - basis->mean.transpose();
        const Matrix within = (centred * kept.transpose()) * kept;
        for (std::int64_t i = 0; i < batch.n_tokens; ++i) {
            if (places[static_cast<std::size_t>(batch.first_token + i)].position > 0)
                rows.row(i) = within.row(i) + basis->mean.transpose();
        }
    }
};

struct Trial {
    Advice advice;
    std::vector<Cut> cuts;
    std::size_t start;
};

class Adviser {
  public:
    Adviser(const LanguageModel& model, const PromptSet& prompts, const std::vector<WeightTensor>& weights,
            const AdviseOptions& options, Progress& progress)
        : model_(model),
          options_(options),
          progress_(progress),
          weights_(weights),
          fitted_(half(prompts, 0)),
          measured_(half(prompts, 1)) {
        if (measured_.empty())
            throw Error("advice needs two sequences or more", "half of them are fitted to, half measured",
                        "give a longer text or a shorter --length");
        engine_ = make_loss_engine(model, prompts.sequences, options.exact, options.threads, progress);
    }
    AdviseReport run();

  private:
    void fit_bases();
    void plan_trials();
    std::size_t start_of(int layer, Component component) const;

    const LanguageModel& model_;
    const AdviseOptions& options_;
    Progress& progress_;
    Weights weights_;
    std::vector<Sequence> fitted_, measured_;
    std::unique_ptr<Engine> engine_;
    std::map<std::size_t, Pca> bases_;
    std::vector<Trial> trials_;
};

void Adviser::fit_bases() {
    const int most =
        options_.ranks.empty() ? 0 : *std::max_element(options_.ranks.begin(), options_.ranks.end());
    if (most == 0) return;
    for (int layer = 0; layer < model_.info().n_layers; ++layer) {
        if (!options_.layers.contains(layer, model_.info().n_layers)) continue;
        std::vector<std::size_t> sites;
        for (const Component component : kAdders) sites.push_back(site_index(*engine_, {component, layer}));
        for (const auto& [site, values] : read_values(*engine_, fitted_, sites, progress_)) {
            Matrix rows(static_cast<Eigen::Index>(values->values.size()) / values->width, values->width);
            Eigen::Index n = 0;
            for (std::int64_t s = 0; s < values->n_sequences(); ++s) {
                for (std::int64_t p = 1; p < values->length(s); ++p)
                    rows.row(n++) = Eigen::Map<const Eigen::RowVectorXf>(values->at(s, p), values->width);
            }
            rows.conservativeResize(n, Eigen::NoChange);
            bases_[site] =
                fit_pca(MatrixRows(rows), {.n_components = most, .threads = options_.threads}, no_progress());
        }
    }
}

std::size_t Adviser::start_of(int layer, Component component) const {
    const Site middle{Component::resid_mid, layer};
    return site_index(*engine_, component == Component::mlp_out && has_site(*engine_, middle)
                                    ? middle
                                    : Site{Component::resid_pre, layer});
}

void Adviser::plan_trials() {
    for (int layer = 0; layer < model_.info().n_layers; ++layer) {
        if (!options_.layers.contains(layer, model_.info().n_layers)) continue;
        Trial block{{Advice::Kind::remove_block, fmt::format("blocks.{} removed", layer), layer},
                    {},
                    start_of(layer, Component::attn_out)};
        for (const Component component : kAdders) {
            const Site site{component, layer};
            if (!has_site(*engine_, site)) continue;
            const std::size_t index = site_index(*engine_, site);
            block.cuts.push_back({index});
            block.advice.saves += weights_.share(layer, component);
            Trial removed{{Advice::Kind::remove_component, site.name() + " removed", layer, component},
                          {{index}},
                          start_of(layer, component)};
            removed.advice.saves = weights_.share(layer, component);
            trials_.push_back(std::move(removed));
            if (!bases_.contains(index)) continue;
            const Pca& basis = bases_.at(index);
            for (int rank : options_.ranks) {
                rank = std::min(rank, basis.n_components());
                Trial kept{
                    {Advice::Kind::keep_directions,
                     fmt::format("{} kept in {} directions", site.name(), rank), layer, component, rank},
                    {{index, &basis, rank}},
                    start_of(layer, component)};
                kept.advice.variance_share = basis.explained_variance_ratio.head(rank).sum();
                kept.advice.saves = weights_.saved_by_rank(layer, component, rank);
                trials_.push_back(std::move(kept));
            }
        }
        trials_.push_back(std::move(block));
    }
}

AdviseReport Adviser::run() {
    fit_bases();
    plan_trials();
    AdviseReport report;
    report.n_fitted = static_cast<std::int64_t>(fitted_.size());
    report.n_measured = static_cast<std::int64_t>(measured_.size());
    std::vector<std::size_t> starts;
    for (const Trial& trial : trials_) starts.push_back(trial.start);
    std::sort(starts.begin(), starts.end());
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    std::vector<double> before(measured_.size(), 0);
    std::vector<std::vector<double>> after(trials_.size(), before);
    const auto batches = make_batches(*engine_, measured_);
    progress_.begin("advise", static_cast<std::int64_t>((trials_.size() + 1) * batches.size()), "passes");
    std::int64_t done = 0;
    for (const PromptBatch& batch : batches) {
        BatchValues values(engine_->sites(), starts, static_cast<std::int64_t>(batch.places.size()));
        add_losses(*engine_, measured_, batch, {.reads = starts}, before, &values);
        progress_.update(++done);
        for (std::size_t i = 0; i < trials_.size(); ++i) {
            if (progress_.stop_requested()) throw Stopped("nothing was measured");
            Plan plan{.given = Given{trials_[i].start, values.of(trials_[i].start)}};
            for (const Cut& cut : trials_[i].cuts)
                plan.writes.push_back(
                    {cut.site, [&cut, &batch](const WriteBatch& write) { cut(write, batch.places); }});
            add_losses(*engine_, measured_, batch, plan, after[i]);
            progress_.update(++done);
        }
    }
    report.before = mean(before);
    for (std::size_t i = 0; i < trials_.size(); ++i) {
        Advice advice = trials_[i].advice;
        advice.cost = loss_change(before, after[i], options_.bootstrap, options_.seed);
        report.advice.push_back(std::move(advice));
    }
    progress_.end();
    if (report.n_measured < kFewestGroups)
        report.notes.push_back(fmt::format("{} measured sequences give no interval: use {} or more",
                                           report.n_measured, 2 * kFewestGroups));
    return report;
}

std::string cost_text(const LossChange& cost) {
    return cost.interval ? fmt::format("{:+.4f} nats ± {:.4f}", cost.change,
                                       (cost.interval->hi - cost.interval->lo) / 2)
                         : fmt::format("{:+.4f} nats", cost.change);
}

Json cost_json(const LossChange& cost) {
    return {{"change", cost.change}, {"interval", interval_json(cost.interval)}};
}

}  // namespace

AdviseReport advise(const LanguageModel& model, const PromptSet& prompts,
                    const std::vector<WeightTensor>& weights, const AdviseOptions& options,
                    Progress& progress) {
    return Adviser(model, prompts, weights, options, progress).run();
}

std::vector<Sequence> measured_half(const PromptSet& prompts) {
    return half(prompts, 1);
}

void add_quantization(AdviseReport& report, const QuantizedLosses& losses, const AdviseOptions& options) {
    const auto add = [&](const char* what, const std::vector<double>& after, double saves) {
        Advice advice{Advice::Kind::quantize, fmt::format("{} in {}", what, losses.type)};
        advice.saves = saves;
        advice.cost = loss_change(losses.neither, after, options.bootstrap, options.seed);
        report.advice.push_back(std::move(advice));
    };
    add("attention", losses.attention, losses.attention_saves);
    add("MLP", losses.mlp, losses.mlp_saves);
    add("attention and MLP", losses.both, losses.attention_saves + losses.mlp_saves);
    std::vector<double> apart(losses.neither.size());
    for (std::size_t s = 0; s < apart.size(); ++s)
        apart[s] = losses.attention[s] + losses.mlp[s] - losses.neither[s];
    report.interaction = loss_change(apart, losses.both, options.bootstrap, options.seed);
}

Json advise_json(const AdviseReport& report) {
    constexpr std::array<const char*, 4> kKinds{"remove_block", "remove_component", "keep_directions",
                                                "quantize"};
    Json json = {{"loss", report.before},
                 {"sequences", {{"fitted", report.n_fitted}, {"measured", report.n_measured}}}};
    json["advice"] = Json::array();
    for (const Advice& advice : report.advice) {
        Json one = {{"kind", kKinds[static_cast<std::size_t>(advice.kind)]},
                    {"what", advice.what},
                    {"saves", advice.saves},
                    {"cost", cost_json(advice.cost)}};
        if (advice.layer >= 0) one["layer"] = advice.layer;
        if (advice.component) one["component"] = component_name(*advice.component);
        if (advice.kind == Advice::Kind::keep_directions) {
            one["rank"] = advice.rank;
            one["variance_share"] = advice.variance_share;
        }
        json["advice"].push_back(std::move(one));
    }
    json["interaction"] = report.interaction ? cost_json(*report.interaction) : Json(nullptr);
    json["notes"] = report.notes;
    return json;
}

std::string advise_table(const AdviseReport& report) {
    std::vector<const Advice*> order;
    for (const Advice& advice : report.advice) order.push_back(&advice);
    // What saves most for what it costs first; what saves nothing last.
    const auto price = [](const Advice* advice) {
        return advice->saves > 0 ? advice->cost.change / advice->saves
                                 : std::numeric_limits<double>::infinity();
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](const Advice* a, const Advice* b) { return price(a) < price(b); });
    std::string text = fmt::format("{:<40}{:>10}{:>10}   costs\n", "what", "variance", "saves");
    for (const Advice* advice : order) {
        const std::string variance = advice->kind == Advice::Kind::keep_directions
                                         ? fmt::format("{:.1f} %", 100 * advice->variance_share)
                                         : "";
        text += fmt::format("{:<40}{:>10}{:>10}   {}\n", advice->what, variance,
                            fmt::format("{:.2f} %", 100 * advice->saves), cost_text(advice->cost));
    }
    if (report.interaction)
        text += fmt::format("\nquantising both costs {} more than one and the other\n",
                            cost_text(*report.interaction));
    text += fmt::format("\nloss {:.4f} nats over {}; directions were fitted to {}\n", report.before,
                        counted(report.n_measured, "sequence"), counted(report.n_fitted, "other"));
    return text;
}

}  // namespace tomograph
