// Segments are read as the whole text is, whatever the vocabulary does at a text's front: SentencePiece puts
// a space there, WordPiece drops spaces and lowers letters, BPE does neither.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/edited_gguf.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/reading.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;
using Tokens = std::vector<std::int32_t>;

const std::string kText =
    "Once upon a time, there was a little girl named Lily. She said: \"Hel lo!\"  Two  spaces,\nand a "
    "caf\u00e9.";

/// Cut where chance will, in the middle of words too, but of no character: a segment is a text.
std::vector<Segment> cut(const std::string& text, std::mt19937& random) {
    std::vector<Segment> segments;
    for (std::size_t begin = 0; begin < text.size();) {
        std::size_t size = std::uniform_int_distribution<std::size_t>(1, 30)(random);
        while (begin + size < text.size() && (static_cast<unsigned char>(text[begin + size]) & 0xC0) == 0x80)
            ++size;
        segments.push_back({text.substr(begin, size)});
        begin += size;
    }
    return segments;
}

void expect_as_the_whole(const Vocabulary& vocabulary) {
    const Tokens whole = vocabulary.tokenize(kText);
    std::mt19937 random(1);
    for (int i = 0; i < 50; ++i) {
        const auto segments = cut(kText, random);
        const Reading reading = read_segments(vocabulary, segments);
        ASSERT_EQ(reading.tokens, whole) << "cut " << i;
        ASSERT_EQ(reading.segment.size(), whole.size());
        EXPECT_TRUE(std::ranges::is_sorted(reading.segment));
        EXPECT_EQ(reading.segment.front(), 0);
        EXPECT_LT(reading.segment.back(), std::ssize(segments));
    }
}

/// The number of the segment that each word of "the", " whale" and so on gets.
std::vector<std::int32_t> segments_of(const Vocabulary& vocabulary, const std::vector<Segment>& segments) {
    return read_segments(vocabulary, segments).segment;
}

// A real model of 512 tokens, where it is beside the checkout.
class SentencePiece : public testing::Test {
  protected:
    void SetUp() override {
        for (fs::path at = fs::absolute(TOMOGRAPH_TEST_DATA); at != at.root_path(); at = at.parent_path()) {
            const fs::path file = at / "shared/data/stories260K.gguf";
            if (!fs::exists(file)) continue;
            model_ = std::make_unique<Model>(Model::open(file.string()));
            return;
        }
        GTEST_SKIP() << "no ../shared/data/stories260K.gguf beside the checkout";
    }
    const Vocabulary& vocabulary() const { return model_->vocabulary(); }
    std::unique_ptr<Model> model_;
};

TEST_F(SentencePiece, ReadsSegmentsAsTheWhole) {
    expect_as_the_whole(vocabulary());
}

TEST_F(SentencePiece, PutsASpaceOnlyBeforeTheWholeText) {
    const std::vector<Segment> segments{{"Hel"}, {"lo"}};
    std::string text;
    for (const std::int32_t token : read_segments(vocabulary(), segments).tokens)
        text += vocabulary().piece(token);
    EXPECT_EQ(text, " Hello");
}

TEST_F(SentencePiece, LabelsATokenByItsFirstByte) {
    // " Once" is one token, whose first letter stands in the first segment.
    ASSERT_EQ(vocabulary().tokenize("Once").size(), 1u);
    EXPECT_EQ(segments_of(vocabulary(), {{"O"}, {"nce"}}), (Tokens{0}));
}

/// Golden llama with a vocabulary of WordPiece: letters at a word's front and within one, some words.
fs::path word_piece(const TempFolder& folder) {
    return edited_gguf(golden_model("llama"), folder / "wordpiece.gguf", [](gguf_context* gguf) {
        std::vector<std::string> tokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
        for (const std::string word : {"the", "whale", "girl", "said", "was", "time"})
            tokens.push_back("\u2581" + word);
        for (const std::string part : {"le", "ly", "ce", "med"}) tokens.push_back(part);
        for (char letter = 'a'; letter <= 'z'; ++letter) {
            tokens.push_back(std::string("\u2581") + letter);
            tokens.push_back(std::string(1, letter));
        }
        for (const char mark : std::string(".,:!\"")) tokens.push_back(std::string("\u2581") + mark);
        const std::size_t count = gguf_get_arr_n(gguf, gguf_find_key(gguf, "tokenizer.ggml.tokens"));
        while (tokens.size() < count) tokens.push_back("[unused" + std::to_string(tokens.size()) + "]");
        std::vector<const char*> raw;
        for (const std::string& token : tokens) raw.push_back(token.c_str());
        gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", raw.data(), raw.size());
        std::vector<std::int32_t> types(count, 1);
        for (std::size_t i = 0; i < 5; ++i) types[i] = 3;
        gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
        gguf_set_val_str(gguf, "tokenizer.ggml.model", "bert");
        const std::vector<std::pair<const char*, std::uint32_t>> special{
            {"padding", 0}, {"unknown", 1}, {"bos", 2}, {"eos", 3}, {"seperator", 3}, {"mask", 4}};
        for (const auto& [name, id] : special)
            gguf_set_val_u32(gguf, ("tokenizer.ggml." + std::string(name) + "_token_id").c_str(), id);
        gguf_set_val_bool(gguf, "tokenizer.ggml.add_bos_token", false);
    });
}

TEST(WordPiece, ReadsSegmentsAsTheWhole) {
    const TempFolder folder;
    expect_as_the_whole(Model::open(word_piece(folder).string()).vocabulary());
}

TEST(WordPiece, CutsWordsAsItsVocabularySays) {
    const TempFolder folder;
    const Model model = Model::open(word_piece(folder).string());
    std::string pieces;
    for (const std::int32_t token : model.vocabulary().tokenize("The whale sly."))
        pieces += model.vocabulary().piece(token) + "|";
    EXPECT_EQ(pieces, " the| whale| s|ly| .|");
}

TEST(WordPiece, LabelsATokenByItsFirstByte) {
    const TempFolder folder;
    const Model model = Model::open(word_piece(folder).string());
    // "whale" begins in the first segment; "sly" is two tokens of the second.
    EXPECT_EQ(segments_of(model.vocabulary(), {{"The wha"}, {"le sly"}}), (Tokens{0, 0, 1, 1}));
}

TEST(BytePairs, ReadSegmentsAsTheWhole) {
    expect_as_the_whole(Model::open("bytes-gpt2").vocabulary());
}

}  // namespace
}  // namespace tomograph
