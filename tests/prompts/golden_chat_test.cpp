// Conversations as Jinja and Hugging Face tokenizers read them: tests/golden/chat.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/chat_template.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::vector<Json> golden_lines(const std::string& name) {
    std::ifstream in(fs::path(TOMOGRAPH_TEST_DATA) / "chat" / name);
    std::vector<Json> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line));
    return lines;
}

std::vector<ChatMessage> messages_of(const Json& json) {
    std::vector<ChatMessage> messages;
    for (const Json& message : json)
        messages.push_back({message.at("role").get<std::string>(), message.at("content").get<std::string>()});
    return messages;
}

/// A file of the folder in which scripts/setup keeps what it downloads.
fs::path cached(const std::string& name) {
    const auto variable = [](const char* its) { return std::getenv(its) != nullptr ? std::getenv(its) : ""; };
    if (const std::string cache = variable("TOMOGRAPH_CACHE"); !cache.empty()) return fs::path(cache) / name;
    const std::string home = variable("XDG_CACHE_HOME");
    return (home.empty() ? fs::path(variable("HOME")) / ".cache" : fs::path(home)) / "tomograph" / name;
}

TEST(GoldenChat, IsRenderedAsJinjaDoes) {
    const auto lines = golden_lines("templates.jsonl");
    ASSERT_EQ(lines.size(), 160u);
    for (const Json& line : lines) {
        const ChatTemplate chat(line.at("template").get<std::string>(), "<s>", "</s>");
        const auto messages = messages_of(line.at("messages"));
        std::string text;
        for (const ChatPiece& piece : chat.render(messages, messages.back().role != "assistant"))
            text += piece.text;
        EXPECT_EQ(text, line.at("text").get<std::string>()) << line.at("name");
    }
}

// Bytes are their own tokens there, so every token can be told from the text.
TEST(GoldenChat, IsReadByATinyModelAsItIsRendered) {
    const Model model = Model::open("bytes-llama");
    const TempFolder folder;
    for (const Json& line : golden_lines("templates.jsonl")) {
        const auto file = folder.write("a.jsonl", json_text({{"messages", line.at("messages")}}) + "\n");
        const PromptSet set =
            jsonl_prompts(model.vocabulary(), {.file = file,
                                               .length = 10'000,
                                               .start = Start::no,
                                               .chat_template = line.at("template").get<std::string>()});
        std::string read;
        for (const std::int32_t token : set.sequences.front().tokens) read += model.vocabulary().piece(token);
        EXPECT_EQ(read, set.texts.front().at("text").get<std::string>()) << line.at("name");
    }
}

TEST(GoldenChat, IsReadBySmolLm2AsHuggingFaceReadsIt) {
    const fs::path path = cached("smollm2-135m-q4_1.gguf");
    if (!fs::exists(path)) GTEST_SKIP() << path << " is not there: scripts/setup --demo puts it there";
    const Model model = Model::open(path.string());
    const TempFolder folder;
    const auto lines = golden_lines("smollm2.jsonl");
    ASSERT_EQ(lines.size(), 40u);
    for (const Json& line : lines) {
        const auto file = folder.write("a.jsonl", json_text({{"messages", line.at("messages")}}) + "\n");
        const PromptSet set = jsonl_prompts(model.vocabulary(), {.file = file, .length = 4096});
        EXPECT_EQ(set.texts.front().at("text"), line.at("text"));
        EXPECT_EQ(set.sequences.front().tokens, line.at("ids").get<std::vector<std::int32_t>>())
            << line.at("text");
    }
}

}  // namespace
}  // namespace tomograph
