#include "tomograph/serve/report.h"

#include <gtest/gtest.h>

#include "served_run.h"
#include "tomograph/base/file.h"
#include "tomograph/serve/page.h"

namespace tomograph {
namespace {

using namespace test;

TEST(ViewerReport, HoldsPageAndColumnsInOneFile) {
    TempFolder folder;
    const auto out = folder / "report.html";
    write_viewer_report(ServedRun::instance().path(), out);
    const std::string page = read_file(out);
    for (const char* path : {"manifest", "runs/0/projections/pair", "runs/0/projections/pair/axis0",
                             "runs/0/tokens/token_id", "runs/0/vocabulary", "runs/0/norms/mlp_out"})
        EXPECT_NE(page.find(std::string("data-path=\"") + path + "\""), std::string::npos) << path;
    EXPECT_NE(page.find("script-src 'sha256-" + std::string(page_file("viewer.sha256"))), std::string::npos);
    EXPECT_EQ(page.find("src=\"/"), std::string::npos) << "nothing is fetched";
    EXPECT_EQ(page.find(ServedRun::instance().path().string()), std::string::npos)
        << "no path of this machine";
    EXPECT_NE(page.find("<section class=\"report\" id=\"static\">"), std::string::npos)
        << "readable without JavaScript";
}

TEST(ViewerReport, SamplesToItsBudgetAndSaysSo) {
    TempFolder folder;
    const tomograph::Run run = tomograph::Run::open(ServedRun::instance().path());
    ProjectionOptions all;
    all.selection.components = {Component::attn_out, Component::mlp_out, Component::ln1, Component::ln2,
                                Component::resid_post};
    Projection projection = project_pca(run, "all", all);
    const auto copy = folder / "run";
    std::filesystem::copy(run.path(), copy, std::filesystem::copy_options::recursive);
    save_projection(tomograph::Run::open(copy), projection);
    write_viewer_report(copy, folder / "whole.html");
    EXPECT_NE(read_file(folder / "whole.html").find("\"sampled\":{}"), std::string::npos);
    write_viewer_report(copy, folder / "report.html", {.bytes = 1});
    const std::string page = read_file(folder / "report.html");
    EXPECT_NE(page.find("\"sampled\":{\"0/all\":{\"shown\":"), std::string::npos);
    EXPECT_LT(page.size(), std::filesystem::file_size(folder / "whole.html"));
}

}  // namespace
}  // namespace tomograph
