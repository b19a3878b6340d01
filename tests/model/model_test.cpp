#include "tomograph/model/model.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

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
    EXPECT_FALSE(model_.vocabulary().info().adds_start_token);
}

// llama.cpp would name token 11, GPT-2's comma, which is a tabulator here.
TEST_P(EmbeddedModel, HasNoStartToken) {
    EXPECT_EQ(model_.vocabulary().info().start_token, std::nullopt);
}

TEST_P(EmbeddedModel, HasTokensOfTextOnly) {
    for (std::int32_t token = 0; token < 256; ++token)
        ASSERT_EQ(model_.vocabulary().type(token), TokenType::normal) << token;
}

TEST_P(EmbeddedModel, RefusesTheTypeOfATokenOutOfRange) {
    EXPECT_EQ(error_of([&] { model_.vocabulary().type(256); }),
              "no token 256: " + GetParam() + " has tokens 0 to 255");
}

TEST_P(EmbeddedModel, CutsTextIntoItsBytes) {
    const std::string text("All\t\r\n of\0 it: caf\u00e9, \u20ac, \U0001f40b", 31);
    std::vector<std::int32_t> bytes;
    for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
    EXPECT_EQ(model_.vocabulary().tokenize(text), bytes);
}

class NotUtf8 : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tokenize, NotUtf8, testing::Values("a\x80", "a\xff", "a\xc3", "a\xc0"));

TEST_P(NotUtf8, IsReadAsTheReplacementCharacter) {
    EXPECT_EQ(Model::open("bytes-gpt2").vocabulary().tokenize(GetParam()),
              (std::vector<std::int32_t>{'a', 0xef, 0xbf, 0xbd}));
}

// llama.cpp itself throws at these, past its own interface.
TEST(Tokenize, SurvivesACharacterPastUnicode) {
    EXPECT_EQ(Model::open("bytes-gpt2").vocabulary().tokenize("\xf4\x90\x80\x80").size(), 4u * 3u);
}

TEST_P(EmbeddedModel, GivesEveryByteBack) {
    std::string bytes;
    for (std::int32_t token = 0; token < 256; ++token) bytes += model_.vocabulary().piece(token);
    EXPECT_EQ(bytes, all_bytes());
}

TEST_P(EmbeddedModel, CutsNothingIntoNoTokens) {
    EXPECT_TRUE(model_.vocabulary().tokenize("").empty());
}

TEST_P(EmbeddedModel, CutsALongText) {
    EXPECT_EQ(model_.vocabulary().tokenize(std::string(100'000, 'a')),
              std::vector<std::int32_t>(100'000, 'a'));
}

TEST_P(EmbeddedModel, RefusesThePieceOfATokenOutOfRange) {
    EXPECT_EQ(error_of([&] { model_.vocabulary().piece(256); }),
              "no token 256: " + GetParam() + " has tokens 0 to 255");
    EXPECT_EQ(error_of([&] { model_.vocabulary().piece(-1); }),
              "no token -1: " + GetParam() + " has tokens 0 to 255");
}

TEST_P(EmbeddedModel, RefusesTheEmbeddingOfATokenOutOfRange) {
    EXPECT_EQ(error_of([&] { model_.token_embeddings({3, 256}); }),
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

TEST(ModelRefuses, WhatIsNoFile) {
    const TempFolder folder;
    const fs::path path = folder / "pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(opening_error(path),
              path.string() + " is not a model: it is no regular file; give a .gguf file");
}

TEST(ModelRefuses, Noise) {
    EXPECT_EQ(opening_error(bad("garbage.gguf")),
              bad("garbage.gguf") +
                  " is not a GGUF file: it does not begin with the letters GGUF; convert the model's "
                  "folder: tomograph convert FOLDER --out FILE.gguf");
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
    EXPECT_EQ(opening_error(bad("clip.gguf")),
              bad("clip.gguf") +
                  " is not a language model: it is the part of a model that sees images; give "
                  "the part that reads text");
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

}  // namespace
}  // namespace tomograph
