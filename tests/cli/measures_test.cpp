// measure and compare at work, and what they cost no number.
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "cli/program_files.h"
#include "support/program.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/random.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// RUN of bytes-gpt2 on a few short sequences, or of `model`.
Outcome capture_few(const Program& program, const std::string& run, const std::string& model = "bytes-gpt2") {
    return program.run(
        {"capture", model, "--out", run, "--sequences", "6", "--length", "32", "--threads", "1"});
}

TEST(Cli, MeasuresARunAgainstItsTwin) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    ASSERT_EQ(program.run({"randomize", "bytes-gpt2", "--out", "twin.gguf"}).code, 0);
    ASSERT_EQ(capture_few(program, "twin", "twin.gguf").code, 0);
    ASSERT_EQ(program.run({"randomize", "bytes-gpt2", "--keep", "spectrum", "--out", "spectrum.gguf"}).code,
              0);
    ASSERT_EQ(capture_few(program, "spectrum", "spectrum.gguf").code, 0);
    ASSERT_EQ(program.run({"lens", "run", "--threads", "1"}).code, 0);
    const Arguments arguments{"measure", "run", "--twin",      "twin", "spectrum",
                              "--rows",  "100", "--bootstrap", "20",   "--json"};
    const Outcome outcome = program.run(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json json = Json::parse(outcome.out);
    ASSERT_EQ(json.at("findings").size(), 16u);
    for (const Json& finding : json["findings"]) {
        ASSERT_TRUE(finding.at("figure").is_string()) << finding;
        EXPECT_TRUE(is_png(program / "run" / finding["figure"].get<std::string>())) << finding;
    }
    EXPECT_TRUE(fs::exists(program / "run/measures/findings.csv"));
    const Json measured = read_json(program / "run/measures/findings.json");
    for (const Json& finding : measured.at("findings")) {
        if (finding.at("name") == "anisotropy") {
            EXPECT_EQ(finding.at("twins").at("gaussian").size(), 1u);
            EXPECT_EQ(finding.at("twins").at("spectrum").size(), 1u);
        }
    }
    EXPECT_TRUE(temporaries_in(program.folder().path()).empty());
}

TEST(Cli, FailsOnAFindingWhenAsked) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    Arguments arguments{"measure",     "run", "--rows",    "100",
                        "--bootstrap", "20",  "--fail-on", "first_token_norm"};
    const Outcome found = program.run(arguments);
    EXPECT_EQ(found.code, 3);
    EXPECT_TRUE(found.err.ends_with("tomograph: found first_token_norm\n")) << found.err;
    arguments.back() = "first_token_norm:absent";
    EXPECT_EQ(program.run(arguments).code, 0);
    arguments.back() = "second_token_norm";
    const Outcome unknown = program.run(arguments);
    EXPECT_EQ(unknown.code, 1);
    EXPECT_NE(unknown.err.find("second_token_norm"), std::string::npos) << unknown.err;
}

TEST(Cli, MeasuresWithoutGnuplotButDrawsNothing) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    ::setenv("TOMOGRAPH_GNUPLOT", "/nowhere/gnuplot", 1);
    const Outcome outcome = program.run({"measure", "run", "--rows", "100", "--bootstrap", "20"});
    ::unsetenv("TOMOGRAPH_GNUPLOT");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("note: no figures were drawn: "), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(program / "run/figures"));
}

TEST(Cli, AFigureThatFailsIsNamedAndCostsNoNumber) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    program.folder().write("gnuplot", "#!/bin/sh\necho no room left >&2\nexit 1\n");
    fs::permissions(program / "gnuplot", fs::perms::owner_all);
    const Outcome outcome = program.run({"measure", "run", "--rows", "100", "--bootstrap", "20"},
                                        {"TOMOGRAPH_GNUPLOT=" + (program / "gnuplot").string()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("warning: figures/anisotropy-by-layer.png was not drawn: "), std::string::npos)
        << outcome.err;
    EXPECT_EQ(read_json(program / "run/measures/findings.json").at("findings").size(), 16u);
    EXPECT_TRUE(fs::exists(program / "run/measures/outliers.csv"));
}

/// A .npy file of version 1.0 with float32 rows.
void write_npy(const fs::path& path, const Matrix& rows) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows.rows()) +
                         ", " + std::to_string(rows.cols()) + "), }";
    header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
    header += '\n';
    std::ofstream file(path, std::ios::binary);
    file << "\x93NUMPY" << '\1' << '\0' << static_cast<char>(header.size() % 256)
         << static_cast<char>(header.size() / 256) << header;
    file.write(reinterpret_cast<const char*>(rows.data()),
               static_cast<std::streamsize>(sizeof(float) * static_cast<std::size_t>(rows.size())));
}

TEST(Cli, MeasuresWhatWasImported) {
    const Program program;
    Rng rng(4);
    Matrix rows(200, 8);
    for (float& value : rows.reshaped()) value = static_cast<float>(rng.normal() + 2);
    rows(150, 3) = std::numeric_limits<float>::quiet_NaN();
    write_npy(program / "x.npy", rows);
    std::string labels = "sequence,label\n";
    for (int i = 0; i < 200; ++i)
        labels += std::to_string(i / 20) + "," + (i % 2 == 0 ? "even" : "odd") + "\n";
    program.folder().write("labels.csv", labels);
    ASSERT_EQ(program.run({"import", "x.npy", "--out", "r", "--labels", "labels.csv"}).code, 0);
    const Outcome outcome = program.run({"measure", "r", "--rows", "100", "--bootstrap", "20"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("note: 1 of 200 rows hold NaN or Inf and are left out"), std::string::npos)
        << outcome.out;
    const Json measured = read_json(program / "r/measures/findings.json");
    for (const Json& finding : measured.at("findings")) {
        if (finding.at("name") == "anisotropy") {
            EXPECT_EQ(finding.at("verdict"), "holds");
        }
        if (finding.at("verdict") != "holds") {
            EXPECT_NE(finding.value("reason", ""), "") << finding;
        }
    }
}

TEST(Cli, FailsOnOutliersOnlyAgainstAReference) {
    const Program program;
    ASSERT_EQ(capture_few(program, "run").code, 0);
    Arguments arguments{"measure", "run", "--rows", "100", "--bootstrap", "20", "--fail-on", "outliers"};
    const Outcome refused = program.run(arguments);
    EXPECT_EQ(refused.code, 1);
    EXPECT_NE(refused.err.find("cannot fail on outliers without a reference"), std::string::npos)
        << refused.err;
    EXPECT_FALSE(fs::exists(program / "run/measures")) << "refused before anything is measured";
    arguments.insert(arguments.end(), {"--reference", "run"});
    EXPECT_EQ(program.run(arguments).code, 0) << "a run is ordinary beside itself";
}

TEST(Cli, ListsTheFindings) {
    const Program program;
    const Outcome outcome = program.run({"measure", "--list"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("| `layer_cka` |"), std::string::npos) << outcome.out;
}

TEST(Cli, ComparesAModelWithItsQuantisation) {
    const Program program;
    ASSERT_EQ(program.run({"quantize", "bytes-gpt2", "--type", "q4_0", "--out", "q4.gguf"}).code, 0);
    ASSERT_EQ(capture_few(program, "base").code, 0);
    ASSERT_EQ(capture_few(program, "again").code, 0);
    ASSERT_EQ(capture_few(program, "q4", "q4.gguf").code, 0);
    const auto change_of_layers = [&](const std::string& other) {
        const Outcome outcome = program.run({"compare", "base", other, "--json", "--figure", other + ".png"});
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_TRUE(is_png(program / (other + ".png")));
        return Json::parse(outcome.out);
    };
    const Json moved = change_of_layers("q4"), still = change_of_layers("again");
    ASSERT_EQ(moved.at("ranking").size(), 4u) << moved;
    for (const Json& layer : moved["ranking"]) EXPECT_GT(layer.at("movement").get<double>(), 0.01) << layer;
    for (const Json& layer : still.at("ranking"))
        EXPECT_LT(layer.at("movement").get<double>(), 1e-6) << layer;
}

TEST(Cli, RefusesToCompareDifferentTokens) {
    const Program program;
    ASSERT_EQ(capture_few(program, "a").code, 0);
    ASSERT_EQ(program.run({"capture", "bytes-gpt2", "--out", "b", "--sequences", "6", "--length", "16"}).code,
              0);
    const Outcome outcome = program.run({"compare", "a", "b"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
}

}  // namespace
}  // namespace tomograph
