#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/engine/sequence.h"
#include "tomograph/prompts/chat_template.h"
#include "tomograph/prompts/reading.h"
#include "tomograph/words/label_column.h"

namespace tomograph {

/// What a model is to read, and how that is described in run.json.
struct PromptSet {
    /// Token ids take a few bytes each, so the sequences are all here; what grows with the model never is.
    std::vector<Sequence> sequences;
    /// Names that Sequence::labels index.
    std::vector<std::string> labels;
    /// What Sequence::columns hold (columns.h).
    std::vector<LabelColumn> columns = {};
    /// What was read, an object a sequence: "text", written out whole, even where the sequence was cut;
    /// "answer". Empty: the tokens say it all.
    std::vector<Json> texts = {};
    /// kind, sources, sequences, asked, length, start_token and what else the kind has.
    Json description;
    /// What the user should know, a sentence each ("9 sequences of 512 tokens: the text has no more").
    std::vector<std::string> notes;
    /// Sequences whose label is this one stay out of the means over sequences; -1: none.
    std::int32_t label_outside_means = -1;
};

/// Does a sequence begin with the model's start token? It decides what "the first token" is.
enum class Start {
    model,  ///< as the GGUF says
    yes,    ///< always. Errors: Error when the vocabulary has none
    no,
};

struct TextOptions {
    /// "-" is standard input; empty: the chapter of Moby-Dick inside the program.
    std::vector<std::filesystem::path> files;
    std::int64_t sequences = 32;  ///< at most
    std::int64_t length = 512;    ///< tokens a sequence, start token included
    /// Tokens of text from where one sequence begins to where the next one does; 0: none is read twice and
    /// none left out. Less than a sequence holds: they overlap, and column "overlap" says which tokens are
    /// new.
    std::int64_t stride = 0;
    Start start = Start::model;
    Special special = Special::text;
};
/// Each file is cut into sequences of `length` tokens; what is left at its end is not used, except where no
/// file fills a single sequence. With several files each is a label. Errors: Error when a file is missing,
/// empty or binary.
PromptSet text_prompts(const Vocabulary& vocabulary, const TextOptions& options);

struct DocumentOptions {
    std::vector<std::filesystem::path> files;  ///< as in TextOptions
    bool lines = false;                        ///< each line that is not empty is a document, else each file
    std::int64_t sequences = 0;                ///< at most; 0: all
    std::int64_t length = 512;                 ///< a longer document is cut, and that is noted
    Start start = Start::model;
    Special special = Special::text;
};
/// Each document is a sequence. With several files each is a label. Errors: as text_prompts.
PromptSet document_prompts(const Vocabulary& vocabulary, const DocumentOptions& options);

struct GivenOptions {
    std::vector<std::string> prompts;
    std::vector<std::string> labels = {};  ///< one a prompt, or none
    std::string kind = "prompt";           ///< of what was read, for the description
    Json source = {};                      ///< where they are from; null: the description holds the prompts
    std::int64_t length = 512;             ///< a longer prompt is cut, and that is noted
    Start start = Start::model;
    Special special = Special::text;
};
/// Each prompt is a sequence. Errors: Error for an empty one.
PromptSet given_prompts(const Vocabulary& vocabulary, const GivenOptions& options);

struct RepeatOptions {
    std::optional<std::int32_t> token;                                       ///< the token's id, or
    std::string word;                                                        ///< a text that is one token
    std::int64_t length = 512;                                               ///< tokens, prefix included
    enum class Prefix { model, start, none, token } prefix = Prefix::model;  ///< what stands before it
    std::int32_t prefix_token = -1;                                          ///< with Prefix::token
};
/// One sequence of one repeated token.
/// Errors: Error when the word is several tokens (it says which), or an id is out of range.
PromptSet repeat_prompts(const Vocabulary& vocabulary, const RepeatOptions& options);

struct VocabularyOptions {
    std::int64_t rows = 0;  ///< tokens chosen by seed; 0: all
    std::uint64_t seed = 42;
    Start start = Start::model;
};
/// Every token alone (after the start token where there is one), a sequence each.
PromptSet vocabulary_prompts(const Vocabulary& vocabulary, const VocabularyOptions& options);

struct PositionsOptions {
    std::int64_t length = 512;
    std::int64_t sequences = 32;  ///< of random tokens, for rotary models
    std::uint64_t seed = 42;
};
/// Only position speaks. Learned positions: one sequence of zero vectors. Rotary: a constant input gives the
/// same vector at every position, since attention over equal values is that value; so seeded random tokens
/// are run, to be averaged by position, and one sequence of a start token followed by the mean token
/// embedding.
PromptSet positions_prompts(const LanguageModel& model, const PositionsOptions& options);

/// The same sequences, the token at `position` being the start token instead: is it at the first place that a
/// token becomes a sink, or by what it is? Errors: Error where the vocabulary has no start token, where
/// `position` is the first or beyond the shortest sequence, and for raw vectors.
PromptSet plant_start(PromptSet prompts, const Vocabulary& vocabulary, std::int64_t position);

struct JsonlOptions {
    std::filesystem::path file;
    std::int64_t sequences = 0;  ///< at most; 0: all lines
    std::int64_t length = 512;   ///< a longer line is cut, and that is noted
    Start start = Start::model;
    Special special = Special::text;  ///< of texts; a segment may say otherwise for itself
    std::string chat_template;        ///< of conversations; empty: the model's own
    bool ask = true;  ///< a conversation that ends with the user is followed by what makes the model answer
};
/// One sequence a line, whose index is its number:
///     {"text": "..."}
///     {"segments": [{"label": "...", "text": "...", "special": "parse"}, ...]}
///     {"messages": [{"role": "...", "content": "..."}, ...]}
///     {"ids": [1, 2, ...]}
///     {"source": "...", "target": "..."}
/// A decoder beside an encoder reads the target and attends to the source; the encoder itself reads the
/// source, and other models do so as text. A conversation is read through the model's template: the
/// template's own special tokens are tokens, the words of the messages are text; each token's label is its
/// message's role, or "template"; columns.h names what else is said of it. Errors: Error that names the line;
/// for a conversation also when the model has no template.
PromptSet jsonl_prompts(const Vocabulary& vocabulary, const JsonlOptions& options);

/// One conversation that is at hand, read as jsonl_prompts() reads a line. Options: the file and the number
/// of sequences mean nothing here. Errors: Error when it has no message, when it is longer than
/// options.length (nothing is cut), when the model has no template, or with the template's own complaint.
PromptSet conversation_prompts(const Vocabulary& vocabulary, const std::vector<ChatMessage>& messages,
                               const JsonlOptions& options);

/// The id of a word that is one token. Errors: Error that names its tokens.
std::int32_t single_token(const Vocabulary& vocabulary, const std::string& word);

}  // namespace tomograph
