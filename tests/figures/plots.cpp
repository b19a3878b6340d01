// Scatter plots, pair grids, lines, paths and histograms, as files.
#include <cmath>
#include <limits>

#include "figures/support.h"
#include "tomograph/figures/heatmap.h"
#include "tomograph/figures/histogram.h"
#include "tomograph/figures/lines.h"
#include "tomograph/figures/pair_grid.h"
#include "tomograph/figures/paths.h"
#include "tomograph/figures/scatter.h"

namespace tomograph {
namespace {

using test::count;
using test::error_of;
using test::png_size;
using test::PngSize;
using test::two_clouds;
using Scatter = test::Figures;
using PairGrid = test::Figures;
using Lines = test::Figures;
using Paths = test::Figures;
using Histogram = test::Figures;
using Heatmap = test::Figures;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Categories two_categories(std::int64_t n) {
    Categories categories{.names = {"attn_out", "mlp_out"}};
    for (std::int64_t i = 0; i < n; ++i) categories.of_point.push_back(i < n / 2 ? 0 : 1);
    return categories;
}

Values positions(std::int64_t n) {
    Values values{.label = "position", .whole = true};
    for (std::int64_t i = 0; i < n; ++i) values.of_point.push_back(static_cast<float>(i));
    return values;
}

TEST_F(Scatter, DefaultPngFitsAPaperColumnAndAScreen) {
    const Drawn drawn = draw_scatter(file("a.png"), two_clouds(200, 2), two_categories(200));
    EXPECT_EQ(drawn.n_points, 200);
    EXPECT_EQ(drawn.n_dropped, 0);
    EXPECT_EQ(png_size(read_file(file("a.png"))), (PngSize{1632, 1296}));
    EXPECT_EQ(n_files(), 1U);
}

TEST_F(Scatter, TextTellsWhatIsShown) {
    ScatterOptions options;
    options.figure.title = "Attention against MLP\nblocks 6–23";
    options.labels = {component_label(0, 0.321), component_label(1, 0.111), component_label(2)};
    for (const int dims : {2, 3}) {
        options.dims = dims;
        draw_scatter(file("a.svg"), two_clouds(100, 3), two_categories(100), options);
        const std::string svg = read_file(file("a.svg"));
        for (const char* text : {">Attention against MLP<", ">blocks 6–23<", ">PC 1 (32.1 %)<",
                                 ">PC 2 (11.1 %)<", ">attn_out<", ">mlp_out<"}) {
            EXPECT_NE(svg.find(text), std::string::npos) << text;
        }
        EXPECT_EQ(svg.find(">PC 3<") != std::string::npos, dims == 3);
    }
}

TEST_F(Scatter, ManyPointsBecomeAnImageUnderVectorAxesInTwoAndThreeDimensions) {
    ScatterOptions options;
    for (const int dims : {2, 3}) {
        options.dims = dims;
        draw_scatter(file("few.svg"), two_clouds(1000, 3), two_categories(1000), options);
        draw_scatter(file("many.svg"), two_clouds(20100, 3), two_categories(20100), options);
        const std::string few = read_file(file("few.svg")), many = read_file(file("many.svg"));
        EXPECT_EQ(count(few, "<image"), 0U);
        EXPECT_GE(count(few, "xlink:href='#gpPt6' transform"), 1000U);
        EXPECT_EQ(count(many, "<image"), 1U);
        EXPECT_LT(count(many, "xlink:href='#gpPt6' transform"), 100U);
        EXPECT_NE(many.find(">PC 1<"), std::string::npos);
    }
}

TEST_F(Scatter, PointsThatCannotBeDrawnAreCounted) {
    Matrix points = two_clouds(100, 3);
    points(3, 1) = nan;
    points(4, 0) = std::numeric_limits<float>::infinity();
    points(5, 2) = nan;  // not drawn in two dimensions
    Categories categories = two_categories(100);
    categories.of_point[6] = -1;
    categories.of_point[7] = 2;
    const Drawn drawn = draw_scatter(file("a.png"), points, categories);
    EXPECT_EQ(drawn.n_points, 96);
    EXPECT_EQ(drawn.n_dropped, 4);
    Values norms{.of_point = std::vector<float>(100, 2.0F), .label = "norm", .log = true};
    norms.of_point[0] = 0.0F;
    norms.of_point[1] = nan;
    norms.of_point[2] = 100.0F;
    EXPECT_EQ(draw_scatter(file("a.png"), points, norms).n_dropped, 4);
}

TEST_F(Scatter, NothingToDrawAndWrongShapesAreErrors) {
    const auto draw = [&](const Matrix& points, const Coloring& coloring, int dims) {
        return error_of([&] { draw_scatter(file("a.png"), points, coloring, {.dims = dims}); });
    };
    EXPECT_EQ(draw(Matrix(0, 2), two_categories(0), 2), "there is nothing to draw: no points were given");
    EXPECT_EQ(draw(Matrix::Constant(3, 2, nan), two_categories(3), 2),
              "there is nothing to draw: none of the 3 points has finite coordinates and a colour");
    EXPECT_EQ(draw(two_clouds(4, 2), two_categories(4), 3), "cannot draw 3 dimensions: the points have 2");
    EXPECT_EQ(draw(two_clouds(4, 2), two_categories(5), 2),
              "cannot colour the points: there are 4 points and 5 colours");
    EXPECT_NE(draw(two_clouds(4, 4), two_categories(4), 4), "");
    EXPECT_EQ(n_files(), 0U);
}

TEST_F(Scatter, OneAndIdenticalPointsAreDrawn) {
    EXPECT_EQ(draw_scatter(file("a.png"), Matrix::Constant(1, 2, 3.0F), positions(1)).n_points, 1);
    EXPECT_EQ(
        draw_scatter(file("b.png"), Matrix::Constant(9, 3, 0.0F), positions(9), {.dims = 3, .equal = true})
            .n_points,
        9);
    EXPECT_EQ(
        draw_scatter(file("c.png"), Matrix::Constant(9, 2, 1e30F), positions(9), {.equal = true}).n_points,
        9);
}

TEST_F(Scatter, DrawingOrderIsShuffledBySeedAndRepeatable) {
    const Matrix points = two_clouds(400, 2);
    ScatterOptions options;
    options.figure.render.dpi = 100;
    options.point_radius = 4.0;
    options.point_alpha = 1.0;
    draw_scatter(file("a.png"), points, positions(400), options);
    draw_scatter(file("b.png"), points, positions(400), options);
    options.figure.seed = 1;
    draw_scatter(file("c.png"), points, positions(400), options);
    EXPECT_EQ(read_file(file("a.png")), read_file(file("b.png")));
    EXPECT_NE(read_file(file("a.png")), read_file(file("c.png")));
}

TEST(Cloud, NearPointsAreDrawnLastInThreeDimensions) {
    Page page(200, 200);
    const std::array<Scale, 3> scales{Scale{0, 1}, Scale{0, 1}, Scale{0, 1}};
    const Camera camera = draw_space(page, {0, 0, 200, 200}, scales, {.dims = 3});
    Matrix points(50, 3);
    Rng rng(3);
    for (int i = 0; i < 50; ++i)
        points.row(i) << static_cast<float>(rng.uniform()), static_cast<float>(rng.uniform()),
            static_cast<float>(rng.uniform());
    const VisibleRows visible = find_visible(points, 3, positions(50));
    const Discs discs = make_discs(points, visible, camera, {}, 0);
    double before = -1e9;
    for (std::size_t i = 0; i < discs.x.size(); ++i) {
        double depth = 1e9;
        for (int row = 0; row < 50; ++row) {
            const auto at = camera.place(points.row(row).data());
            if (static_cast<float>(at.x) == discs.x[i] && static_cast<float>(at.y) == discs.y[i])
                depth = at.depth;
        }
        EXPECT_GE(depth, before);
        before = depth;
        EXPECT_GT(discs.x[i], 0);
        EXPECT_LT(discs.x[i], 200);
    }
}

TEST(Cloud, EqualAxesGiveAUnitOneLength) {
    Page page(400, 200);
    const std::array<Scale, 2> scales{Scale{0, 1}, Scale{0, 10}};
    const Camera equal = draw_space(page, {0, 0, 400, 200}, scales, {.equal = true});
    EXPECT_NEAR(equal.map(0, 0), equal.map(1, 1), 1e-2 * equal.map(1, 1));
    const Camera free = draw_space(page, {0, 0, 400, 200}, scales, {});
    EXPECT_GT(free.map(0, 0), 5 * free.map(1, 1));
}

TEST_F(PairGrid, FifteenPairsWithTheirNamesAndOneBar) {
    PairGridOptions options;
    options.variance = {0.4, 0.2, 0.1, 0.05, 0.02, 0.01};
    const Drawn drawn = draw_pair_grid(file("a.svg"), two_clouds(60, 7), positions(60), options);
    EXPECT_EQ(drawn.n_points, 60);
    const std::string svg = read_file(file("a.svg"));
    EXPECT_NEAR(static_cast<double>(count(svg, "xlink:href='#gpPt6' transform")), 15 * 60 + 6 * 60, 5);
    EXPECT_EQ(count(svg, ">PC 6<"), 2U) << "on the diagonal and at the left";
    EXPECT_NE(svg.find(">40.0 %<"), std::string::npos);
    EXPECT_EQ(count(svg, ">position<"), 1U);
    // The threshold counts what is drawn: 15 panels of 2,000 points are more than 20,000.
    draw_pair_grid(file("b.svg"), two_clouds(2000, 6), positions(2000), options);
    EXPECT_GE(count(read_file(file("b.svg")), "<image"), 15U);
    EXPECT_THROW(draw_pair_grid(file("c.svg"), two_clouds(9, 5), positions(9)), Error);
    options.components = 1;
    EXPECT_THROW(draw_pair_grid(file("c.svg"), two_clouds(9, 5), positions(9), options), Error);
}

TEST_F(Lines, GapsDashesBandsAndLogAxes) {
    Series plain{.name = "attn_out", .x = {0, 1, 2, 3}, .y = {1, 10, 0, 1e4}, .markers = true};
    Series first{.name = "first token",
                 .x = {0, 1, 2},
                 .y = {5, NAN, 7},
                 .low = {1, 1, 1},
                 .high = {9, 9, 9},
                 .dash = Dash::dashed};
    LinesOptions options{.x_label = "layer", .y_label = "mean norm", .log_y = true, .whole_x = true};
    const Drawn drawn = draw_lines(file("a.svg"), {plain, first}, options);
    EXPECT_EQ(drawn.n_points, 5);
    EXPECT_EQ(drawn.n_dropped, 2);
    const std::string svg = read_file(file("a.svg"));
    for (const char* text : {">10⁴<", ">attn_out<", ">first token<", ">mean norm<"})
        EXPECT_NE(svg.find(text), std::string::npos) << text;
    draw_lines(file("a.pdf"), {plain, first}, options);
    draw_lines(file("a.png"), {plain, first});
    EXPECT_EQ(n_files(), 3U);
}

TEST_F(Lines, ManySeriesGetALegendOutsideThatEndsWithHowManyMore) {
    std::vector<Series> series;
    for (int i = 0; i < 60; ++i)
        series.push_back(
            {.name = "blocks." + std::to_string(i) + ".attn_out", .x = {0, 1}, .y = {0.0, 1.0 * i}});
    draw_lines(file("a.svg"), series);
    EXPECT_EQ(count(read_file(file("a.svg")), " more<"), 1U);
}

TEST_F(Lines, BadInputIsAnError) {
    EXPECT_EQ(error_of([&] { draw_lines(file("a.svg"), {{.name = "x", .x = {1}, .y = {}}}); }),
              "cannot draw the line x: its arrays differ in length");
    EXPECT_THROW(draw_lines(file("a.svg"), {}), Error);
    EXPECT_THROW(draw_lines(file("a.svg"), {{.x = {1, 2}, .y = {-1, 0}}}, {.log_y = true}), Error);
    EXPECT_EQ(n_files(), 0U);
}

TEST_F(Paths, LayersAreNumberedFromFirstToLast) {
    Matrix points(300, 3);
    std::vector<std::int32_t> layer;
    for (int i = 0; i < 300; ++i) {
        layer.push_back(i / 10);
        points.row(i) << static_cast<float>(std::cos(i * 0.015)), static_cast<float>(std::sin(i * 0.015)),
            static_cast<float>(i % 10);
    }
    layer[0] = -1;
    for (const int dims : {2, 3}) {
        const Drawn drawn = draw_paths(file("a.svg"), points, layer, {.dims = dims});
        EXPECT_EQ(drawn.n_points, 299);
        EXPECT_EQ(drawn.n_dropped, 1);
        const std::string svg = read_file(file("a.svg"));
        EXPECT_NE(svg.find(">29<"), std::string::npos);
        EXPECT_NE(svg.find(">layer<"), std::string::npos);
    }
    EXPECT_EQ(draw_paths(file("b.png"), points.topRows(10), std::vector<std::int32_t>(10, 4)).n_points, 10)
        << "one layer";
    EXPECT_THROW(draw_paths(file("c.png"), points, {1, 2}), Error);
}

TEST(Bins, CountEveryValueOnce) {
    const std::vector<float> values{0, 0.1F, 0.5F, 0.99F, 1.0F, nan};
    EXPECT_EQ(count_bins(values, {0, 1}, 2), (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(count_bins({1, 5, 10, 50, 100, 0, -3}, {1, 100, true}, 2), (std::vector<std::int64_t>{2, 3}));
}

TEST_F(Histogram, SamplesLogCountsAndShares) {
    Rng rng(5);
    HistogramSample a{.name = "attn_out"}, b{.name = "mlp_out"};
    for (int i = 0; i < 3000; ++i)
        a.values.push_back(static_cast<float>(rng.normal())),
            b.values.push_back(static_cast<float>(2 + rng.normal()));
    a.values[0] = nan;
    EXPECT_EQ(draw_histogram(file("a.png"), {a, b}, {.share = true}).n_dropped, 1);
    draw_histogram(file("a.svg"), {a}, {.x_label = "norm", .log_y = true});
    EXPECT_NE(read_file(file("a.svg")).find(">10⁰<"), std::string::npos);
    EXPECT_GT(draw_histogram(file("b.pdf"), {a, b}, {.log_x = true}).n_dropped, 1000)
        << "no logarithm below zero";
    EXPECT_EQ(draw_histogram(file("c.png"), {{.values = {2, 2, 2}}}).n_points, 3) << "one value";
    EXPECT_THROW(draw_histogram(file("d.png"), {}), Error);
    EXPECT_THROW(draw_histogram(file("d.png"), {a}, {.bins = 0}), Error);
}

TEST_F(Histogram, SizesOutOfReasonAreErrors) {
    EXPECT_THROW(draw_histogram(file("a.png"), {{.values = {1, 2}}}, {.figure = {.width = 0.1}}), Error);
    EXPECT_THROW(draw_histogram(file("a.png"), {{.values = {1, 2}}}, {.figure = {.render = {.dpi = 1e6}}}),
                 Error);
    EXPECT_EQ(n_files(), 0U);
}

// A title of any length is wrapped and never takes the page; hostile words do no harm anywhere.
TEST_F(Heatmap, LeavesWhatIsNoNumberBlank) {
    MatrixD values = MatrixD::Identity(4, 6);
    values(1, 1) = std::numeric_limits<double>::quiet_NaN();
    const Drawn drawn =
        draw_heatmap(file("a.svg"), values, {.x_label = "layer", .value_label = "CKA", .first_x = 3});
    EXPECT_EQ(drawn.n_points, 23);
    EXPECT_EQ(drawn.n_dropped, 1);
    const std::string svg = read_file(file("a.svg"));
    for (const char* word : {"layer", "CKA", ">3<", ">8<"})
        EXPECT_NE(svg.find(word), std::string::npos) << word;
    values.setConstant(std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(error_of([&] { draw_heatmap(file("b.png"), values); }),
              "there is nothing to draw: no value is finite");
    EXPECT_FALSE(std::filesystem::exists(file("b.png")));
}

TEST_F(Scatter, HostileWordsEverywhere) {
    const std::string hostile = "q'\"{}_^@`\\n$%#\n\xff\xfe & <b> " + std::string(300, 'W');
    Categories categories = two_categories(20);
    categories.names = {hostile, ""};
    ScatterOptions options;
    options.figure.title = hostile + "\n" + hostile + "\n" + hostile + "\n" + hostile;
    options.labels = {hostile, hostile, hostile};
    for (const char* name : {"a.png", "a.svg", "a.pdf"}) {
        for (const int dims : {2, 3}) {
            options.dims = dims;
            EXPECT_EQ(draw_scatter(file(name), two_clouds(20, 3), categories, options).n_points, 20);
        }
    }
    EXPECT_NE(read_file(file("a.svg")).find("q'\"{}_^@`\\n$%#"), std::string::npos);
    EXPECT_EQ(n_files(), 3U);
}

}  // namespace
}  // namespace tomograph
