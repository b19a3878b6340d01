#include "tomograph/model/quantize.h"

#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
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

// Rows of bytes-llama divide into no block of 256: what is written are the types that stand in for them.
class QuantizeMixture : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Model, QuantizeMixture,
                         testing::Values("bf16", "q5_1", "q4_1", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m",
                                         "q4_k_s", "q3_k_l", "q3_k_m", "q3_k_s", "q2_k", "iq4_nl", "iq4_xs",
                                         "iq3_m", "iq3_s"),
                         [](const auto& test) { return test.param; });

TEST_P(QuantizeMixture, IsWrittenAndKeepsTheModelAlike) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "out.gguf", GetParam(), 1);
    const Model model = Model::open("bytes-llama"), quantized = Model::open((folder / "out.gguf").string());
    const auto engine = model.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const auto of_quantized = quantized.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const Sequence sequence{.tokens = model.vocabulary().tokenize("Call me Ishmael. Some years ago, never")};
    const Matrix want = record(*engine, std::span(&sequence, 1)).at("ln_final");
    const Matrix got = record(*of_quantized, std::span(&sequence, 1)).at("ln_final");
    EXPECT_LE((got - want).norm() / want.norm(), 0.5);
}

TEST(QuantizeFile, SaysWhereRowsDoNotDivideIntoBlocks) {
    const TempFolder folder;
    EXPECT_EQ(quantize("bytes-llama", folder / "out.gguf", "q6_k", 1),
              (std::vector<std::string>{
                  "24 tensors (such as blk.0.attn_k.weight) became q8_0 instead of q6_k: rows of 128 do not "
                  "divide into blocks of 256",
                  "4 tensors (such as blk.0.ffn_down.weight) became f16 instead of q6_k: rows of 344 do not "
                  "divide into blocks of 256"}));
}

TEST(QuantizeFile, SaysNothingWhereAllIsAsAsked) {
    const TempFolder folder;
    EXPECT_EQ(quantize("bytes-llama", folder / "out.gguf", "f16", 1), std::vector<std::string>{});
}

TEST(QuantizeFile, TakesLargeLettersAndTheMediumMixtureByItsShortName) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "out.gguf", "Q4_K", 1);
    EXPECT_EQ(Model::open((folder / "out.gguf").string()).info().type, "Q4_K - Medium");
}

TEST(QuantizeFile, SaysWhichTypesNeedAnImportanceMatrix) {
    EXPECT_EQ(
        error_of([] { check_quantized_type("IQ2_XXS"); }),
        "tomograph cannot write iq2_xxs: so few bits need an importance matrix, which says what matters "
        "to a text; use q2_k, or llama.cpp's own llama-quantize with --imatrix");
}

TEST(QuantizeFile, RefusesAnUnknownType) {
    EXPECT_EQ(error_of([] { check_quantized_type("q3_x"); }),
              "no weight type 'q3_x'; use one of f32, f16, bf16, q8_0, q5_0, q5_1, q4_0, q4_1, q6_k, q5_k_m, "
              "q5_k_s, q4_k_m, q4_k_s, q3_k_l, q3_k_m, q3_k_s, q2_k, iq4_nl, iq4_xs, iq3_m, iq3_s");
}

class StopAfter : public Progress {
  public:
    void begin(const std::string&, std::int64_t total, const std::string&) override { total_ = total; }
    void update(std::int64_t done) override { done_ = done; }
    bool stop_requested() const override { return done_ >= 3; }
    std::int64_t total_ = 0, done_ = 0;
};

TEST(QuantizeFile, StopsBetweenTensorsAndLeavesNothing) {
    const TempFolder folder;
    StopAfter progress;
    EXPECT_THROW(quantize("bytes-llama", folder / "out.gguf", "q8_0", 1, progress), Stopped);
    EXPECT_EQ(progress.done_, 3);
    EXPECT_EQ(progress.total_, 38);
    EXPECT_EQ(folder.n_files(), 0u);
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
