#include "tomograph/figures/page.h"

#include <cmath>

#include "figures/support.h"

namespace tomograph {
namespace {

using test::count;
using test::png_size;
using test::PngSize;
using PageFile = test::Figures;

TEST(Raster, OneDiscCoversItsAreaAndNoMore) {
    const Discs disc{{50}, {20}, {0xFF8000}, 4.0, 1.0};
    const Raster raster = paint(disc, 2.0, 200, 100);
    double covered = 0.0;
    double weighted_x = 0.0, weighted_y = 0.0;
    for (int y = 0; y < raster.height; ++y) {
        for (int x = 0; x < raster.width; ++x) {
            const auto* pixel = &raster.rgba[static_cast<std::size_t>(4 * (y * raster.width + x))];
            if (pixel[3] == 0) continue;
            EXPECT_EQ(pixel[0], 0xFF);
            EXPECT_NEAR(pixel[1], 0x80, 1);
            covered += pixel[3] / 255.0;
            weighted_x += pixel[3] / 255.0 * (raster.left + x + 0.5);
            weighted_y += pixel[3] / 255.0 * (raster.bottom + y + 0.5);
        }
    }
    EXPECT_NEAR(covered, 3.14159 * 8 * 8, 2.0);
    EXPECT_NEAR(weighted_x / covered, 100.0, 0.01);
    EXPECT_NEAR(weighted_y / covered, 40.0, 0.01);
    EXPECT_LE(raster.width, 18);
}

TEST(Raster, LaterDiscsLieOverEarlierOnesAndFaintOnesAddUp) {
    const Raster opaque = paint({{5, 5}, {5, 5}, {0xFF0000, 0x0000FF}, 3, 1.0}, 1.0, 10, 10);
    const auto* middle =
        &opaque.rgba[static_cast<std::size_t>(4 * ((5 - opaque.bottom) * opaque.width + 5 - opaque.left))];
    EXPECT_EQ(middle[0], 0);
    EXPECT_EQ(middle[2], 255);
    Discs faint{{}, {}, {}, 3, 0.01};
    for (int i = 0; i < 200; ++i) faint.x.push_back(5), faint.y.push_back(5), faint.color.push_back(0x00FF00);
    const Raster sum = paint(faint, 1.0, 10, 10);
    const auto alpha =
        sum.rgba[static_cast<std::size_t>(4 * ((5 - sum.bottom) * sum.width + 5 - sum.left) + 3)];
    EXPECT_NEAR(alpha / 255.0, 1.0 - std::pow(0.99, 200), 0.01);
}

TEST(Raster, DiscsOutsideThePageAreCutOff) {
    EXPECT_TRUE(paint({}, 1.0, 10, 10).rgba.empty());
    EXPECT_TRUE(paint({{-100}, {-100}, {0}, 3, 1.0}, 1.0, 10, 10).rgba.empty());
    const Raster edge = paint({{0}, {10}, {0}, 3, 1.0}, 1.0, 10, 10);
    EXPECT_EQ(edge.left, 0);
    EXPECT_EQ(edge.bottom + edge.height, 10);
}

Page example_page() {
    Page page(144, 72);
    page.rectangle(10, 10, 20, 20, 0x123456);
    page.polyline({{0, 0}, {100, 50}, {NAN, 3}, {20, 20}, {30, 30}}, {1.0, 0x00AA00, Dash::dashed});
    page.polygon({{0, 0}, {10, 0}, {5, 5}}, 0xABCDEF, 0.5);
    page.disc({72, 36}, 5, 0xD55E00);
    page.text(72, 60, "title", {.align = Align::center, .bold = true, .halo = true});
    return page;
}

TEST(Page, PngHasTheSidesAskedFor) {
    const std::string png = example_page().render(FigureFormat::png, {.dpi = 100});
    EXPECT_EQ(png_size(png), (PngSize{200, 100}));
    EXPECT_EQ(png.substr(png.size() - 8, 4), "IEND");
}

TEST(Page, TheSameSheetGivesTheSameBytes) {
    for (const auto format : {FigureFormat::png, FigureFormat::svg}) {
        EXPECT_EQ(example_page().render(format), example_page().render(format));
    }
}

TEST(Page, DrawingMoreMakesThePictureDiffer) {
    Page more = example_page();
    more.disc({20, 50}, 5, 0x0072B2);
    EXPECT_NE(example_page().render(FigureFormat::png), more.render(FigureFormat::png));
}

TEST(Page, AnEmptySheetAndASheetOfTextAreDrawn) {
    Page page(72, 72);
    EXPECT_GT(page.render(FigureFormat::png).size(), 100U);
    page.text(10, 10, "words");
    const std::string svg = page.render(FigureFormat::svg);
    EXPECT_NE(svg.find(">words<"), std::string::npos);
}

TEST(Page, PdfIsOnePageOfTheSheetsSize) {
    const std::string pdf = example_page().render(FigureFormat::pdf);
    EXPECT_EQ(pdf.substr(0, 5), "%PDF-");
    EXPECT_EQ(count(pdf, "/MediaBox [ 0 0 144 72 ]"), 1U);
}

TEST(Page, HostileTextIsShownLiterally) {
    Page page(400, 200);
    const std::string text = "a'b\"c {x_1}^2 @d `touch x` $e \\n %f # & <g> \\ [h] é";
    page.text(10, 10, text);
    page.text(10, 30, "two\nlines \xff");
    page.text(10, 70, "]]>");  // not allowed inside XML text
    page.text(10, 50, "font-family=\"sans-serif\"");
    const std::string svg = page.render(FigureFormat::svg);
    std::string escaped;
    for (const char letter : text) {
        escaped += letter == '&' ? "&amp;" : letter == '<' ? "&lt;" : std::string(1, letter);
    }
    EXPECT_NE(svg.find(">" + escaped + "<"), std::string::npos) << svg.substr(svg.size() - 2000);
    EXPECT_NE(svg.find("two\\nlines \uFFFD"), std::string::npos);
    EXPECT_NE(svg.find(">font-family=\"sans-serif\"<"), std::string::npos);
    EXPECT_NE(svg.find(">]]&gt;<"), std::string::npos);
    // The cairo terminals must not choke on it either.
    EXPECT_GT(page.render(FigureFormat::png).size(), 1000U);
}

// One glyph that no font has makes gnuplot 5.4 cover the picture with rectangles; we put a box in its place.
TEST(Page, ACharacterWithoutGlyphLooksLikeABox) {
    Page missing(72, 36), box(72, 36);
    missing.text(10, 18, "x\xf0\xbf\xbf\xb0");
    box.text(10, 18, "x□");
    EXPECT_EQ(missing.render(FigureFormat::png), box.render(FigureFormat::png));
}

TEST(Page, CloudsAboveTheThresholdBecomeImages) {
    Page page(200, 200);
    Discs cloud{{}, {}, {}, 0.5, 0.5};
    Rng rng(1);
    for (int i = 0; i < 2000; ++i) {
        cloud.x.push_back(static_cast<float>(100 + 20 * rng.normal()));
        cloud.y.push_back(static_cast<float>(100 + 20 * rng.normal()));
        cloud.color.push_back(0x0072B2);
    }
    page.discs(cloud);
    page.disc({100, 100}, 4, 0);
    const std::string vectors = page.render(FigureFormat::svg, {.raster_above = 5000});
    EXPECT_EQ(count(vectors, "<image"), 0U);
    EXPECT_GT(count(vectors, "xlink:href='#gpPt6' transform"), 2000U);
    const std::string image = page.render(FigureFormat::svg, {.raster_above = 1000});
    EXPECT_EQ(count(image, "<image"), 1U);
    EXPECT_LT(count(image, "xlink:href='#gpPt6' transform"), 10U) << "only the single disc stays a vector";
    EXPECT_EQ(count(page.render(FigureFormat::pdf, {.raster_above = 5000}), "/Subtype /Image"), 0U);
    EXPECT_GE(count(page.render(FigureFormat::pdf, {.raster_above = 1000}), "/Subtype /Image"), 1U);
}

TEST_F(PageFile, SavesWithoutLeavingAnythingElse) {
    example_page().save(file("a b'c.png"));
    EXPECT_EQ(n_files(), 1U);
    EXPECT_EQ(png_size(read_file(file("a b'c.png"))), (PngSize{960, 480}));
}

TEST_F(PageFile, AFailureLeavesTheOldFileAndNothingElse) {
    example_page().save(file("a.svg"));
    const std::string before = read_file(file("a.svg"));
    {
        const test::Environment none("TOMOGRAPH_GNUPLOT", "/nonexistent");
        EXPECT_THROW(example_page().save(file("a.svg")), Error);
        EXPECT_THROW(example_page().save(file("b.svg")), Error);
    }
    EXPECT_EQ(read_file(file("a.svg")), before);
    EXPECT_EQ(n_files(), 1U);
    EXPECT_THROW(example_page().save(file("no/such/folder.png")), Error);
}

}  // namespace
}  // namespace tomograph
