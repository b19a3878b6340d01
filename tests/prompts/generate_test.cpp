// What a model says, against llama.cpp's own loop.
#include "tomograph/prompts/generate.h"

#include <gtest/gtest.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/direct_llama.h"
#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/columns.h"

namespace tomograph {
namespace {

using namespace test;

/// Greedy decoding with nothing of tomograph in it.
std::vector<std::int32_t> plain_greedy(const std::string& path, std::vector<llama_token> tokens, int most) {
    DirectLlama plain(path, 128);
    const llama_vocab* vocab = llama_model_get_vocab(plain.model());
    std::vector<std::int32_t> answer;
    while (static_cast<int>(answer.size()) < most) {
        if (llama_decode(plain.context(),
                         llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size()))) != 0)
            break;
        const float* logits = llama_get_logits_ith(plain.context(), -1);
        const auto best = std::max_element(logits, logits + llama_vocab_n_tokens(vocab)) - logits;
        answer.push_back(static_cast<std::int32_t>(best));
        if (llama_vocab_is_eog(vocab, answer.back())) break;
        tokens = {answer.back()};
    }
    return answer;
}

class Generate : public testing::Test {
  protected:
    PromptSet prompts(const std::vector<std::string>& texts) const {
        return given_prompts(model_.vocabulary(), {.prompts = texts});
    }
    static std::vector<std::int32_t> entries(const PromptSet& set, std::size_t sequence, const char* name) {
        for (std::size_t c = 0; c < set.columns.size(); ++c) {
            if (set.columns[c].name == name) return set.sequences[sequence].columns[c];
        }
        return {};
    }
    // Trained on bytes, so that what it says is not the same token for ever.
    Model model_ = Model::open("bytes-llama");
    TempFolder folder_;
};

// A decoder beside an encoder goes on from its target.
TEST(GenerateTarget, EqualsAPlainLoopBesideItsSource) {
    const Model model = Model::open(golden_model("t5"), HeldWeights::as_stored, 1, Side::target);
    const TempFolder folder;
    PromptSet set =
        jsonl_prompts(model.vocabulary(),
                      {.file = folder.write("pairs.jsonl", R"({"source": "A whale swam by.", "target": "Un"}
{"source": "Nobody saw it.", "target": "Un"}
)"),
                       .length = 48});
    ASSERT_EQ(set.sequences.size(), 2U);
    const std::vector<Sequence> before = set.sequences;
    Progress progress;
    add_answers(set, model, {.most = 6, .exact = true, .threads = 1}, progress);
    std::vector<std::vector<std::int32_t>> answers;
    for (std::size_t s = 0; s < 2; ++s) {
        std::vector<llama_token> source(before[s].source.begin(), before[s].source.end());
        std::vector<llama_token> tokens(before[s].tokens.begin(), before[s].tokens.end());
        DirectLlama plain(golden_model("t5"), 128);
        ASSERT_EQ(llama_encode(plain.context(),
                               llama_batch_get_one(source.data(), static_cast<int>(source.size()))),
                  0);
        const std::vector<std::int32_t>& read = set.sequences[s].tokens;
        answers.emplace_back(read.begin() + std::ssize(tokens), read.end());
        ASSERT_FALSE(answers[s].empty());
        for (const std::int32_t said : answers[s]) {
            ASSERT_EQ(llama_decode(plain.context(),
                                   llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size()))),
                      0);
            const float* logits = llama_get_logits_ith(plain.context(), -1);
            EXPECT_EQ(said, std::max_element(logits, logits + 256) - logits) << s;
            tokens = {said};
        }
    }
}

TEST(GenerateGreedy, EqualsAPlainLoop) {
    for (const std::string name : {"llama", "qwen3", "gpt2", "gemma3"}) {
        const Model model = Model::open(golden_model(name));
        PromptSet set =
            given_prompts(model.vocabulary(), {.prompts = {"Call me Ishmael."}, .start = Start::no});
        const std::vector<std::int32_t> prompt = set.sequences[0].tokens;
        add_answers(set, model, {.most = 20, .threads = 1});
        std::vector<std::int32_t> all = prompt;
        const auto answer = plain_greedy(golden_model(name), prompt, 20);
        all.insert(all.end(), answer.begin(), answer.end());
        EXPECT_EQ(set.sequences[0].tokens, all) << name;
        EXPECT_GT(all.size(), prompt.size());
    }
}

TEST_F(Generate, TellsPromptAndAnswerApart) {
    PromptSet set = prompts({"The whale", "It was"});
    add_answers(set, model_, {.most = 5, .threads = 1});
    for (std::size_t s = 0; s < 2; ++s) {
        const auto part = entries(set, s, "part");
        const std::size_t n = part.size();
        ASSERT_EQ(n, set.sequences[s].tokens.size());
        EXPECT_EQ(part[n - 6], 1);  // the prompt's last token
        EXPECT_TRUE(std::all_of(part.end() - 5, part.end(), [](std::int32_t p) { return p == 2; }));
        EXPECT_EQ(set.labels, (std::vector<std::string>{"prompt", "answer"}));
        EXPECT_EQ(set.sequences[s].labels.front(), 0);
        EXPECT_EQ(set.sequences[s].labels.back(), 1);
        EXPECT_EQ(set.texts[s].at("answer").get<std::string>().size(), 5u);
    }
    EXPECT_EQ(set.description.at("generated").at("tokens"), 10);
    EXPECT_EQ(set.description.at("length"), set.sequences[0].length());
}

TEST_F(Generate, ForgetsTheEarlierPrompts) {
    PromptSet both = prompts({"Moby Dick", "The sea"}), alone = prompts({"The sea"});
    add_answers(both, model_, {.most = 8, .threads = 1});
    add_answers(alone, model_, {.most = 8, .threads = 1});
    EXPECT_EQ(both.sequences[1].tokens, alone.sequences[0].tokens);
}

TEST_F(Generate, DrawsTheSameTokensForTheSameSeed) {
    const auto draw = [&](std::uint64_t seed) {
        PromptSet set = prompts({"The whale"});
        add_answers(set, model_, {.most = 30, .temperature = 1, .seed = seed, .threads = 1});
        return set.sequences[0].tokens;
    };
    EXPECT_EQ(draw(1), draw(1));
    EXPECT_NE(draw(1), draw(2));
}

TEST_F(Generate, EndsAtAStop) {
    PromptSet set = prompts({"The whale"});
    add_answers(set, model_, {.most = 30, .threads = 1});
    const std::string all = set.texts[0].at("answer").get<std::string>();
    const std::string stop = all.substr(3, 2);
    PromptSet stopped = prompts({"The whale"});
    add_answers(stopped, model_, {.most = 30, .stops = {stop}, .threads = 1});
    EXPECT_EQ(stopped.texts[0].at("answer").get<std::string>(), all.substr(0, all.find(stop) + 2));
}

TEST_F(Generate, EndsWithTheContext) {
    const auto context = static_cast<std::size_t>(model_.info().context_length);
    PromptSet set = prompts({std::string(context - 3, 'a')});
    ASSERT_EQ(set.sequences[0].tokens.size(), context - 3);
    add_answers(set, model_, {.most = 30, .threads = 1});
    EXPECT_EQ(set.sequences[0].tokens.size(), context);
    EXPECT_NE(set.notes.back().find("1 of 1 answers had less room than 30 tokens"), std::string::npos);
}

TEST_F(Generate, IsTheAssistantsTurnInAConversation) {
    const auto file = folder_.write("a.jsonl", R"({"messages": [{"role": "user", "content": "ab"}]})"
                                               "\n"
                                               R"({"text": "cd"})"
                                               "\n");
    PromptSet set = jsonl_prompts(
        model_.vocabulary(),
        {.file = file,
         .length = 50,
         .chat_template = "[{{ messages[0]['content'] }}]{% if add_generation_prompt %}>{% endif %}"});
    add_answers(set, model_, {.most = 3, .threads = 1});
    EXPECT_EQ(entries(set, 0, "turn"), (std::vector<std::int32_t>{0, 0, 0, 0, -1, 1, 1, 1}));
    EXPECT_EQ(entries(set, 0, "role").back(), 1);
    EXPECT_EQ(set.columns[0].words, (std::vector<std::string>{"user", "assistant"}));
    EXPECT_TRUE(entries(set, 1, "turn").empty());  // no conversation
    EXPECT_EQ(entries(set, 1, "part"), (std::vector<std::int32_t>{0, 1, 2, 2, 2}));
}

TEST_F(Generate, RefusesWhatHasNoMeaning) {
    PromptSet set = prompts({"a"});
    EXPECT_NE(error_of([&] { add_answers(set, model_, {.most = 0}); }), "");
    EXPECT_NE(error_of([&] { add_answers(set, model_, {.most = 1, .temperature = -1}); }), "");
    set.sequences[0].tokens.clear();
    EXPECT_NE(error_of([&] { add_answers(set, model_, {.most = 1}); }), "");
}

TEST(ChooseToken, TakesTheFirstOfTheLargest) {
    const std::vector<float> logits{1, 3, 3, 2};
    EXPECT_EQ(choose_token(logits, 0, 0.9), 1);
}

TEST(ChooseToken, DrawsByProbability) {
    const std::vector<float> logits{std::log(1.0f), std::log(2.0f), std::log(5.0f)};
    EXPECT_EQ(choose_token(logits, 1, 0.1), 0);
    EXPECT_EQ(choose_token(logits, 1, 0.2), 1);
    EXPECT_EQ(choose_token(logits, 1, 0.5), 2);
    EXPECT_EQ(choose_token(logits, 0.01, 0.1), 2);  // cold
}

TEST(ChooseToken, RefusesNaN) {
    const std::vector<float> logits{1, std::numeric_limits<float>::quiet_NaN()};
    EXPECT_NE(error_of([&] { choose_token(logits, 0, 0); }), "");
}

}  // namespace
}  // namespace tomograph
