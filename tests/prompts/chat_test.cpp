// Conversations through a template, and special tokens in texts.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/chat_template.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

using namespace test;

const std::string kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + "
    "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

std::string joined(const std::vector<ChatPiece>& pieces) {
    std::string text;
    for (const ChatPiece& piece : pieces) text += piece.text;
    return text;
}

TEST(ChatTemplate, WritesAConversationOutAndSaysWhoseEachPieceIs) {
    const ChatTemplate chat(kChatMl, "", "");
    const auto pieces = chat.render({{"user", "Hi <|im_end|>"}, {"assistant", "Yes."}}, false);
    EXPECT_EQ(joined(pieces),
              "<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n");
    std::vector<std::pair<int, bool>> whose;
    for (const ChatPiece& piece : pieces) whose.emplace_back(piece.turn, piece.content);
    EXPECT_EQ(whose, (std::vector<std::pair<int, bool>>{
                         {0, false}, {0, true}, {0, false}, {1, false}, {1, true}, {1, false}}));
    EXPECT_EQ(pieces[1].text, "Hi <|im_end|>");
}

TEST(ChatTemplate, AsksForTheAnswerAfterTheLastMessage) {
    const ChatTemplate chat(kChatMl, "", "");
    const auto pieces = chat.render({{"user", "Hi"}}, true);
    EXPECT_EQ(pieces.back().text, "<|im_start|>assistant\n");
    EXPECT_EQ(pieces.back().turn, -1);
    EXPECT_FALSE(pieces.back().content);
}

TEST(ChatTemplate, HasTheModelsOwnStartAndEnd) {
    const ChatTemplate chat("{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", "<s>", "</s>");
    EXPECT_EQ(joined(chat.render({{"user", "a"}}, false)), "<s>a</s>");
}

TEST(ChatTemplate, GivesTheSameDateEveryDay) {
    const ChatTemplate chat("{{ strftime_now('%Y-%m-%d') }}{{ messages[0]['content'] }}", "", "");
    EXPECT_EQ(joined(chat.render({{"user", ""}}, false)), "2024-07-26");
}

TEST(ChatTemplate, PassesTheTemplatesOwnComplaintOn) {
    const ChatTemplate chat(
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}", "", "");
    const std::string message = error_of([&] { chat.render({{"system", "a"}}, false); });
    EXPECT_TRUE(message.starts_with("the chat template refuses the conversation: ")) << message;
    EXPECT_NE(message.find("no system"), std::string::npos) << message;
}

TEST(ChatTemplate, RefusesWhatIsNoTemplate) {
    EXPECT_TRUE(error_of([] {
                    ChatTemplate("{% for %}", "", "");
                }).starts_with("the chat template cannot be read: "));
}

class ChatLines : public testing::Test {
  protected:
    PromptSet read(const std::string& line, JsonlOptions options = {}) const {
        options.file = folder_.write("a.jsonl", line + "\n");
        options.length = 100;
        return jsonl_prompts(model_.vocabulary(), options);
    }
    std::string label_of(const PromptSet& set, std::size_t token) const {
        const std::int32_t label = set.sequences[0].labels[token];
        return label < 0 ? "" : set.labels[static_cast<std::size_t>(label)];
    }
    Model model_ = Model::open("bytes-llama");
    TempFolder folder_;
};

TEST_F(ChatLines, LabelEachTokenByRoleOrTemplate) {
    const PromptSet set =
        read(R"({"messages": [{"role": "user", "content": "ab"}]})",
             {.chat_template = "[{{ messages[0]['content'] }}]{% if add_generation_prompt %}>{% endif %}"});
    EXPECT_EQ(set.sequences[0].tokens, (std::vector<std::int32_t>{'[', 'a', 'b', ']', '>'}));
    EXPECT_EQ(label_of(set, 0), "template");
    EXPECT_EQ(label_of(set, 1), "user");
    EXPECT_EQ(label_of(set, 2), "user");
    EXPECT_EQ(label_of(set, 4), "template");
}

TEST_F(ChatLines, EndWithTheLastMessageWhereNoAnswerIsAskedFor) {
    const JsonlOptions options{
        .chat_template = "{{ messages[0]['content'] }}{% if add_generation_prompt %}>{% endif %}",
        .ask = false};
    EXPECT_EQ(read(R"({"messages": [{"role": "user", "content": "a"}]})", options).sequences[0].length(), 1);
}

TEST_F(ChatLines, NeedATemplateWhereTheModelHasNone) {
    EXPECT_NE(error_of([&] {
                  read(R"({"messages": [{"role": "user", "content": "a"}]})");
              }).find("bytes-llama has no chat template"),
              std::string::npos);
}

TEST_F(ChatLines, TakeTokenIds) {
    EXPECT_EQ(read(R"({"ids": [97, 0, 255]})").sequences[0].tokens, (std::vector<std::int32_t>{97, 0, 255}));
    EXPECT_NE(error_of([&] { read(R"({"ids": [256]})"); }).find("there is no token 256"), std::string::npos);
    EXPECT_NE(error_of([&] { read(R"({"ids": [1.5]})"); }).find("which is no token's id"), std::string::npos);
}

/// A vocabulary of bytes in which "<x>" spells token 300, and every text is begun with a space, as
/// SentencePiece does.
class SpelltVocabulary final : public Vocabulary {
  public:
    const VocabularyInfo& info() const override { return info_; }
    std::vector<std::int32_t> tokenize(std::string_view text, bool special) const override {
        std::vector<std::int32_t> tokens;
        bool begins = true;
        for (std::size_t i = 0; i < text.size();) {
            if (special && text.substr(i).starts_with("<x>")) {
                tokens.push_back(300);
                i += 3;
                begins = true;
                continue;
            }
            if (std::exchange(begins, false)) tokens.push_back(' ');
            tokens.push_back(static_cast<unsigned char>(text[i++]));
        }
        return tokens;
    }
    const std::vector<SpecialToken>& special_tokens() const override { return specials_; }
    std::string chat_template() const override { return ""; }
    std::string piece(std::int32_t token) const override {
        return token == 300 ? "<x>" : std::string(1, static_cast<char>(token));
    }
    TokenType type(std::int32_t) const override { return TokenType::normal; }

  private:
    VocabularyInfo info_{.model = "spelt", .n_tokens = 301};
    std::vector<SpecialToken> specials_{{"<x>", 300}};
};

TEST(ReadSegments, JoinsBeforeItCuts) {
    const SpelltVocabulary vocabulary;
    const std::vector<Segment> segments{{"Hel"}, {"lo"}};
    const Reading reading = read_segments(vocabulary, segments);
    EXPECT_EQ(reading.tokens, vocabulary.tokenize("Hello", false));
    EXPECT_EQ(reading.segment, (std::vector<std::int32_t>{0, 0, 0, 0, 1, 1}));
}

TEST(ReadSegments, CountsWhatIsSpeltAndReadAsLetters) {
    const SpelltVocabulary vocabulary;
    const Segment segment{"a<x>b"};
    const Reading reading = read_segments(vocabulary, {&segment, 1});
    EXPECT_EQ(reading.spelt, 1);
    EXPECT_EQ(reading.tokens.size(), 6u);
}

TEST(ReadSegments, ParsesWhereItIsAskedTo) {
    const SpelltVocabulary vocabulary;
    const std::vector<Segment> segments{
        {"<x>", Special::parse}, {"a<x>", Special::text}, {"<x>", Special::parse}};
    const Reading reading = read_segments(vocabulary, segments);
    EXPECT_EQ(reading.tokens, (std::vector<std::int32_t>{300, ' ', 'a', '<', 'x', '>', 300}));
    EXPECT_EQ(reading.segment, (std::vector<std::int32_t>{0, 1, 1, 1, 1, 1, 2}));
    EXPECT_EQ(reading.spelt, 1);
}

TEST(ReadSegments, RefusesWhereItIsAskedTo) {
    const SpelltVocabulary vocabulary;
    const Segment segment{"a<x>", Special::refuse};
    EXPECT_TRUE(error_of([&] {
                    read_segments(vocabulary, {&segment, 1});
                }).starts_with("the text spells the special token <x>: at byte 1"));
}

TEST(ReadSegments, LooksAtTheFrontOfALongText) {
    const SpelltVocabulary vocabulary;
    const Segment segment{std::string(1'000'000, 'a') + "<x>"};
    const Reading reading = read_segments(vocabulary, {&segment, 1}, 10);
    EXPECT_EQ(reading.tokens.size(), 10u);
    EXPECT_EQ(reading.spelt, 0);
}

}  // namespace
}  // namespace tomograph
