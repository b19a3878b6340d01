#include "tomograph/intervene/direction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "tomograph/base/error.h"
#include "tomograph/base/progress_count.h"
#include "tomograph/base/random.h"
#include "tomograph/base/rows.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/pca.h"
#include "tomograph/select/selection.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr std::int64_t kFewestRows = 4;
constexpr std::array<std::string_view, 3> kMethods{"mean", "probe", "pca"};

using Labels = std::vector<std::uint8_t>;

Vector mean_difference(const Matrix& x, const Labels& label) {
    std::array<VectorD, 2> sum{VectorD::Zero(x.cols()), VectorD::Zero(x.cols())};
    std::array<double, 2> count{0, 0};
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const std::size_t side = label[static_cast<std::size_t>(i)];
        sum[side] += x.row(i).transpose().cast<double>();
        count[side] += 1;
    }
    return (sum[1] / count[1] - sum[0] / count[0]).cast<float>();
}

/// Normal of the boundary of a logistic regression with a ridge, both classes weighing the same, by
/// accelerated gradient steps (Nesterov, 1983) on centred rows of mean square 1.
Vector logistic(const Matrix& x, const Labels& label) {
    constexpr float kRidge = 0.01f;
    constexpr int kSteps = 150;
    const Eigen::RowVectorXf mean = x.colwise().mean();
    Matrix rows = x.rowwise() - mean;
    const float scale = std::sqrt(rows.squaredNorm() / static_cast<float>(rows.rows()));
    if (!(scale > 0)) return Vector::Zero(x.cols());
    rows /= scale;
    const double n_to = static_cast<double>(std::count(label.begin(), label.end(), 1));
    const double n_from = static_cast<double>(label.size()) - n_to;
    Vector target(x.rows()), weight(x.rows());
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const bool to = label[static_cast<std::size_t>(i)] == 1;
        target[i] = to ? 1.0f : 0.0f;
        weight[i] = static_cast<float>(0.5 / (to ? n_to : n_from));
    }
    // Rows have a mean square of 1, so that the curvature is at most a quarter of the weights' sum and the
    // ridge; a few rows may weigh more than the mean, whence the factor.
    const float largest = (rows.rowwise().squaredNorm().array() * weight.array()).sum();
    const float step = 1 / (0.25f * (largest + 1) + kRidge);
    Vector w = Vector::Zero(x.cols()), ahead = w;
    float bias = 0, bias_ahead = 0;
    for (int i = 0; i < kSteps; ++i) {
        const Vector z = (rows * ahead).array() + bias_ahead;
        const Vector slope = (((1 + (-z.array()).exp()).inverse()) - target.array()) * weight.array();
        const Vector next = ahead - step * (rows.transpose() * slope + kRidge * ahead);
        const float next_bias = bias_ahead - step * slope.sum();
        const float momentum = static_cast<float>(i) / static_cast<float>(i + 3);
        ahead = next + momentum * (next - w);
        bias_ahead = next_bias + momentum * (next_bias - bias);
        w = next;
        bias = next_bias;
    }
    return w;
}

Vector pair_component(const Matrix& x, const Labels& label, const std::vector<std::int32_t>& pair) {
    std::map<std::int32_t, std::array<Eigen::Index, 2>> partners;
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto found = partners.try_emplace(pair[at], std::array<Eigen::Index, 2>{-1, -1}).first;
        found->second[label[at]] = i;
    }
    Matrix differences(static_cast<Eigen::Index>(partners.size()), x.cols());
    Eigen::Index n = 0;
    for (const auto& [number, rows] : partners) {
        if (rows[0] >= 0 && rows[1] >= 0) differences.row(n++) = x.row(rows[1]) - x.row(rows[0]);
    }
    if (n == 0) return mean_difference(x, label);
    differences.conservativeResize(n, Eigen::NoChange);
    return fit_pca(MatrixRows(differences), {.n_components = 1, .center = false, .threads = 1})
        .components.row(0)
        .transpose();
}

/// Rows of one layer's two labels, and who they are.
struct Groups {
    Labels label;
    std::vector<std::int32_t> sequence, pair;
    std::vector<std::int32_t> fold;
    bool pure = true;  // each sequence has one label
};

/// Pairs: the n-th row of one label with the n-th of the other.
void number_pairs(Groups& groups) {
    std::array<std::int32_t, 2> next{0, 0};
    groups.pair.clear();
    for (const std::uint8_t side : groups.label) groups.pair.push_back(next[side]++);
}

/// Folds of whole sequences where each label has two or more; else of blocks of rows, which is said.
void choose_folds(Groups& groups, const DirectionOptions& options, std::vector<std::string>& notes) {
    std::map<std::int32_t, std::set<std::uint8_t>> labels;
    for (std::size_t i = 0; i < groups.label.size(); ++i) labels[groups.sequence[i]].insert(groups.label[i]);
    std::array<std::vector<std::int32_t>, 3> sequences;  // of one label, of the other, of both
    for (const auto& [sequence, its] : labels)
        sequences[its.size() > 1 ? 2 : *its.begin()].push_back(sequence);
    groups.pure = sequences[2].empty();
    const std::size_t least = std::min(sequences[0].size(), sequences[1].size()) + sequences[2].size();
    groups.fold.resize(groups.label.size());
    if (least >= 2) {
        const int folds = std::min(options.folds, static_cast<int>(least));
        std::map<std::int32_t, std::int32_t> fold;
        for (std::size_t kind = 0; kind < 3; ++kind) {
            const auto order =
                permutation(static_cast<std::int64_t>(sequences[kind].size()), mix(options.seed, kind));
            for (std::size_t i = 0; i < order.size(); ++i)
                fold[sequences[kind][static_cast<std::size_t>(order[i])]] =
                    static_cast<std::int32_t>(i) % folds;
        }
        for (std::size_t i = 0; i < groups.fold.size(); ++i) groups.fold[i] = fold[groups.sequence[i]];
        return;
    }
    std::array<double, 2> seen{0, 0}, count{0, 0};
    for (const std::uint8_t side : groups.label) count[side] += 1;
    for (std::size_t i = 0; i < groups.fold.size(); ++i) {
        const std::uint8_t side = groups.label[i];
        groups.fold[i] = static_cast<std::int32_t>(seen[side]++ / count[side] * options.folds);
    }
    notes.push_back(
        "a label has one sequence: held-out rows come from the same sequence as the others, "
        "which flatters the AUROC");
}

/// AUROC of held-out rows, each fold decided by a fit to all others and scaled by what it was fitted to.
double held_out(const Matrix& x, const Groups& groups, DirectionMethod method) {
    const std::int32_t folds = *std::max_element(groups.fold.begin(), groups.fold.end()) + 1;
    std::vector<double> scores(groups.label.size(), kNoNumber);
    for (std::int32_t fold = 0; fold < folds; ++fold) {
        std::vector<Eigen::Index> train;
        Labels label;
        std::vector<std::int32_t> pair;
        for (std::size_t i = 0; i < groups.fold.size(); ++i) {
            if (groups.fold[i] == fold) continue;
            train.push_back(static_cast<Eigen::Index>(i));
            label.push_back(groups.label[i]);
            pair.push_back(groups.pair[i]);
        }
        const auto n_to = std::count(label.begin(), label.end(), 1);
        if (n_to == 0 || n_to == static_cast<std::ptrdiff_t>(label.size())) continue;
        const Matrix rows = x(train, Eigen::all);
        const Vector direction = fit_direction(rows, label, pair, method);
        const Vector fitted = rows * direction;
        std::array<double, 2> sum{0, 0}, count{0, 0};
        for (std::size_t i = 0; i < label.size(); ++i) {
            sum[label[i]] += fitted[static_cast<Eigen::Index>(i)];
            count[label[i]] += 1;
        }
        const double middle = (sum[0] / count[0] + sum[1] / count[1]) / 2;
        const double spread = std::sqrt((fitted.array() - fitted.mean()).square().mean()) + 1e-30;
        for (std::size_t i = 0; i < groups.fold.size(); ++i) {
            if (groups.fold[i] == fold)
                scores[i] = (x.row(static_cast<Eigen::Index>(i)).dot(direction) - middle) / spread;
        }
    }
    return auroc(scores, groups.label);
}

Groups permuted(const Groups& groups, std::uint64_t seed) {
    Groups shuffled = groups;
    std::map<std::int32_t, std::vector<std::size_t>> rows;
    for (std::size_t i = 0; i < groups.label.size(); ++i) rows[groups.sequence[i]].push_back(i);
    if (groups.pure && rows.size() > 3) {
        std::vector<std::uint8_t> of;
        for (const auto& [sequence, its] : rows) of.push_back(groups.label[its.front()]);
        const auto order = permutation(static_cast<std::int64_t>(of.size()), seed);
        std::size_t number = 0;
        for (const auto& [sequence, its] : rows) {
            for (const std::size_t i : its) shuffled.label[i] = of[static_cast<std::size_t>(order[number])];
            ++number;
        }
    } else if (groups.pure) {  // too few sequences to change places: the rows do
        const auto order = permutation(static_cast<std::int64_t>(groups.label.size()), seed);
        for (std::size_t i = 0; i < order.size(); ++i)
            shuffled.label[i] = groups.label[static_cast<std::size_t>(order[i])];
    } else {
        for (const auto& [sequence, its] : rows) {
            const auto order = permutation(static_cast<std::int64_t>(its.size()),
                                           mix(seed, static_cast<std::uint64_t>(sequence)));
            for (std::size_t i = 0; i < its.size(); ++i)
                shuffled.label[its[i]] = groups.label[its[static_cast<std::size_t>(order[i])]];
        }
    }
    number_pairs(shuffled);
    return shuffled;
}

LayerDirection measure_layer(const Matrix& x, const Groups& groups, int layer,
                             const DirectionOptions& options) {
    LayerDirection found{.layer = layer};
    found.direction = fit_direction(x, groups.label, groups.pair, options.method);
    found.auroc = held_out(x, groups, options.method);
    std::vector<double> null;
    for (int i = 0; i < options.permutations; ++i)
        null.push_back(held_out(x, permuted(groups, mix(options.seed, static_cast<std::uint64_t>(i), 7)),
                                options.method));
    if (!null.empty()) {
        const auto reached =
            std::count_if(null.begin(), null.end(), [&](double v) { return v >= found.auroc; });
        found.null_mean = std::accumulate(null.begin(), null.end(), 0.0) / static_cast<double>(null.size());
        found.null_high = quantile(null, 0.95);
        found.p = (1.0 + static_cast<double>(reached)) / (1.0 + static_cast<double>(null.size()));
    }
    found.norm_share = static_cast<double>(found.direction.norm() / x.rowwise().norm().mean());
    return found;
}

}  // namespace

Vector fit_direction(const Matrix& x, const std::vector<std::uint8_t>& label,
                     const std::vector<std::int32_t>& pair, DirectionMethod method) {
    const Vector between = mean_difference(x, label);
    if (method == DirectionMethod::mean) return between;
    Vector unit = method == DirectionMethod::probe ? logistic(x, label) : pair_component(x, label, pair);
    const float length = unit.norm();
    if (!(length > 0)) return between;
    unit /= length;
    return unit * unit.dot(between);
}

DirectionReport find_directions(const Run& run, const DirectionOptions& options, Progress& progress) {
    DirectionReport report{.options = options};
    if (options.from == options.to)
        throw Error("a direction needs two labels", "both are " + options.from, "");
    report.architecture = run.json().at("model").value("architecture", "");
    std::vector<int> layers;
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.component == options.component && run.has_vectors(shape.site) &&
            options.layers.contains(shape.site.layer, run.n_layers()))
            layers.push_back(shape.site.layer);
    }
    if (layers.empty())
        throw Error(
            fmt::format("{} keeps no vectors of {}", run.path().string(), component_name(options.component)),
            "", "capture it, or choose another --component");
    report.layers.resize(layers.size());
    std::vector<std::string> notes;
    progress.begin("find directions", static_cast<std::int64_t>(layers.size()), "layers");
    std::vector<Matrix> rows(layers.size());
    std::vector<Groups> groups(layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const SelectedRows selected = select(run, {.components = {options.component},
                                                   .layers = {layers[i], layers[i] + 1},
                                                   .labels = {options.from, options.to},
                                                   .rows = options.rows,
                                                   .seed = options.seed});
        rows[i].resize(selected.n_rows(), selected.dim());
        selected.read(0, selected.n_rows(), rows[i].data());
        for (std::int64_t r = 0; r < selected.n_rows(); ++r) {
            const auto at = static_cast<std::size_t>(r);
            const auto name = run.labels()[static_cast<std::size_t>(selected.labels().label[at])];
            groups[i].label.push_back(name == options.to ? 1 : 0);
            groups[i].sequence.push_back(selected.labels().sequence[at]);
        }
        number_pairs(groups[i]);
        report.n_to = std::count(groups[i].label.begin(), groups[i].label.end(), 1);
        report.n_from = selected.n_rows() - report.n_to;
        for (const auto& [label, n] : {std::pair(options.from, report.n_from), {options.to, report.n_to}}) {
            if (n < kFewestRows)
                throw Error(fmt::format("{} rows of {} give no direction", n, label), "",
                            fmt::format("{} or more are needed", kFewestRows));
        }
        if (!rows[i].allFinite())
            throw Error(
                fmt::format("blocks.{}.{} holds NaN or Inf", layers[i], component_name(options.component)),
                "", "leave that layer out with --layers");
        choose_folds(groups[i], options, notes);
    }
    run.release();
    ProgressCount done(progress);
    parallel_for(static_cast<std::int64_t>(layers.size()), thread_count(options.threads),
                 [&](std::int64_t i) {
                     if (progress.stop_requested()) throw Stopped("nothing was written");
                     const auto at = static_cast<std::size_t>(i);
                     report.layers[at] = measure_layer(rows[at], groups[at], layers[at], options);
                     done.add();
                 });
    progress.end();
    const auto n = static_cast<Eigen::Index>(layers.size());
    report.cosines.resize(n, n);
    for (Eigen::Index a = 0; a < n; ++a) {
        for (Eigen::Index b = 0; b < n; ++b) {
            const Vector &u = report.layers[static_cast<std::size_t>(a)].direction,
                         &v = report.layers[static_cast<std::size_t>(b)].direction;
            const double lengths = static_cast<double>(u.norm()) * static_cast<double>(v.norm());
            report.cosines(a, b) = lengths > 0 ? static_cast<double>(u.dot(v)) / lengths : 0;
        }
    }
    std::sort(notes.begin(), notes.end());
    notes.erase(std::unique(notes.begin(), notes.end()), notes.end());
    report.notes = std::move(notes);
    return report;
}

ControlVector control_vector(const DirectionReport& report, std::vector<std::string>& notes) {
    ControlVector vector{report.architecture, {}};
    const int shift = report.options.component == Component::resid_pre ? -1 : 0;
    for (const LayerDirection& layer : report.layers) {
        if (layer.layer + shift >= 1)
            vector.layers[layer.layer + shift] = layer.direction;
        else
            notes.push_back(
                fmt::format("the direction of layer {} stays out of the file: llama.cpp adds none to "
                            "what leaves block 0",
                            layer.layer));
    }
    if (report.options.component != Component::resid_post && report.options.component != Component::resid_pre)
        notes.push_back(fmt::format("directions of {} are added to the stream as it leaves the block",
                                    component_name(report.options.component)));
    return vector;
}

Json direction_json(const DirectionReport& report) {
    Json json = {{"from", report.options.from},
                 {"to", report.options.to},
                 {"component", component_name(report.options.component)},
                 {"method", kMethods[static_cast<std::size_t>(report.options.method)]},
                 {"rows", {{"from", report.n_from}, {"to", report.n_to}}},
                 {"permutations", report.options.permutations}};
    json["layers"] = Json::array();
    for (std::size_t i = 0; i < report.layers.size(); ++i) {
        const LayerDirection& layer = report.layers[i];
        Json cosines = Json::array();
        for (Eigen::Index j = 0; j < report.cosines.cols(); ++j)
            cosines.push_back(report.cosines(static_cast<Eigen::Index>(i), j));
        json["layers"].push_back({{"layer", layer.layer},
                                  {"auroc", layer.auroc},
                                  {"null", {{"mean", layer.null_mean}, {"high", layer.null_high}}},
                                  {"p", layer.p},
                                  {"norm", layer.direction.norm()},
                                  {"norm_share", layer.norm_share},
                                  {"cosines", std::move(cosines)}});
    }
    json["notes"] = report.notes;
    return json;
}

std::string direction_table(const DirectionReport& report) {
    std::string text = fmt::format("{:>5}{:>9}{:>12}{:>12}{:>8}{:>10}{:>10}{:>18}\n", "layer", "AUROC",
                                   "null mean", "null 95 %", "p", "length", "of norm", "cosine to before");
    for (std::size_t i = 0; i < report.layers.size(); ++i) {
        const LayerDirection& layer = report.layers[i];
        const auto at = static_cast<Eigen::Index>(i);
        text += fmt::format("{:>5}{:>9.3f}{:>12.3f}{:>12.3f}{:>8.3f}{:>10.3g}{:>10.3f}{:>18}\n", layer.layer,
                            layer.auroc, layer.null_mean, layer.null_high, layer.p, layer.direction.norm(),
                            layer.norm_share, i > 0 ? fmt::format("{:.3f}", report.cosines(at, at - 1)) : "");
    }
    return text;
}

DirectionMethod parse_direction_method(const std::string& text) {
    const auto found = std::find(kMethods.begin(), kMethods.end(), text);
    if (found == kMethods.end()) throw Error("no method '" + text + "'", "", "use mean, probe or pca");
    return static_cast<DirectionMethod>(found - kMethods.begin());
}

}  // namespace tomograph
