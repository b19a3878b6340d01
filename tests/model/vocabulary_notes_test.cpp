#include "tomograph/model/vocabulary_notes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/edited_gguf.h"
#include "support/errors.h"
#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;
using Lines = std::vector<std::string>;

/// The notes of golden llama, a vocabulary of bytes, with another header.
Lines notes_of(const std::function<void(gguf_context*)>& edit) {
    const TempFolder folder;
    const auto path = edited_gguf(golden_model("llama"), folder / "m.gguf", edit);
    return Model::open(path.string()).vocabulary().info().notes;
}

/// Golden llama's vocabulary with other spellings at its end.
void respell(gguf_context* gguf, const Lines& spellings) {
    const std::int64_t id = gguf_find_key(gguf, "tokenizer.ggml.tokens");
    const std::size_t count = gguf_get_arr_n(gguf, id);
    Lines tokens;
    for (std::size_t i = 0; i < count; ++i) tokens.emplace_back(gguf_get_arr_str(gguf, id, i));
    for (std::size_t i = 0; i < spellings.size(); ++i) tokens[count - spellings.size() + i] = spellings[i];
    std::vector<const char*> raw;
    for (const std::string& token : tokens) raw.push_back(token.c_str());
    gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", raw.data(), raw.size());
}

TEST(VocabularyNotes, AreNoneOfAWholeModel) {
    EXPECT_EQ(notes_of([](gguf_context*) {}), Lines{});
}

TEST(VocabularyNotes, SayThatThePreTokenizerIsMissing) {
    EXPECT_EQ(notes_of([](gguf_context* gguf) { gguf_remove_key(gguf, "tokenizer.ggml.pre"); }),
              Lines{"the model's file does not say how text is split before it is cut into tokens "
                    "(tokenizer.ggml.pre): llama.cpp's default rule is used, and tokens may differ from the "
                    "model's own; convert the model again"});
}

TEST(VocabularyNotes, SayWhatBecameAControlToken) {
    EXPECT_EQ(notes_of([](gguf_context* gguf) { respell(gguf, {"<|im_end|>"}); }),
              Lines{"llama.cpp takes '<|im_end|>' for a control token by its spelling; the model's file does "
                    "not"});
}

TEST(VocabularyNotes, SayWhatBecameControlTokensInOneSentence) {
    EXPECT_EQ(
        notes_of([](gguf_context* gguf) { respell(gguf, {"<|im_end|>", "<|fim_prefix|>"}); }),
        Lines{"llama.cpp takes '<|fim_prefix|>', '<|im_end|>' for control tokens by their spelling; the "
              "model's file does not"});
}

TEST(VocabularyNotes, SayWhatIsAlwaysReadAsAToken) {
    EXPECT_EQ(
        notes_of([](gguf_context* gguf) { respell(gguf, {"<|channel|>"}); }),
        Lines{"llama.cpp reads '<|channel|>' as a token wherever it is spelt, whatever the model's file "
              "says of it"});
}

TEST(VocabularyNotes, SayThatASpecialTokenIsOutOfRange) {
    EXPECT_EQ(
        notes_of([](gguf_context* gguf) { gguf_set_val_u32(gguf, "tokenizer.ggml.bos_token_id", 9999); }),
        Lines{"the model's file names a special token outside its vocabulary: "
              "'tokenizer.ggml.bos_token_id' = 9999, using default id 11"});
}

TEST(VocabularyNotes, SayThatATokenHasNoSpelling) {
    EXPECT_EQ(notes_of([](gguf_context* gguf) { respell(gguf, {""}); }),
              Lines{"token 255 has no spelling in the model's file"});
}

TEST(VocabularyNotes, BelongToOneModelAndNotToTheNext) {
    notes_of([](gguf_context* gguf) { gguf_remove_key(gguf, "tokenizer.ggml.pre"); });
    EXPECT_EQ(Model::open("bytes-llama").vocabulary().info().notes, Lines{});
}

TEST(VocabularyNotes, PassOnWhatIsNotKnown) {
    EXPECT_EQ(vocabulary_notes(Lines{"load: the moon is full"}),
              Lines{"llama.cpp says of the model's file: load: the moon is full"});
}

TEST(VocabularyNotes, NameTheFirstFiveAndCountTheRest) {
    Lines lines;
    for (int i = 1; i < 8; ++i) lines.push_back("load: empty token at index " + std::to_string(i));
    EXPECT_EQ(vocabulary_notes(lines),
              Lines{"tokens 1, 2, 3, 4, 5 and 2 more have no spelling in the model's file"});
}

TEST(VocabularyNotes, LeaveOutWhatChangesNothing) {
    EXPECT_EQ(vocabulary_notes(Lines{"load: special_eos_id is not in special_eog_ids - the tokenizer config "
                                     "may be incorrect",
                                     "load: ************************************",
                                     "load: GENERATION QUALITY WILL BE DEGRADED!", "load:"}),
              Lines{});
}

TEST(ModelRefuses, APreTokenizerThatLlamaCppDoesNotKnow) {
    const TempFolder folder;
    const auto path = edited_gguf(golden_model("llama"), folder / "m.gguf", [](gguf_context* gguf) {
        gguf_set_val_str(gguf, "tokenizer.ggml.pre", "of-tomorrow");
    });
    EXPECT_EQ(error_of([&] { Model::open(path.string()); }),
              "llama.cpp cannot load " + path.string() +
                  ": unknown pre-tokenizer type: 'of-tomorrow'; it cannot "
                  "split text as this model wants it: convert the model again, or use a newer llama.cpp");
}

}  // namespace
}  // namespace tomograph
