#include "tomograph/report/report.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"

namespace tomograph {
namespace {

using namespace test;

class Report : public testing::Test {
  protected:
    std::string page() {
        write_json(folder_ / "study.json", study_);
        write_static_report(folder_.path(), folder_ / "report.html");
        return read_file(folder_ / "report.html");
    }
    bool has(const std::string& text) { return page().find(text) != std::string::npos; }
    void measured(const std::string& run, const Json& finding) {
        std::filesystem::create_directories(folder_ / run / "measures");
        write_json(folder_ / run / "measures/findings.json", {{"findings", Json::array({finding})}});
    }

    TempFolder folder_;
    Json study_ = {{"model", {{"name", "tiny"}, {"type", "F16"}, {"n_layers", 4}, {"d_model", 128}}}};
};

TEST_F(Report, NamesTheModel) {
    EXPECT_TRUE(has("<h1>tiny</h1>"));
    EXPECT_TRUE(has("F16 weights, 4 layers, d_model 128"));
}

TEST_F(Report, EscapesTheModelsName) {
    study_["model"]["name"] = "<script>\"&";
    EXPECT_TRUE(has("<h1>&lt;script&gt;&quot;&amp;</h1>"));
    EXPECT_FALSE(has("<script>"));
}

TEST_F(Report, EscapesNotesAndCaptions) {
    study_["notes"] = {"a<b"};
    study_["figures"] = {{{"file", ""}, {"group", "group<1>"}, {"caption", "caption<2>"}}};
    EXPECT_TRUE(has("a&lt;b"));
    EXPECT_TRUE(has("<h2>group&lt;1&gt;</h2>"));
    EXPECT_TRUE(has("caption&lt;2&gt;"));
}

TEST_F(Report, HasNoTableWithoutNumbers) {
    EXPECT_FALSE(has("<table>"));
}

TEST_F(Report, ShowsItsNumbers) {
    study_["numbers"] = {{"first_token_norm_ratio", 2.5},
                         {"first_token_norm_site", "blocks.2.resid_post"},
                         {"variance_explained_2", 0.125},
                         {"attention_mlp_cosine", {{"mean", -0.25}, {"deviation", 0.125}, {"pairs", 77}}}};
    EXPECT_TRUE(has("2.50 ×"));
    EXPECT_TRUE(has("at blocks.2.resid_post"));
    EXPECT_TRUE(has("12.5 %"));
    EXPECT_TRUE(has("-0.250 ± 0.125"));
    EXPECT_TRUE(has("over 77 pairs"));
}

TEST_F(Report, ShowsTheFindingsOfItsRuns) {
    study_["runs"] = {"text", "twin"};
    measured("text", {{"name", "anisotropy"},
                      {"effect", 0.25},
                      {"interval", {0.125, 0.5}},
                      {"null", nullptr},
                      {"verdict", "absent"},
                      {"effect_is", "mean cosine"},
                      {"reason", "a<b"}});
    EXPECT_TRUE(has("<h2>Findings: text</h2>"));
    EXPECT_FALSE(has("<h2>Findings: twin</h2>"));
    EXPECT_TRUE(
        has("<th>anisotropy</th><td class=\"number\">0.25</td><td class=\"number\">0.125 to 0.5</td>"
            "<td class=\"number\">–</td><td class=\"number\">–</td><td>absent</td><td class=\"note\">mean "
            "cosine: a&lt;b</td>"));
}

TEST_F(Report, ReadsNoFindingsButThoseOfItsOwnRuns) {
    measured("elsewhere/text", {{"name", "outside"}});
    for (const char* name : {"elsewhere/text", "..", "/tmp", "."}) {
        study_["runs"] = {name};
        EXPECT_NE(error_of([&] { page(); }).find("it leads out of"), std::string::npos) << name;
    }
}

TEST_F(Report, FollowsNoLinkOutOfTheStudy) {
    TempFolder other;
    other.write("secret", "s3cret");
    std::filesystem::create_directories(other / "run/measures");
    write_json(other / "run/measures/findings.json", {{"findings", {{{"name", "outside"}}}}});
    std::filesystem::create_directories(folder_ / "run");
    std::filesystem::create_symlink(other / "secret", folder_ / "a.png");
    std::filesystem::create_directory_symlink(other / "run", folder_ / "text");
    std::filesystem::create_directory_symlink(other / "run/measures", folder_ / "run/measures");
    const auto refused = [&] {
        const std::string line = error_of([&] { page(); });
        return line.find("it leads out of") != std::string::npos && line.find("s3cret") == std::string::npos;
    };
    for (const std::string& file : {std::string("a.png"), (other / "secret").string(),
                                    std::string("../") + other.path().filename().string() + "/secret"}) {
        study_["figures"] = {{{"file", file}, {"group", "g"}, {"caption", "c"}}};
        EXPECT_TRUE(refused()) << file;
    }
    study_.erase("figures");
    for (const char* run : {"text", "run"}) {
        study_["runs"] = {run};
        EXPECT_TRUE(refused()) << run;
    }
}

TEST_F(Report, DoesNotWaitForAPipe) {
    ASSERT_EQ(::mkfifo((folder_ / "a.png").c_str(), 0600), 0);
    study_["figures"] = {{{"file", "a.png"}, {"group", "g"}, {"caption", "c"}}};
    EXPECT_NE(error_of([&] { page(); }).find("it is not a regular file"), std::string::npos);
}

TEST_F(Report, BrokenDescriptionsAreNamed) {
    for (const char* text : {R"([])", R"({"model": 7})", R"({"model": {"name": 7}})", R"({"runs": "text"})",
                             R"({"runs": [7]})", R"({"figures": [7]})", R"({"figures": [{"file": 7}]})",
                             R"({"numbers": []})", R"({"notes": [[]]})", R"({"model": {"n_layers": "x"}})"}) {
        folder_.write("study.json", text);
        const std::string line = error_of([&] { static_report(folder_.path()); });
        EXPECT_EQ(line.find((folder_ / "study.json").string() + " is not what tomograph wrote"), 0u)
            << text << ": " << line;
    }
    study_["numbers"] = {{"first_token_norm_ratio", "x"}, {"attention_mlp_cosine", {{"mean", "x"}}}};
    EXPECT_FALSE(has("<table>")) << "a number that is none is left out";
}

TEST_F(Report, EmbedsItsFigures) {
    folder_.write("a.png", "foobar");
    study_["figures"] = {{{"file", "a.png"}, {"group", "group"}, {"caption", "caption"}}};
    EXPECT_TRUE(has("src=\"data:image/png;base64,Zm9vYmFy\""));
}

TEST_F(Report, PutsFiguresUnderTheirGroups) {
    folder_.write("a.png", "a");
    for (const char* group : {"one", "one", "two"})
        study_["figures"].push_back({{"file", "a.png"}, {"group", group}, {"caption", ""}});
    const std::string html = page();
    EXPECT_EQ(html.find("<h2>one</h2>"), html.rfind("<h2>one</h2>"));
    EXPECT_LT(html.find("<h2>one</h2>"), html.find("<h2>two</h2>"));
}

TEST_F(Report, NamesAFigureThatIsMissing) {
    study_["figures"] = {{{"file", "absent.png"}, {"group", "group"}, {"caption", "caption"}}};
    EXPECT_EQ(error_of([&] { page(); }),
              "cannot open " + (folder_ / "absent.png").string() + ": No such file or directory");
}

}  // namespace
}  // namespace tomograph
