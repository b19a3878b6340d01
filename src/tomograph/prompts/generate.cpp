#include "tomograph/prompts/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/text.h"
#include "tomograph/prompts/columns.h"

namespace tomograph {
namespace {

constexpr std::int32_t kAnswer = 2;  // of the column `part`

struct Answer {
    std::vector<std::int32_t> tokens;
    std::string text;
    bool ended = false;  // by the model itself
};

Answer answer_to(const LanguageModel& model, Continuation& continuation, const Sequence& prompt,
                 const GenerateOptions& options, std::uint64_t number, std::int64_t most) {
    const Vocabulary& vocabulary = model.vocabulary();
    Answer answer;
    continuation.restart(prompt.source);
    auto logits = continuation.read(prompt.tokens);
    while (static_cast<std::int64_t>(answer.tokens.size()) < most) {
        const double draw = to_unit(mix(options.seed, number, answer.tokens.size()));
        const std::int32_t token = choose_token(logits, options.temperature, draw);
        answer.tokens.push_back(token);
        answer.ended = vocabulary.ends_text(token);
        if (answer.ended) break;
        answer.text += vocabulary.piece(token);
        if (std::any_of(options.stops.begin(), options.stops.end(),
                        [&](const std::string& stop) { return answer.text.find(stop) != std::string::npos; }))
            break;
        if (static_cast<std::int64_t>(answer.tokens.size()) < most) logits = continuation.read({&token, 1});
    }
    return answer;
}

void append(PromptSet& set, Sequence& sequence, const Answer& answer, std::int32_t label) {
    const std::size_t begin = sequence.tokens.size();
    sequence.tokens.insert(sequence.tokens.end(), answer.tokens.begin(), answer.tokens.end());
    sequence.labels.resize(sequence.tokens.size(), label);
    const std::size_t part = column_index(set, kPartColumn);
    for (std::size_t t = begin; t < sequence.tokens.size(); ++t) set_entry(sequence, part, t, kAnswer);
    const auto turns = std::find_if(set.columns.begin(), set.columns.end(),
                                    [](const LabelColumn& c) { return c.name == kTurnColumn; });
    if (turns == set.columns.end()) return;
    const auto turn = static_cast<std::size_t>(turns - set.columns.begin());
    if (sequence.columns.size() <= turn || sequence.columns[turn].empty()) return;
    const std::int32_t last = *std::max_element(sequence.columns[turn].begin(), sequence.columns[turn].end());
    const std::size_t role = column_index(set, kRoleColumn), origin = column_index(set, kOriginColumn);
    const std::int32_t assistant = word_index(set.columns[role].words, "assistant");
    const std::int32_t content = word_index(set.columns[origin].words, "content");
    const std::int32_t marks = word_index(set.columns[origin].words, "template");
    for (std::size_t t = begin; t < sequence.tokens.size(); ++t) {
        set_entry(sequence, turn, t, last + 1);
        set_entry(sequence, role, t, assistant);
        set_entry(sequence, origin, t, answer.ended && t + 1 == sequence.tokens.size() ? marks : content);
    }
}

}  // namespace

std::int32_t choose_token(std::span<const float> logits, double temperature, double draw) {
    if (std::any_of(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); }))
        throw Error("the model's logits are no numbers", "nothing can be generated from NaN", "");
    const auto best = std::max_element(logits.begin(), logits.end());
    if (!(temperature > 0)) return static_cast<std::int32_t>(best - logits.begin());
    const auto weight = [&](float logit) {
        return std::exp((static_cast<double>(logit) - static_cast<double>(*best)) / temperature);
    };
    double sum = 0;
    for (const float logit : logits) sum += weight(logit);
    double left = draw * sum;
    for (std::size_t token = 0; token < logits.size(); ++token) {
        left -= weight(logits[token]);
        if (left < 0) return static_cast<std::int32_t>(token);
    }
    return static_cast<std::int32_t>(best - logits.begin());  // rounding used up the draw
}

void add_answers(PromptSet& set, const LanguageModel& model, const GenerateOptions& options,
                 Progress& progress) {
    if (options.most < 1) throw Error("no tokens were asked for", "", "use --generate 1 or more");
    if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
        throw Error(fmt::format("a temperature of {} has no meaning", options.temperature), "",
                    "use 0 (greedy) or more");
    const VocabularyInfo& info = model.vocabulary().info();
    for (const Sequence& sequence : set.sequences) {
        if (!sequence.vectors.empty() || sequence.tokens.empty())
            throw Error("an answer needs a prompt of tokens", "", "");
    }
    const std::int64_t longest = longest_length(set.sequences);
    // A rotary model reads on past its context, but nobody asks for words from there.
    const auto room = [&](std::int64_t length) {
        return std::clamp<std::int64_t>(info.context_length - length, 0, options.most);
    };
    const auto continuation = model.make_continuation(
        {.max_length =
             std::max(longest_read(set.sequences), std::min(longest + options.most, info.context_length)),
         .exact = options.exact,
         .rope_off = options.rope_off,
         .rope_frequency = options.rope_frequency,
         .threads = options.threads,
         .stop_requested = [&progress] { return progress.stop_requested(); }});
    mark_last_tokens(set);
    const bool labelled = !set.labels.empty();
    const std::int32_t prompt_label = labelled ? -1 : word_index(set.labels, "prompt");
    const std::int32_t answer_label = word_index(set.labels, "answer");
    std::int64_t ended = 0, full = 0, tokens = 0;
    const bool has_texts = !set.texts.empty();
    progress.begin("generate " + info.model, static_cast<std::int64_t>(set.sequences.size()), "answers");
    for (std::size_t s = 0; s < set.sequences.size(); ++s) {
        Sequence& sequence = set.sequences[s];
        const std::int64_t most = room(sequence.length());
        full += most < options.most;
        const Answer answer =
            most > 0 ? answer_to(model, *continuation, sequence, options, s, most) : Answer{};
        ended += answer.ended;
        tokens += static_cast<std::int64_t>(answer.tokens.size());
        if (!labelled || sequence.labels.empty())
            sequence.labels.assign(sequence.tokens.size(), prompt_label);
        if (!has_texts) set.texts.push_back(Json::object());
        set.texts[s]["answer"] = valid_utf8(answer.text);
        append(set, sequence, answer, answer_label);
        progress.update(static_cast<std::int64_t>(s) + 1);
        if (progress.stop_requested()) throw Stopped("nothing was captured");
    }
    progress.end();
    Json generated = {{"most", options.most},
                      {"temperature", options.temperature},
                      {"tokens", tokens},
                      {"ended_by_model", ended}};
    if (options.temperature > 0) generated["seed"] = options.seed;
    if (!options.stops.empty()) generated["stops"] = options.stops;
    set.description["generated"] = std::move(generated);
    set.description["length"] = longest_length(set.sequences);
    if (full > 0) {
        set.notes.push_back(
            fmt::format("{} of {} answers had less room than {} tokens: the context of {} ends "
                        "at {}",
                        full, set.sequences.size(), options.most, info.model, info.context_length));
        set.description["notes"] = set.notes;
    }
}

}  // namespace tomograph
