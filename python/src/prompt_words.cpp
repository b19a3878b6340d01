#include "prompt_words.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <charconv>

#include "tomograph/base/error.h"
#include "tomograph/prompts/generate.h"

namespace tomograph::python {

namespace nb = nanobind;

namespace {

RepeatOptions repeat_options(const PromptWords& words, std::int64_t length) {
    using Prefix = RepeatOptions::Prefix;
    if (words.word.empty() == !words.token.has_value())
        throw Error("what is to be repeated is not clear", "", "give either a word or a token");
    RepeatOptions options{.token = words.token, .word = words.word, .length = length};
    if (words.prefix.empty()) return options;
    const char* const end = words.prefix.data() + words.prefix.size();
    if (words.prefix == "start")
        options.prefix = Prefix::start;
    else if (words.prefix == "none")
        options.prefix = Prefix::none;
    else if (std::from_chars(words.prefix.data(), end, options.prefix_token).ptr == end)
        options.prefix = Prefix::token;
    else
        throw Error("prefix is '" + words.prefix + "'", "", "it is start, none or a token's id");
    return options;
}

PromptSet files_of_text(const Vocabulary& vocabulary, const PromptWords& words, std::int64_t length,
                        Start start, Special special) {
    if (words.documents.empty())
        return text_prompts(vocabulary, {.files = words.files,
                                         .sequences = words.sequences > 0 ? words.sequences : 32,
                                         .length = length,
                                         .stride = words.stride,
                                         .start = start,
                                         .special = special});
    if (words.documents != "file" && words.documents != "line")
        throw Error("documents is '" + words.documents + "'", "", "it is file or line");
    if (words.stride > 0)
        throw Error("a stride has no meaning with documents", "each is read once", "leave it out");
    return document_prompts(vocabulary, {.files = words.files,
                                         .lines = words.documents == "line",
                                         .sequences = words.sequences,
                                         .length = length,
                                         .start = start,
                                         .special = special});
}

/// A word that means nothing for the prompts at hand is a mistake to point out, not to pass over.
void refuse_unused(const PromptWords& words) {
    const auto refuse = [&](bool given, const char* what, std::initializer_list<std::string_view> kinds) {
        if (given && std::ranges::find(kinds, words.kind) == kinds.end())
            throw Error(std::string(what) + " has no meaning for prompts of kind " + words.kind, "",
                        "leave it out");
    };
    refuse(!words.documents.empty(), "documents", {"text"});
    refuse(words.stride > 0, "stride", {"text"});
    refuse(!words.labels.empty(), "labels", {"prompt"});
    refuse(!words.word.empty(), "word", {"repeat"});
    refuse(words.token.has_value(), "token", {"repeat"});
    refuse(!words.prefix.empty(), "prefix", {"repeat"});
    refuse(words.plant_start > 0, "plant_start", {"text", "jsonl", "prompt"});
    refuse(words.generate > 0, "generate", {"text", "jsonl", "prompt"});
}

PromptSet read_prompts(const Model& model, const PromptWords& words) {
    const Vocabulary& vocabulary = model.vocabulary();
    for (const auto& [what, value] :
         {std::pair("length", words.length), std::pair("stride", words.stride),
          std::pair("sequences", words.sequences), std::pair("plant_start", words.plant_start)}) {
        if (value < 0) throw Error(std::string(what) + " is " + std::to_string(value), "", "give 1 or more");
    }
    const std::int64_t length = words.length > 0 ? words.length : default_length(model);
    if (!words.start.empty() && words.start != "yes" && words.start != "no")
        throw Error("start is '" + words.start + "'", "", "it is yes, no or left out");
    const Start start = words.start.empty() ? Start::model : words.start == "yes" ? Start::yes : Start::no;
    const Special special = parse_special(words.special);
    refuse_unused(words);
    if (words.kind == "prompt")
        return given_prompts(vocabulary, {.prompts = words.texts,
                                          .labels = words.labels,
                                          .length = length,
                                          .start = start,
                                          .special = special});
    if (words.kind == "jsonl") {
        if (words.files.size() != 1)
            throw Error("prompts of kind jsonl are those of one file", "", "give files=['chats.jsonl']");
        return jsonl_prompts(vocabulary, {.file = words.files.front(),
                                          .sequences = words.sequences,
                                          .length = length,
                                          .start = start,
                                          .special = special,
                                          .chat_template = words.chat_template,
                                          .ask = words.ask});
    }
    if (words.kind == "text") return files_of_text(vocabulary, words, length, start, special);
    if (words.kind == "vocabulary")
        return vocabulary_prompts(vocabulary, {.rows = words.rows, .seed = words.seed, .start = start});
    if (words.kind == "positions")
        return positions_prompts(
            model,
            {.length = length, .sequences = words.sequences > 0 ? words.sequences : 32, .seed = words.seed});
    if (words.kind == "repeat") return repeat_prompts(vocabulary, repeat_options(words, length));
    throw Error("no prompts are called '" + words.kind + "'", "",
                "there are prompt, jsonl, text, repeat, vocabulary and positions");
}

}  // namespace

std::int64_t default_length(const Model& model) {
    return std::min<std::int64_t>(512, model.info().context_length);
}

PromptSet make_prompts(const Model& model, const PromptWords& words, Progress& progress) {
    PromptSet prompts = read_prompts(model, words);
    if (words.plant_start > 0)
        prompts = plant_start(std::move(prompts), model.vocabulary(), words.plant_start);
    if (words.generate > 0)
        add_answers(prompts, model,
                    {.most = words.generate,
                     .temperature = words.temperature,
                     .seed = words.seed,
                     .stops = words.stops,
                     .exact = words.exact,
                     .rope_off = words.rope_off,
                     .rope_frequency = words.rope_frequency,
                     .threads = words.threads},
                    progress);
    return prompts;
}

void bind_prompt_words(nb::module_& module) {
    nb::class_<PromptWords>(module, "PromptWords")
        .def(nb::init<>())
        .def_rw("kind", &PromptWords::kind)
        .def_rw("texts", &PromptWords::texts)
        .def_rw("labels", &PromptWords::labels)
        .def_rw("files", &PromptWords::files)
        .def_rw("documents", &PromptWords::documents)
        .def_rw("stride", &PromptWords::stride)
        .def_rw("word", &PromptWords::word)
        .def_rw("token", &PromptWords::token, nb::arg().none())
        .def_rw("prefix", &PromptWords::prefix)
        .def_rw("length", &PromptWords::length)
        .def_rw("sequences", &PromptWords::sequences)
        .def_rw("rows", &PromptWords::rows)
        .def_rw("start", &PromptWords::start)
        .def_rw("special", &PromptWords::special)
        .def_rw("chat_template", &PromptWords::chat_template)
        .def_rw("ask", &PromptWords::ask)
        .def_rw("plant_start", &PromptWords::plant_start)
        .def_rw("seed", &PromptWords::seed)
        .def_rw("generate", &PromptWords::generate)
        .def_rw("temperature", &PromptWords::temperature)
        .def_rw("stops", &PromptWords::stops)
        .def_rw("exact", &PromptWords::exact)
        .def_rw("rope_off", &PromptWords::rope_off)
        .def_rw("rope_frequency", &PromptWords::rope_frequency)
        .def_rw("threads", &PromptWords::threads);
}

}  // namespace tomograph::python
