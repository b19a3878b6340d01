#include "tomograph/model/quantize.h"

#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <map>
#include <string>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

class Quantize : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Model, Quantize, testing::Values("f32", "f16", "q8_0", "q5_0", "q4_0"),
                         [](const auto& test) { return test.param; });

std::string upper(std::string text) {
    for (char& letter : text) letter = static_cast<char>(std::toupper(letter));
    return text;
}

TEST_P(Quantize, GivesTheTypeAskedFor) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "out.gguf", GetParam(), 1);
    EXPECT_EQ(Model::open((folder / "out.gguf").string()).info().type, upper(GetParam()));
}

TEST_P(Quantize, KeepsTheModelAlike) {
    const std::map<std::string, double> tolerances{
        {"f32", 1e-2}, {"f16", 1e-6}, {"q8_0", 0.05}, {"q5_0", 0.3}, {"q4_0", 0.5}};
    const TempFolder folder;
    quantize("bytes-llama", folder / "out.gguf", GetParam(), 1);
    const Model model = Model::open("bytes-llama"), quantized = Model::open((folder / "out.gguf").string());
    const auto engine = model.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const auto of_quantized = quantized.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const std::string text = "Call me Ishmael. Some years ago, never";
    const Sequence sequence{.tokens = model.vocabulary().tokenize(text)};
    const Matrix want = record(*engine, std::span(&sequence, 1)).at("ln_final");
    const Matrix got = record(*of_quantized, std::span(&sequence, 1)).at("ln_final");
    const double error = (got - want).norm() / want.norm();
    RecordProperty("error", std::to_string(error));
    EXPECT_LE(error, tolerances.at(GetParam()));
}

TEST(QuantizeFile, ToFloat32LeavesAFloat32ModelAsItWas) {
    const TempFolder folder;
    quantize(golden_model("llama"), folder / "out.gguf", "f32", 1);
    const Model model = Model::open(golden_model("llama")),
                copy = Model::open((folder / "out.gguf").string());
    const auto engine = model.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const auto of_copy = copy.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const Sequence sequence = random_sequence(40, 256, 1);
    EXPECT_EQ(
        worst_site(record(*of_copy, std::span(&sequence, 1)), record(*engine, std::span(&sequence, 1))).error,
        0);
}

TEST(QuantizeFile, TakesAQuantizedInput) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "q8.gguf", "q8_0", 1);
    quantize((folder / "q8.gguf").string(), folder / "q4.gguf", "q4_0", 1);
    EXPECT_EQ(Model::open((folder / "q4.gguf").string()).info().type, "Q4_0");
}

TEST(QuantizeFile, DequantizesTheEmbeddingRowsItReads) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "out.gguf", "q8_0", 1);
    const Matrix want = Model::open("bytes-llama").token_embeddings({65, 66, 67});
    EXPECT_LE(row_error(Model::open((folder / "out.gguf").string()).token_embeddings({65, 66, 67}), want),
              0.02);
}

TEST(QuantizeFile, LeavesOnlyTheOutput) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "out.gguf", "q8_0", 1);
    EXPECT_EQ(folder.n_files(), 1u);
}

TEST(QuantizeFile, RefusesAnUnknownType) {
    const TempFolder folder;
    EXPECT_EQ(error_of([&] { quantize("bytes-llama", folder / "out.gguf", "q3_k", 1); }),
              "no weight type 'q3_k'; use f32, f16, q8_0, q5_0 or q4_0");
}

TEST(QuantizeFile, RefusesToReplaceItsInput) {
    const TempFolder folder;
    const auto path = folder.write("in.gguf", read_file(golden_model("llama")));
    EXPECT_EQ(error_of([&] { quantize(path.string(), path, "f16", 1); }),
              "cannot quantize " + path.string() + " onto itself; name another output");
}

TEST(QuantizeFile, RefusesToReplaceItsInputUnderAnotherName) {
    const TempFolder folder;
    const auto path = folder.write("in.gguf", read_file(golden_model("llama")));
    fs::create_symlink(path, folder / "link.gguf");
    EXPECT_NE(error_of([&] { quantize(path.string(), folder / "link.gguf", "f16", 1); }).find("onto itself"),
              std::string::npos);
}

TEST(QuantizeFile, RefusesAMissingInput) {
    const TempFolder folder;
    EXPECT_NE(
        error_of([&] { quantize("/nowhere/x.gguf", folder / "out.gguf", "f16", 1); }).find("no such file"),
        std::string::npos);
}

TEST(QuantizeFile, NamesAnOutputFolderThatIsMissing) {
    const TempFolder folder;
    const fs::path out = folder / "absent/out.gguf";
    EXPECT_EQ(error_of([&] { quantize("bytes-llama", out, "f16", 1); }),
              "cannot create " + out.string() + ": No such file or directory");
}

TEST(QuantizeFile, LeavesNothingWhereItsOutputIsAFolder) {
    const TempFolder folder;
    fs::create_directory(folder / "out.gguf");
    EXPECT_NE(error_of([&] { quantize("bytes-llama", folder / "out.gguf", "f16", 1); }), "");
    EXPECT_EQ(folder.n_files(), 1u);
}

class QuantizeOnAFullDisk : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Room, QuantizeOnAFullDisk, testing::Values(1'000, 50'000, 201'000),
                         testing::PrintToStringParamName());

TEST_P(QuantizeOnAFullDisk, SaysSo) {
    const TempFolder folder;
    const FileSizeLimit limit(static_cast<rlim_t>(GetParam()));
    const fs::path out = folder / "out.gguf";
    EXPECT_EQ(error_of([&] { quantize(golden_model("llama"), out, "f32", 1); }),
              "cannot write " + out.string() + ": it was cut; free some disk space or write elsewhere");
}

TEST_P(QuantizeOnAFullDisk, LeavesNothing) {
    const TempFolder folder;
    const FileSizeLimit limit(static_cast<rlim_t>(GetParam()));
    error_of([&] { quantize(golden_model("llama"), folder / "out.gguf", "f32", 1); });
    EXPECT_EQ(folder.n_files(), 0u);
}

}  // namespace
}  // namespace tomograph
