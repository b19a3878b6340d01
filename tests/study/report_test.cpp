#include "tomograph/study/report.h"

#include <gtest/gtest.h>

#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

using namespace test;

class Report : public testing::Test {
  protected:
    std::string page() {
        write_report(folder_.path(), description_, summary_);
        return read_file(folder_ / "report.html");
    }
    bool has(const std::string& text) { return page().find(text) != std::string::npos; }

    TempFolder folder_;
    Json description_ = {{"model", {{"name", "tiny"}, {"type", "F16"}, {"n_layers", 4}, {"d_model", 128}}}};
    StudySummary summary_;
};

TEST_F(Report, NamesTheModel) {
    EXPECT_TRUE(has("<h1>tiny</h1>"));
    EXPECT_TRUE(has("F16 weights, 4 layers, d_model 128"));
}

TEST_F(Report, EscapesTheModelsName) {
    description_["model"]["name"] = "<script>\"&";
    EXPECT_TRUE(has("<h1>&lt;script&gt;&quot;&amp;</h1>"));
    EXPECT_FALSE(has("<script>"));
}

TEST_F(Report, EscapesNotesAndCaptions) {
    summary_.notes = {"a<b"};
    summary_.figures = {{"", "group<1>", "caption<2>"}};
    EXPECT_TRUE(has("a&lt;b"));
    EXPECT_TRUE(has("<h2>group&lt;1&gt;</h2>"));
    EXPECT_TRUE(has("caption&lt;2&gt;"));
}

TEST_F(Report, HasNoTableWithoutNumbers) {
    EXPECT_FALSE(has("<table>"));
}

TEST_F(Report, ShowsItsNumbers) {
    summary_.first_token = FirstTokenRatio{{Component::resid_post, 2}, 30, 12, 2.5};
    summary_.variance_explained = 0.125;
    summary_.attention_mlp = MeanCosine{-0.25, 0.125, 77};
    EXPECT_TRUE(has("2.50 ×"));
    EXPECT_TRUE(has("at blocks.2.resid_post"));
    EXPECT_TRUE(has("12.5 %"));
    EXPECT_TRUE(has("-0.250 ± 0.125"));
    EXPECT_TRUE(has("over 77 pairs"));
}

struct Encoding {
    const char* bytes;
    const char* base64;
};

class ReportFigure : public Report, public testing::WithParamInterface<Encoding> {};
INSTANTIATE_TEST_SUITE_P(Report, ReportFigure,  // RFC 4648, section 10, and bytes above 127
                         testing::Values(Encoding{"", ""}, Encoding{"f", "Zg=="}, Encoding{"fo", "Zm8="},
                                         Encoding{"foo", "Zm9v"}, Encoding{"foob", "Zm9vYg=="},
                                         Encoding{"fooba", "Zm9vYmE="}, Encoding{"foobar", "Zm9vYmFy"},
                                         Encoding{"\xff\xfe\xfb", "//77"}));

TEST_P(ReportFigure, IsEmbedded) {
    folder_.write("a.png", GetParam().bytes);
    summary_.figures = {{"a.png", "group", "caption"}};
    EXPECT_TRUE(has("src=\"data:image/png;base64," + std::string(GetParam().base64) + "\""));
}

TEST_F(Report, PutsFiguresUnderTheirGroups) {
    folder_.write("a.png", "a");
    summary_.figures = {{"a.png", "one", ""}, {"a.png", "one", ""}, {"a.png", "two", ""}};
    const std::string html = page();
    EXPECT_EQ(html.find("<h2>one</h2>"), html.rfind("<h2>one</h2>"));
    EXPECT_LT(html.find("<h2>one</h2>"), html.find("<h2>two</h2>"));
}

TEST_F(Report, NamesAFigureThatIsMissing) {
    summary_.figures = {{"absent.png", "group", "caption"}};
    EXPECT_EQ(error_of([&] { page(); }),
              "cannot open " + (folder_ / "absent.png").string() + ": No such file or directory");
}

}  // namespace
}  // namespace tomograph
