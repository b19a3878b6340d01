#include "tomograph/model/model.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/model/engine.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::string opening_error(const fs::path& path) {
    return error_of([&] { Model::open(path.string()); });
}

std::string all_bytes() {
    std::string bytes(256, '\0');
    std::iota(bytes.begin(), bytes.end(), '\0');
    return bytes;
}

/// The bytes of golden llama with what stands `offset` bytes after the first `place` overwritten.
std::string patched(const std::string& place, std::size_t offset, const std::string& bytes) {
    std::string file = read_file(golden_model("llama"));
    const auto at = file.find(place);
    if (at == std::string::npos) throw std::runtime_error("nothing to patch: " + place);
    return file.replace(at + offset, bytes.size(), bytes);
}

// What is built in
// ---------------------------------------------------------------------------------------------------

class EmbeddedModel : public testing::TestWithParam<std::string> {
  protected:
    Model model_ = Model::open(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Model, EmbeddedModel, testing::ValuesIn(embedded_models()),
                         [](const auto& test) { return test.param.substr(6); });

TEST_P(EmbeddedModel, HasItsName) {
    EXPECT_EQ(model_.info().name, GetParam());
}
TEST_P(EmbeddedModel, HasItsNameForAPath) {
    EXPECT_EQ(model_.info().path, GetParam());
}
TEST_P(EmbeddedModel, HasItsArchitecture) {
    EXPECT_EQ("bytes-" + model_.info().architecture, GetParam());
}
TEST_P(EmbeddedModel, IsHalfPrecision) {
    EXPECT_EQ(model_.info().type, "F16");
}

TEST_P(EmbeddedModel, HasTheShapeThatTrainPyGaveIt) {
    const ModelInfo& info = model_.info();
    EXPECT_EQ(info.d_model, 128);
    EXPECT_EQ(info.n_layers, 4);
    EXPECT_EQ(info.n_heads, 4);
    EXPECT_EQ(info.n_kv_heads, 4);
    EXPECT_EQ(info.context_length, 128);
    EXPECT_EQ(info.n_vocab, 256);
}

TEST_P(EmbeddedModel, AddsNoStartToken) {
    EXPECT_FALSE(model_.info().adds_start_token);
}

// llama.cpp would name token 11, GPT-2's comma, which is a tabulator here.
TEST_P(EmbeddedModel, HasNoStartToken) {
    EXPECT_EQ(model_.info().start_token, -1);
}

TEST_P(EmbeddedModel, CutsTextIntoItsBytes) {
    const std::string text("All\t\r\n of\0 it: caf\u00e9, \u20ac, \U0001f40b", 31);
    std::vector<std::int32_t> bytes;
    for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
    EXPECT_EQ(model_.tokenize(text), bytes);
}

class NotUtf8 : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tokenize, NotUtf8, testing::Values("a\x80", "a\xff", "a\xc3", "a\xc0"));

TEST_P(NotUtf8, IsReadAsTheReplacementCharacter) {
    EXPECT_EQ(Model::open("bytes-gpt2").tokenize(GetParam()),
              (std::vector<std::int32_t>{'a', 0xef, 0xbf, 0xbd}));
}

// llama.cpp itself throws at these, past its own interface.
TEST(Tokenize, SurvivesACharacterPastUnicode) {
    EXPECT_EQ(Model::open("bytes-gpt2").tokenize("\xf4\x90\x80\x80").size(), 4u * 3u);
}

TEST_P(EmbeddedModel, GivesEveryByteBack) {
    std::string bytes;
    for (std::int32_t token = 0; token < 256; ++token) bytes += model_.piece(token);
    EXPECT_EQ(bytes, all_bytes());
}

TEST_P(EmbeddedModel, CutsNothingIntoNoTokens) {
    EXPECT_TRUE(model_.tokenize("").empty());
}

TEST_P(EmbeddedModel, CutsALongText) {
    EXPECT_EQ(model_.tokenize(std::string(100'000, 'a')), std::vector<std::int32_t>(100'000, 'a'));
}

TEST_P(EmbeddedModel, RefusesThePieceOfATokenOutOfRange) {
    EXPECT_EQ(error_of([&] { model_.piece(256); }), "no token 256: " + GetParam() + " has tokens 0 to 255");
    EXPECT_EQ(error_of([&] { model_.piece(-1); }), "no token -1: " + GetParam() + " has tokens 0 to 255");
}

TEST_P(EmbeddedModel, RefusesTheEmbeddingOfATokenOutOfRange) {
    EXPECT_EQ(error_of([&] {
                  model_.token_embeddings({3, 256});
              }),
              "no token 256: " + GetParam() + " has tokens 0 to 255");
}

TEST_P(EmbeddedModel, AveragesItsEmbeddings) {
    std::vector<std::int32_t> ids(256);
    std::iota(ids.begin(), ids.end(), 0);
    const Vector mean =
        model_.token_embeddings(ids).cast<double>().colwise().mean().transpose().cast<float>();
    EXPECT_TRUE(model_.mean_token_embedding().isApprox(mean, 1e-6f));
}

TEST_P(EmbeddedModel, OutlivesAMove) {
    Model moved = std::move(model_);
    EXPECT_EQ(moved.token_embeddings({1}).cols(), 128);
}

TEST(Model, SaysWhetherItsPositionsAreLearned) {
    EXPECT_TRUE(Model::open("bytes-gpt2").info().learned_positions);
    EXPECT_FALSE(Model::open("bytes-llama").info().learned_positions);
}

TEST(Model, CountsParametersAndBytes) {
    const ModelInfo info = Model::open("bytes-gpt2").info();
    EXPECT_EQ(info.n_parameters, 842'496u);
    EXPECT_EQ(info.file_bytes, 1'738'752u);
}

TEST(Model, OpensAFile) {
    const ModelInfo info = Model::open(golden_model("llama")).info();
    EXPECT_EQ(info.name, "golden-llama");
    EXPECT_EQ(info.path, golden_model("llama"));
    EXPECT_EQ(info.type, "F32");
    EXPECT_EQ(info.n_kv_heads, 2);
}

TEST(Model, ReadsTheRowsThatTransformersLooksUp) {
    const Golden golden = read_golden("llama");
    EXPECT_EQ(Model::open(golden_model("llama")).token_embeddings(golden.tokens), golden.sites.at("embed"));
}

TEST(Model, NamesATypeOfSeveralWords) {
    const TempFolder folder;
    // After the key: type u32, value u32. 15 is LLAMA_FTYPE_MOSTLY_Q4_K_M.
    const auto path =
        folder.write("x.gguf", patched("general.file_type", 17 + 4, std::string("\x0f\0\0\0", 4)));
    EXPECT_EQ(Model::open(path.string()).info().type, "Q4_K - Medium");
}

TEST(Model, GuessesATypeThatTheHeaderDoesNotName) {
    const TempFolder folder;
    const auto path = folder.write("x.gguf", patched("general.file_type", 0, "general.file_typo"));
    EXPECT_EQ(Model::open(path.string()).info().type, "F32");
}

TEST(Model, WithoutANameGetsItsFilesStem) {
    const TempFolder folder;
    const auto path = folder.write("some-model.gguf", patched("general.name", 0, "general.nome"));
    EXPECT_EQ(Model::open(path.string()).info().name, "some-model");
}

// What is no model
// ---------------------------------------------------------------------------------------------------

std::string bad(const std::string& file) {
    return golden_path("bad/" + file);
}

TEST(ModelRefuses, AMissingFile) {
    EXPECT_EQ(opening_error("/nowhere/x.gguf"),
              "no model at /nowhere/x.gguf: no such file; give a .gguf file, or bytes-gpt2 or bytes-llama, "
              "which are "
              "built in");
}

TEST(ModelRefuses, AFolder) {
    const TempFolder folder;
    EXPECT_EQ(opening_error(folder.path()),
              folder.path().string() + " is not a model: it is a folder; give a .gguf file");
}

TEST(ModelRefuses, Noise) {
    EXPECT_EQ(opening_error(bad("garbage.gguf")),
              bad("garbage.gguf") +
                  " is not a GGUF file: it does not begin with the letters GGUF; convert the model "
                  "with llama.cpp's convert_hf_to_gguf.py");
}

TEST(ModelRefuses, AnEmptyFile) {
    const TempFolder folder;
    const auto path = folder.write("x.gguf", "");
    EXPECT_TRUE(opening_error(path).starts_with(path.string() + " is not a GGUF file: "))
        << opening_error(path);
}

TEST(ModelRefuses, AFileThatIsCutInItsTensors) {
    const std::string error = opening_error(bad("truncated.gguf"));
    EXPECT_TRUE(error.starts_with(bad("truncated.gguf") + " is truncated: it has 16144 bytes of ")) << error;
    EXPECT_TRUE(error.ends_with("; download or copy it again")) << error;
}

TEST(ModelRefuses, AFileThatIsCutByOneByte) {
    const TempFolder folder;
    std::string bytes = read_file(golden_model("llama"));
    bytes.pop_back();
    const std::string error = opening_error(folder.write("x.gguf", bytes));
    EXPECT_NE(error.find("is truncated: it has 201599 bytes of 201600"), std::string::npos) << error;
}

TEST(ModelRefuses, AFileThatIsCutAnywhereInItsHeader) {
    const TempFolder folder;
    const std::string bytes =
        read_file(golden_model("llama")).substr(0, 6144);  // in the vocabulary and before it
    for (std::size_t size = 4; size < bytes.size(); size += size < 64 ? 1 : 97) {
        const std::string error = opening_error(folder.write("x.gguf", bytes.substr(0, size)));
        ASSERT_NE(error.find("x.gguf"), std::string::npos) << size << ": " << error;
        ASSERT_EQ(error.find('\n'), std::string::npos) << size << ": " << error;
    }
}

TEST(ModelRefuses, AGgufThatHoldsNoModel) {
    EXPECT_EQ(opening_error(bad("not_a_model.gguf")),
              bad("not_a_model.gguf") + " is not a language model: its header names no architecture");
}

TEST(ModelRefuses, AnImageEncoder) {
    EXPECT_TRUE(
        opening_error(bad("clip.gguf")).starts_with("llama.cpp cannot load " + bad("clip.gguf") + ": CLIP "))
        << opening_error(bad("clip.gguf"));
}

TEST(ModelRefuses, ATextEncoder) {
    EXPECT_EQ(opening_error(bad("bert.gguf")),
              bad("bert.gguf") + " has an encoder: only decoder-only language models can be recorded");
}

TEST(ModelRefuses, AFileWithoutATensorThatItsKindNeeds) {
    const TempFolder folder;
    const auto path = folder.write("x.gguf", patched("blk.1.ffn_norm", 0, "blk.1.ffn_nerm"));
    EXPECT_EQ(opening_error(path),
              "llama.cpp cannot load " + path.string() +
                  ": tensor 'blk.1.ffn_norm.weight' not found; it may be no language model, or "
                  "need a newer llama.cpp");
}

TEST(ModelRefuses, AnUnknownArchitecture) {
    const TempFolder folder;
    // After the key: type u32, length u64.
    const std::string error =
        opening_error(folder.write("x.gguf", patched("general.architecture", 20 + 4 + 8, "lloma")));
    EXPECT_NE(error.find("unknown model architecture: 'lloma'"), std::string::npos) << error;
}

TEST(ModelRefuses, OneAndOpensTheNext) {
    opening_error(bad("clip.gguf"));
    EXPECT_EQ(opening_error(golden_model("llama")), "");
}

// Two tokens with one text: llama.cpp ends the process.
TEST(FatalHandlerDeathTest, HearsLlamaCppsLastWords) {
    const TempFolder folder;
    const std::string length("\x01\0\0\0\0\0\0\0", 8);
    const auto path =
        folder.write("x.gguf", patched(length + "a" + length + "b", 0, length + "a" + length + "a"));
    const auto handler = [](const char* words) {
        std::fprintf(stderr, "last words: %s\n", words);
        std::_Exit(3);
    };
    const auto open = [&] {
        set_fatal_handler(handler);
        Model::open(path.string());
    };
    EXPECT_EXIT(open(), testing::ExitedWithCode(3), "last words: .*GGML_ASSERT");
}

// Quantizing
// ---------------------------------------------------------------------------------------------------------

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
    Engine engine(model, {.max_length = 40, .exact = true, .threads = 1});
    Engine of_quantized(quantized, {.max_length = 40, .exact = true, .threads = 1});
    const std::string text = "Call me Ishmael. Some years ago, never";
    const Sequence sequence{.tokens = model.tokenize(text)};
    const Matrix want = record(engine, std::span(&sequence, 1)).at("ln_final");
    const Matrix got = record(of_quantized, std::span(&sequence, 1)).at("ln_final");
    const double error = (got - want).norm() / want.norm();
    RecordProperty("error", std::to_string(error));
    EXPECT_LE(error, tolerances.at(GetParam()));
}

TEST(QuantizeFile, ToFloat32LeavesAFloat32ModelAsItWas) {
    const TempFolder folder;
    quantize(golden_model("llama"), folder / "out.gguf", "f32", 1);
    const Model model = Model::open(golden_model("llama")),
                copy = Model::open((folder / "out.gguf").string());
    Engine engine(model, {.max_length = 40, .exact = true, .threads = 1});
    Engine of_copy(copy, {.max_length = 40, .exact = true, .threads = 1});
    const Sequence sequence = random_sequence(40, 256, 1);
    EXPECT_EQ(
        worst_site(record(of_copy, std::span(&sequence, 1)), record(engine, std::span(&sequence, 1))).error,
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
