#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <numeric>

#include "arrays.h"
#include "bindings.h"
#include "tomograph/linear/normalize.h"
#include "tomograph/linear/spread.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/coil.h"
#include "tomograph/statistics/concentration.h"
#include "tomograph/statistics/dimension.h"
#include "tomograph/statistics/lattice.h"
#include "tomograph/statistics/subspaces.h"
#include "work.h"

namespace tomograph::python {
namespace {

using namespace nb::literals;

std::span<const double> weights_of(const std::optional<Numbers>& weights) {
    return weights ? std::span(weights->data(), weights->shape(0)) : std::span<const double>();
}

nb::dict coil_dict(const Coil& coil) {
    nb::dict dict;
    dict["shape"] = coil.shape;
    dict["words"] = coil.words;
    dict["p"] = coil.p;
    dict["p_by_kind"] = nb::cast(std::vector<double>(coil.p_by_kind.begin(), coil.p_by_kind.end()));
    dict["p_turning"] = coil.p_turning;
    dict["turning"] = coil.turning;
    dict["chance_turning"] = coil.chance_turning;
    dict["share"] = coil.share;
    dict["frequency"] = coil.frequency;
    dict["turns"] = coil.turns;
    dict["one_way"] = coil.one_way;
    dict["roundness"] = coil.roundness;
    dict["rise"] = coil.rise;
    dict["p_axis"] = coil.p_axis;
    dict["line_r2"] = coil.line_r2;
    dict["recurrence"] = coil.recurrence;
    dict["recurrence_lag"] = coil.recurrence_lag;
    dict["variance_ratio"] = nb::cast(coil.variance_ratio);
    nb::list lines;
    for (const CoilLine& line : coil.lines) lines.append(nb::make_tuple(line.turns, line.share));
    dict["lines"] = lines;
    dict["points"] = coil.points;
    dict["why_not"] = coil.why_not;
    return dict;
}

/// How alike two descriptions of the same rows are.
void bind_likeness_of(nb::module_& module, const char* name,
                      double (*likeness)(const Matrix&, const Matrix&)) {
    module.def(
        name,
        [likeness](const Floats& x, const Floats& y) {
            const Matrix a = matrix_of(x), b = matrix_of(y);
            return result_of<double>([&](Progress&) { return likeness(a, b); }, nb::none());
        },
        "x"_a, "y"_a);
}

void bind_likeness(nb::module_& module) {
    bind_likeness_of(module, "cka", linear_cka);
    module.def(
        "shifted_cka",
        [](const Floats& x, const Floats& y, int threads) {
            const Matrix a = matrix_of(x), b = matrix_of(y);
            const auto cka =
                result_of<ShiftedCka>([&](Progress&) { return shifted_cka(a, b, threads); }, nb::none());
            return nb::make_tuple(cka.value, cka.shifted, cka.p);
        },
        "x"_a, "y"_a, "threads"_a);
    bind_likeness_of(module, "procrustes", procrustes_distance);
    module.def(
        "subspace_overlap",
        [](const Doubles& a, const Doubles& b) {
            const double overlap = subspace_overlap(matrix_of(a), matrix_of(b));
            return nb::make_tuple(overlap, random_overlap(static_cast<std::int64_t>(a.shape(0)),
                                                          static_cast<std::int64_t>(b.shape(0)),
                                                          static_cast<std::int64_t>(a.shape(1))));
        },
        "a"_a, "b"_a);
    module.def(
        "clouds",
        [](const Floats& a, const Floats& b) {
            const Matrix first = matrix_of(a), second = matrix_of(b);
            const auto scores =
                result_of<CloudScores>([&](Progress&) { return compare_clouds(first, second); }, nb::none());
            return nb::make_tuple(scores.silhouette, scores.davies_bouldin, scores.calinski_harabasz);
        },
        "a"_a, "b"_a);
}

void bind_dimension(nb::module_& module) {
    module.def(
        "participation_ratio", [](const Numbers& v) { return participation_ratio(vector_of(v)); },
        "variances"_a);
    module.def("entropy_rank", [](const Numbers& v) { return entropy_rank(vector_of(v)); }, "variances"_a);
    module.def(
        "two_nn",
        [](const Floats& distances, const std::optional<Numbers>& weights) {
            return two_nn(matrix_of(distances), weights_of(weights));
        },
        "distances"_a, "weights"_a = nb::none());
    module.def(
        "mle_dimension",
        [](const Floats& distances, const std::optional<Numbers>& weights) {
            return mle_dimension(matrix_of(distances), weights_of(weights));
        },
        "distances"_a, "weights"_a = nb::none());
    module.def(
        "nearest_of_other_groups",
        [](const Floats& rows, const Integers& group, int k, int threads) {
            const Matrix matrix = matrix_of(rows);
            const std::span<const std::int32_t> groups(group.data(), group.shape(0));
            auto distances = result_of<Matrix>(
                [&](Progress&) { return nearest_of_other_groups(matrix, groups, k, threads); }, nb::none());
            return array_of_matrix(std::move(distances));
        },
        "rows"_a, "group"_a, "k"_a, "threads"_a);
}

void bind_shape(nb::module_& module) {
    module.def(
        "helix",
        [](const Floats& curve, int replicates, std::uint64_t seed, double level, int threads) {
            const Matrix points = matrix_of(curve);
            const CoilOptions options{
                .replicates = replicates, .seed = seed, .threads = threads, .level = level};
            return coil_dict(
                result_of<Coil>([&](Progress&) { return measure_coil(points, options); }, nb::none()));
        },
        "curve"_a, "replicates"_a, "seed"_a, "level"_a, "threads"_a);
    module.def(
        "comparable_positions",
        [](const Floats& table) {
            const TableRows rows = comparable_positions(matrix_of(table));
            return nb::make_tuple(rows.first, rows.count, rows.left_out);
        },
        "table"_a);
    module.def(
        "lattice",
        [](const Doubles& points, std::int64_t most, std::uint64_t seed) {
            const MatrixD matrix = matrix_of(points);
            const auto score = result_of<LatticeScore>(
                [&](Progress&) { return lattice_score(matrix, {.points = most, .seed = seed, .noise = {}}); },
                nb::none());
            return nb::make_tuple(score.score, score.first, score.second, score.n_points);
        },
        "points"_a, "most"_a, "seed"_a);
    module.def(
        "anisotropy",
        [](const Floats& rows) {
            const Matrix matrix = matrix_of(rows);
            const auto forms =
                result_of<AnisotropyForms>([&](Progress&) { return anisotropy_forms(matrix); }, nb::none());
            nb::dict dict;
            dict["raw"] = forms.raw;
            dict["centred"] = forms.centred;
            dict["without_rogue"] = forms.without_rogue;
            dict["rogue"] = nb::cast(forms.rogue);
            dict["rogue_share"] = forms.rogue_share;
            return dict;
        },
        "rows"_a);
    module.def(
        "massive_coordinates",
        [](const Numbers& mean_squares) {
            const auto massive = massive_coordinates(vector_of(mean_squares));
            nb::dict dict;
            dict["coordinates"] = nb::cast(massive.coordinates);
            dict["shares"] = nb::cast(massive.shares);
            dict["top_share"] = massive.top_share;
            dict["half"] = massive.most;
            return dict;
        },
        "mean_squares"_a);
    module.def(
        "spread",
        [](nb::handle given) {
            const auto rows = rows_of(given);
            const auto spread =
                result_of<Spread>([&](Progress&) { return measure_spread(*rows.rows); }, nb::none());
            return nb::make_tuple(spread.total_variance, spread.mean_square, spread.constant());
        },
        "rows"_a);
}

}  // namespace

void bind_statistics(nb::module_& module) {
    bind_likeness(module);
    bind_dimension(module);
    bind_shape(module);
}

}  // namespace tomograph::python
