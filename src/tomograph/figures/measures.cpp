#include "tomograph/figures/measures.h"

#include <fmt/format.h>

#include <cmath>

#include "tomograph/figures/coloring.h"
#include "tomograph/figures/heatmap.h"
#include "tomograph/figures/lines.h"
#include "tomograph/figures/scatter.h"

namespace tomograph {
namespace {

double value_of(const Json& number) {
    return number.is_number() ? number.get<double>() : std::nan("");
}

bool has_points(const Series& series) {
    for (const double y : series.y) {
        if (std::isfinite(y)) return true;
    }
    return false;
}

class MeasureFigures {
  public:
    MeasureFigures(const Run& run, const MeasureReport& report, const std::filesystem::path& root)
        : run_(run), report_(report), root_(root) {
        std::filesystem::create_directories(root / "figures");
    }

    /// One key of the table `separation`, by layer.
    Series pair_line(const std::string& key, const std::string& name) const {
        Series line{.name = name, .markers = true};
        for (const Json& layer : table("separation")) {
            line.x.push_back(layer.at("layer").get<double>());
            line.y.push_back(value_of(layer.value(key, Json())));
        }
        return line;
    }

    /// One key of the table `sites`, by layer, a line a component.
    std::vector<Series> site_lines(const std::string& key, const std::vector<Component>& components) const {
        std::vector<Series> lines;
        for (const Component component : components) {
            Series line{.name = std::string(component_name(component)),
                        .color = component_color(component_name(component)),
                        .markers = true};
            for (const Json& entry : table("sites")) {
                const auto site = parse_site(entry.at("site").get<std::string>());
                if (!site || site->component != component || site->layer < 0) continue;
                line.x.push_back(site->layer);
                line.y.push_back(value_of(entry.value(key, Json())));
            }
            if (has_points(line)) lines.push_back(std::move(line));
        }
        return lines;
    }

    /// Draws lines by layer, a finding's controls as level lines over the layers that it is measured at.
    void by_layer(const std::string& name, std::vector<Series> lines, const std::string& title,
                  const std::string& y_label, const std::string& caption, const std::string& finding,
                  const std::vector<std::string>& skip = {}, bool log_y = false) {
        std::erase_if(lines, [](const Series& line) { return !has_points(line); });
        if (lines.empty()) return;
        const Json& layers = report_.how.at("middle_layers");
        static constexpr Color kInks[] = {0x222222, 0x777777, 0xAAAAAA};
        std::size_t n_controls = 0;
        for (const Control& control : find(finding).controls) {
            if (std::isnan(control.value) || std::ranges::find(skip, control.name) != skip.end()) continue;
            lines.push_back({.name = control.name,
                             .x = {layers.front().get<double>() - 0.25, layers.back().get<double>() + 0.25},
                             .y = {control.value, control.value},
                             .color = kInks[std::min(n_controls, std::size(kInks) - 1)],
                             .dash = n_controls % 2 == 0 ? Dash::dashed : Dash::dotted});
            ++n_controls;
        }
        LinesOptions options{.x_label = "layer", .y_label = y_label, .log_y = log_y, .whole_x = true};
        options.figure.title = title + "\n" + run_text(run_);
        const std::string file = "figures/" + name + ".png";
        draw_lines(root_ / file, lines, options);
        figures_.push_back({file, caption, {finding}});
    }

    void separation() {
        Series null = pair_line("silhouette_shuffled", "labels shuffled");
        null.color = 0x999999;
        by_layer("separation-by-layer", {pair_line("silhouette", "attention against MLP"), null},
                 "How far attention and MLP outputs lie apart", "cosine silhouette",
                 "Silhouette of the two clouds by layer; above 0 they are apart. Level lines: the controls, "
                 "over the "
                 "layers that the finding is measured at.",
                 "attn_mlp_separation", {"labels shuffled"});
        if (!figures_.empty()) figures_.back().findings.push_back("separation_onset");
        Series random = pair_line("random_angle", "random subspaces");
        random.color = 0x999999;
        random.dash = Dash::dashed;
        by_layer("angles-by-layer", {pair_line("mean_angle", "attention against MLP"), random},
                 "Angle between attention and MLP outputs", "mean angle, degrees",
                 "Mean principal angle by layer beside random subspaces of the same sizes; 90 degrees is "
                 "orthogonal.",
                 "attn_mlp_angles");
    }

    void sites() {
        using enum Component;
        const std::vector<Component> main{attn_out, mlp_out, resid_post};
        by_layer("first-token-by-layer",
                 site_lines("first_token_ratio", {attn_out, mlp_out, resid_mid, resid_post}),
                 "Norm of the first token", "times the median",
                 "Norm at position 0 over the median of the other positions, by layer.", "first_token_norm",
                 {}, true);
        by_layer("concentration-by-layer", site_lines("top_share", main), "Massive coordinates",
                 "share of squared norm",
                 "Share of the squared norm in the top 1 % of coordinates, by layer.", "massive_coordinates");
        by_layer("anisotropy-by-layer", site_lines("anisotropy", main), "Anisotropy", "mean cosine",
                 "Mean cosine of random pairs of vectors, by layer: 0 where directions are spread evenly.",
                 "anisotropy");
        by_layer("dimension-by-layer", site_lines("two_nn", main), "Intrinsic dimension", "TwoNN dimension",
                 "TwoNN intrinsic dimension by layer. Level line: Gaussian clouds of the same covariance.",
                 "intrinsic_dimension");
    }

    void positions() {
        const Json& positions = table("positions");
        if (!positions.is_object()) return;
        Series share{.name = "position", .markers = true},
            shuffled{.name = "positions shuffled", .color = 0x999999};
        for (const Json& layer : positions.value("by_layer", Json::array())) {
            share.x.push_back(layer.at("layer").get<double>());
            share.y.push_back(value_of(layer.at("eta2")));
            shuffled.y.push_back(value_of(layer.at("shuffled")));
        }
        shuffled.x = share.x;
        by_layer("position-share-by-layer", {share, shuffled}, "What position explains", "share of variance",
                 "Share of the stream's variance that position explains, by layer; the first token left out.",
                 "position_share", {"positions shuffled within sequence"});
        const bool learned = positions.contains("learned");
        const Json& curve = positions.at(learned ? "learned" : "stream");
        if (!curve.contains("scores")) return;
        Matrix points(static_cast<Eigen::Index>(curve["scores"].size()), 3);
        Values color{.label = "position", .whole = true};
        for (Eigen::Index i = 0; i < points.rows(); ++i) {
            const Json& row = curve["scores"][static_cast<std::size_t>(i)];
            for (Eigen::Index c = 0; c < 3; ++c)
                points(i, c) = static_cast<float>(value_of(row.at(static_cast<std::size_t>(c))));
            color.of_point.push_back(
                static_cast<float>(value_of(curve["position"].at(static_cast<std::size_t>(i)))));
        }
        const Json& fit = curve.at("fit");
        ScatterOptions options{.dims = 3, .connect = true};
        options.figure.title =
            fmt::format("{}\n{}\nhelix fit: R² {:.2f}, of which a line {:.2f}",
                        learned ? "Learned position embeddings" : "Position means of the stream",
                        run_text(run_), value_of(fit.at("r2")), value_of(fit.at("line_r2")));
        const std::string file = "figures/position-curve.png";
        draw_scatter(root_ / file, points, color, options);
        figures_.push_back({file,
                            fmt::format("{} on three components, consecutive positions joined.",
                                        learned ? "The learned position table" : "Means by position"),
                            {"position_helix", "position_lattice"}});
    }

    void paths() {
        const Json& walk = table("trajectories");
        if (!walk.is_object()) return;
        Series direction{.name = "shared by all tokens", .markers = true};
        for (std::size_t i = 0; i < walk.at("common_direction").size(); ++i) {
            direction.x.push_back(walk.at("layers").at(i + 1).get<double>());
            direction.y.push_back(value_of(walk["common_direction"][i]));
        }
        by_layer("steps-by-layer", {direction}, "Steps into each layer", "mean resultant length",
                 "How far all tokens step in one direction into each layer: 1 is all alike, 0 none.",
                 "layer_paths");
        Series spread{.name = "around their mean", .markers = true};
        for (std::size_t i = 0; i < walk.at("spread").size(); ++i) {
            spread.x.push_back(walk.at("layers").at(i).get<double>());
            spread.y.push_back(value_of(walk["spread"][i]));
        }
        by_layer(
            "spread-by-layer", {spread}, "Spread of the tokens' directions", "1 - mean resultant length",
            "How far the directions of all tokens are spread, by layer: 0 is all alike, 1 evenly spread.",
            "");
    }

    void alike() {
        const Json& cka = table("cka");
        if (!cka.is_object()) return;
        const auto n = static_cast<Eigen::Index>(cka.at("cka").size());
        MatrixD values(n, n);
        for (Eigen::Index i = 0; i < n; ++i) {
            for (Eigen::Index j = 0; j < n; ++j)
                values(i, j) =
                    value_of(cka["cka"].at(static_cast<std::size_t>(i)).at(static_cast<std::size_t>(j)));
        }
        if (!values.allFinite() || n < 2) return;
        HeatmapOptions options{.x_label = "layer", .y_label = "layer", .value_label = "linear CKA"};
        options.first_x = options.first_y = cka.at("layers").front().get<double>();
        options.low = 0;
        options.high = 1;
        options.figure.title = fmt::format("How alike layers are\n{}\n{}", run_text(run_),
                                           cka.at("component").get<std::string>());
        const std::string file = "figures/layer-cka.png";
        draw_heatmap(root_ / file, values, options);
        figures_.push_back({file,
                            "Linear CKA between all pairs of layers; 1: equal up to rotation and scale.",
                            {"layer_cka"}});
    }

    std::vector<MeasureFigure> take() { return std::move(figures_); }

  private:
    const Json& table(const std::string& name) const {
        static const Json kNone = Json();
        const auto found = report_.tables.find(name);
        return found == report_.tables.end() ? kNone : found->second;
    }
    const Finding& find(const std::string& name) const {
        static const Finding kNone;
        for (const Finding& finding : report_.findings) {
            if (finding.name == name) return finding;
        }
        return kNone;
    }

    const Run& run_;
    const MeasureReport& report_;
    const std::filesystem::path& root_;
    std::vector<MeasureFigure> figures_;
};

}  // namespace

std::vector<MeasureFigure> draw_measures(const Run& run, MeasureReport& report,
                                         const std::filesystem::path& root) {
    MeasureFigures figures(run, report, root);
    figures.separation();
    figures.sites();
    figures.positions();
    figures.paths();
    figures.alike();
    auto drawn = figures.take();
    for (const MeasureFigure& figure : drawn) {
        for (Finding& finding : report.findings) {
            if (std::ranges::find(figure.findings, finding.name) != figure.findings.end())
                finding.figure = figure.file;
        }
    }
    return drawn;
}

}  // namespace tomograph
