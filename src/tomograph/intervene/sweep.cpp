#include "tomograph/intervene/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/intervene/passes.h"
#include "tomograph/intervene/place_geometry.h"
#include "tomograph/statistics/interval_json.h"
#include "tomograph/statistics/ranks.h"

namespace tomograph {
namespace {

constexpr std::array<std::string_view, 3> kOver{"layers", "components", "heads"};
constexpr std::array<std::string_view, kGeometries> kGeometryNames{"norm",      "stream_share", "first_token",
                                                                   "top_share", "cosine",       "dimension"};

/// A place with the acts done to it and the site from whose values on the model runs.
struct Place {
    SweepUnit unit;
    std::vector<std::size_t> acts;   // among all of the sweep
    std::vector<std::size_t> sites;  // whose values (summed) are its geometry
    std::size_t stream = 0;          // what enters its block
    std::size_t start = 0;           // where its run begins
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Sweep {
  public:
    Sweep(const LanguageModel& model, const PromptSet& prompts, const SweepOptions& options,
          Progress& progress)
        : model_(model), prompts_(prompts), options_(options), progress_(progress) {
        engine_ = make_loss_engine(model, prompts.sequences, options.exact, options.threads, progress);
        for (const SweepOver over : options.over) add_places(over);
        if (places_.empty())
            throw Error("there is nothing to sweep over", "no such layers", "choose other --layers");
    }
    SweepReport run();

  private:
    void add_places(SweepOver over);
    void add_act(Place& place, const Site& site, int head);
    void correlate(SweepReport& report) const;

    const LanguageModel& model_;
    const PromptSet& prompts_;
    const SweepOptions& options_;
    Progress& progress_;
    std::unique_ptr<Engine> engine_;
    std::vector<Place> places_;
    std::vector<Act> acts_;
};

void Sweep::add_act(Place& place, const Site& site, int head) {
    Json json = {{"act", act_name(options_.act)}, {"site", site.name()}};
    if (head >= 0) json["heads"] = Json::array({head});
    if (options_.act == ActKind::patch) json["from"] = options_.from;
    place.acts.push_back(acts_.size());
    place.sites.push_back(site_index(*engine_, site));
    acts_.push_back(read_acts({{"acts", Json::array({json})}}, engine_->sites(), "").front());
}

void Sweep::add_places(SweepOver over) {
    for (int layer = 0; layer < model_.info().n_layers; ++layer) {
        if (!options_.layers.contains(layer, model_.info().n_layers)) continue;
        const auto begin = [&](Component component, int head) {
            Place place;
            place.unit = {.over = over, .layer = layer, .component = component, .head = head};
            place.stream = place.start = site_index(*engine_, {Component::resid_pre, layer});
            // Between attention and the MLP the stream is a site of its own, but in parallel blocks.
            // Behind these comes resid_mid, that after attention to a source included; behind what a
            // layer's own embedding adds only in some models.
            const bool mixes = component == Component::attn_out || component == Component::mixer_out ||
                               component == Component::cross_attn_out || component == Component::ple_out ||
                               component == Component::z;
            if (!mixes && has_site(*engine_, {Component::resid_mid, layer}))
                place.start = site_index(*engine_, {Component::resid_mid, layer});
            return place;
        };
        if (over == SweepOver::heads) {
            const Site site{Component::z, layer};
            if (!has_site(*engine_, site)) continue;  // a recurrent mixer's layer, or one without either
            const auto heads = static_cast<int>(engine_->sites()[site_index(*engine_, site)].shape.front());
            for (int head = 0; head < heads; ++head) {
                places_.push_back(begin(Component::z, head));
                add_act(places_.back(), site, head);
            }
        } else if (over == SweepOver::components) {
            for (const Component component : all_components()) {
                if (!writes_to_stream(component) || !has_site(*engine_, {component, layer})) continue;
                places_.push_back(begin(component, -1));
                add_act(places_.back(), {component, layer}, -1);
            }
        } else {
            places_.push_back(begin(Component::attn_out, -1));
            for (const Component component : all_components()) {
                if (writes_to_stream(component) && has_site(*engine_, {component, layer}))
                    add_act(places_.back(), {component, layer}, -1);
            }
        }
    }
}

SweepReport Sweep::run() {
    ActWriter writer = prepare_acts(model_, *engine_, prompts_, acts_, options_.seed, progress_);
    SweepReport report;
    const std::size_t n = prompts_.sequences.size();
    for (const Sequence& sequence : prompts_.sequences) report.n_tokens += sequence.length();
    report.n_sequences = static_cast<std::int64_t>(n);
    // What the first pass keeps of a batch: where runs begin, and what the geometry is of.
    std::vector<std::size_t> kept;
    std::vector<PlaceGeometry> geometry;
    for (const Place& place : places_) {
        kept.insert(kept.end(), place.sites.begin(), place.sites.end());
        kept.insert(kept.end(), {place.start, place.stream});
        const SiteShape& shape = engine_->sites()[place.sites.front()];
        const std::int64_t width = place.unit.head >= 0 ? shape.width() / shape.shape.front() : shape.width();
        geometry.emplace_back(width, std::max(place.unit.head, 0) * width, report.n_tokens, options_.seed);
    }
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());

    std::vector<double> before(n, 0);
    std::vector<std::vector<double>> after(places_.size(), before), control = after;
    const auto passes = static_cast<std::int64_t>(places_.size()) * (options_.control ? 2 : 1) + 1;
    progress_.begin("sweep", report.n_tokens * passes, "tokens");
    std::int64_t done = 0;
    for (const PromptBatch& batch : make_batches(*engine_, prompts_.sequences)) {
        const auto count = [&] {
            done += static_cast<std::int64_t>(batch.places.size());
            progress_.update(done);
            if (progress_.stop_requested()) throw Stopped("nothing was measured");
        };
        BatchValues values(engine_->sites(), kept, static_cast<std::int64_t>(batch.places.size()));
        const auto began = Clock::now();
        add_losses(*engine_, prompts_.sequences, batch, {.reads = kept}, before, &values);
        report.whole_seconds += seconds_since(began);
        count();
        for (std::size_t i = 0; i < places_.size(); ++i)
            geometry[i].add(values, places_[i].sites, places_[i].stream, batch.places);
        const auto swept = Clock::now();
        for (std::size_t i = 0; i < places_.size(); ++i) {
            Plan plan{.writes = writer.writes(batch.places, places_[i].acts),
                      .given = Given{places_[i].start, values.of(places_[i].start)}};
            writer.use_random_directions(false);
            add_losses(*engine_, prompts_.sequences, batch, plan, after[i]);
            count();
            if (!options_.control) continue;
            writer.use_random_directions(true);
            add_losses(*engine_, prompts_.sequences, batch, plan, control[i]);
            count();
        }
        report.sweep_seconds += seconds_since(swept);
    }
    for (const double loss : before) report.before += loss / static_cast<double>(n);
    for (std::size_t i = 0; i < places_.size(); ++i) {
        SweepUnit unit = places_[i].unit;
        const LossChange change = loss_change(before, after[i], options_.bootstrap, options_.seed);
        unit.change = change.change;
        unit.interval = change.interval;
        if (options_.control) unit.control = loss_change(before, control[i], 1, options_.seed).change;
        unit.geometry = geometry[i].values();
        report.units.push_back(std::move(unit));
    }
    correlate(report);
    if (static_cast<int>(n) < kFewestGroups) report.notes.push_back(no_interval_note(n));
    progress_.end();
    return report;
}

void Sweep::correlate(SweepReport& report) const {
    std::vector<double> damage;
    for (const SweepUnit& unit : report.units) damage.push_back(unit.change);
    for (std::size_t g = 0; g < kGeometries; ++g) {
        std::vector<double> values;
        for (const SweepUnit& unit : report.units) values.push_back(unit.geometry[g]);
        const double rho = rank_correlation(values, damage);
        const auto n = std::count_if(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
        SweepCorrelation correlation{static_cast<Geometry>(g), rho, rank_correlation_interval(rho, n)};
        for (const SweepUnit& unit : report.units) {
            if (unit.over != SweepOver::components || correlation.within.contains(unit.component)) continue;
            std::vector<double> weights;
            for (const SweepUnit& other : report.units)
                weights.push_back(
                    other.over == SweepOver::components && other.component == unit.component ? 1 : 0);
            correlation.within[unit.component] = rank_correlation(values, damage, weights);
        }
        if (correlation.within.size() == 1) correlation.within.clear();
        report.correlations.push_back(correlation);
    }
}

std::string interval_text(const std::optional<Interval>& interval) {
    return interval ? fmt::format("[{:+.4f}, {:+.4f}]", interval->lo, interval->hi) : "";
}

}  // namespace

std::string_view geometry_name(Geometry geometry) {
    return kGeometryNames[static_cast<std::size_t>(geometry)];
}

std::string SweepUnit::name() const {
    if (over == SweepOver::layers) return fmt::format("blocks.{}", layer);
    const std::string site = Site{component, layer}.name();
    return head < 0 ? site : fmt::format("{} head {}", site, head);
}

SweepReport sweep(const LanguageModel& model, const PromptSet& prompts, const SweepOptions& options,
                  Progress& progress) {
    return Sweep(model, prompts, options, progress).run();
}

Json sweep_json(const SweepReport& report, const SweepOptions& options) {
    const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
    Json json = {{"act", act_name(options.act)},
                 {"loss", report.before},
                 {"sequences", report.n_sequences},
                 {"tokens", report.n_tokens},
                 {"seconds", {{"whole", report.whole_seconds}, {"sweep", report.sweep_seconds}}}};
    json["places"] = Json::array();
    for (const SweepUnit& unit : report.units) {
        Json one = {{"name", unit.name()},
                    {"over", kOver[static_cast<std::size_t>(unit.over)]},
                    {"layer", unit.layer},
                    {"change", unit.change},
                    {"interval", interval_json(unit.interval)}};
        if (unit.over != SweepOver::layers) one["component"] = component_name(unit.component);
        if (unit.head >= 0) one["head"] = unit.head;
        if (unit.control) one["control"] = *unit.control;
        for (std::size_t g = 0; g < kGeometries; ++g)
            one["geometry"][std::string(kGeometryNames[g])] = number(unit.geometry[g]);
        json["places"].push_back(std::move(one));
    }
    json["correlations"] = Json::array();
    for (const SweepCorrelation& correlation : report.correlations) {
        Json& one =
            json["correlations"].emplace_back(Json{{"geometry", geometry_name(correlation.geometry)},
                                                   {"rho", number(correlation.rho)},
                                                   {"interval", interval_json(correlation.interval)}});
        for (const auto& [component, rho] : correlation.within)
            one["within"][std::string(component_name(component))] = number(rho);
    }
    json["notes"] = report.notes;
    return json;
}

std::string sweep_table(const SweepReport& report) {
    const bool control = !report.units.empty() && report.units.front().control.has_value();
    std::string text = fmt::format("{:<22}{:>10}{:>22}{}", "place", "change", "interval",
                                   control ? fmt::format("{:>10}", "control") : "");
    for (const std::string_view name : kGeometryNames) text += fmt::format("{:>14}", name);
    text += "\n";
    for (const SweepUnit& unit : report.units) {
        text +=
            fmt::format("{:<22}{:>+10.4f}{:>22}{}", unit.name(), unit.change, interval_text(unit.interval),
                        control ? fmt::format("{:>+10.4f}", *unit.control) : "");
        for (const double value : unit.geometry) text += fmt::format("{:>14.4g}", value);
        text += "\n";
    }
    text += "\nrank correlation of the change with\n";
    for (const SweepCorrelation& correlation : report.correlations) {
        text += fmt::format("  {:<14}{:>+8.3f} {:<20}", geometry_name(correlation.geometry), correlation.rho,
                            interval_text(correlation.interval));
        for (const auto& [component, rho] : correlation.within)
            text += fmt::format("  within {} {:+.3f}", component_name(component), rho);
        text += "\n";
    }
    text += fmt::format(
        "\nloss {:.4f} nats; {} places over {} tokens in {:.1f} s, a whole pass takes {:.1f} s\n",
        report.before, report.units.size(), report.n_tokens, report.sweep_seconds, report.whole_seconds);
    return text;
}

std::vector<SweepOver> parse_sweep_over(const std::string& text) {
    std::vector<SweepOver> over;
    std::size_t begin = 0;
    while (begin <= text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const auto found = std::find(kOver.begin(), kOver.end(), text.substr(begin, end - begin));
        if (found == kOver.end())
            throw Error(fmt::format("cannot sweep over '{}'", text.substr(begin, end - begin)), "",
                        "use layers, components, heads, or several of them");
        const auto one = static_cast<SweepOver>(found - kOver.begin());
        if (std::find(over.begin(), over.end(), one) == over.end()) over.push_back(one);
        begin = end + 1;
    }
    return over;
}

ActKind parse_sweep_act(const std::string& text) {
    for (const ActKind kind : {ActKind::zero, ActKind::mean, ActKind::resample, ActKind::patch}) {
        if (text == act_name(kind)) return kind;
    }
    throw Error(fmt::format("a sweep has no act '{}'", text), "", "use zero, mean, resample or patch");
}

}  // namespace tomograph
