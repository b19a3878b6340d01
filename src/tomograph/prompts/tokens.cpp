#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/text.h"
#include "tomograph/prompts/common.h"

namespace tomograph {

PromptSet repeat_prompts(const Vocabulary& vocabulary, const RepeatOptions& options) {
    using Prefix = RepeatOptions::Prefix;
    if (!options.token && options.word.empty())
        throw Error("no token to repeat", "", "give --token ID or --word TEXT");
    const VocabularyInfo& info = vocabulary.info();
    const std::int32_t token = options.token ? *options.token : single_token(vocabulary, options.word);
    check_token(token, info.model, info.n_tokens);
    check_length(vocabulary, options.length);
    std::optional<std::int32_t> prefix;
    switch (options.prefix) {
        case Prefix::model:
            prefix = start_token(vocabulary, Start::model);
            break;
        case Prefix::start:
            prefix = start_token(vocabulary, Start::yes, "use --prefix none or --prefix ID");
            break;
        case Prefix::none:
            break;
        case Prefix::token:
            check_token(options.prefix_token, info.model, info.n_tokens);
            prefix = options.prefix_token;
            break;
    }
    if (options.length < (prefix ? 2 : 1))
        throw Error(fmt::format("length {} leaves no room for the token", options.length), "",
                    "use a longer --length");
    Sequence sequence;
    if (prefix) sequence.tokens.push_back(*prefix);
    sequence.tokens.resize(static_cast<std::size_t>(options.length), token);
    PromptSet set;
    set.sequences.push_back(std::move(sequence));
    set.description = {{"token", token}, {"piece", piece_to_json(vocabulary.piece(token))}};
    set.description["prefix"] = prefix ? Json(*prefix) : Json(nullptr);
    describe(set, vocabulary, "repeat", prefix == info.start_token ? prefix : std::nullopt);
    return set;
}

PromptSet vocabulary_prompts(const Vocabulary& vocabulary, const VocabularyOptions& options) {
    const auto start = start_token(vocabulary, options.start);
    const std::int64_t all = vocabulary.info().n_tokens;
    if (options.rows < 0)
        throw Error(fmt::format("{} rows were asked for", options.rows), "", "use --rows 1 or more");
    const auto chosen = sample_indices(all, options.rows == 0 ? all : options.rows, options.seed);
    PromptSet set;
    set.sequences.reserve(chosen.size());
    for (const std::int64_t token : chosen) {
        Sequence sequence;
        if (start) sequence.tokens.push_back(*start);
        sequence.tokens.push_back(static_cast<std::int32_t>(token));
        set.sequences.push_back(std::move(sequence));
    }
    if (options.rows > all)
        set.notes.push_back(
            fmt::format("{} tokens instead of {}: the vocabulary has no more", all, options.rows));
    set.description = {{"vocabulary", all}, {"seed", options.seed}};
    describe(set, vocabulary, "vocabulary", start);
    return set;
}

PromptSet plant_start(PromptSet prompts, const Vocabulary& vocabulary, std::int64_t position) {
    const auto start = start_token(vocabulary, Start::yes, "name a model that has one");
    for (Sequence& sequence : prompts.sequences) {
        if (!sequence.vectors.empty()) throw Error("no token can stand among raw vectors", "", "");
        if (position < 1 || position >= sequence.length())
            throw Error(
                fmt::format("no start token can stand at position {}", position),
                fmt::format("the first is its usual place, and a sequence has {} tokens", sequence.length()),
                "choose one inside all sequences");
        sequence.tokens[static_cast<std::size_t>(position)] = *start;
    }
    prompts.description["planted"] = {{"token", *start}, {"position", position}};
    return prompts;
}

PromptSet positions_prompts(const LanguageModel& model, const PositionsOptions& options) {
    const ModelInfo& info = model.info();
    if (info.side == "target")
        throw Error(info.name + " has no positions without a text",
                    "its decoder reads a source beside vectors, and there is none", "use --side source");
    check_length(model.vocabulary(), options.length);
    PromptSet set;
    const auto length = static_cast<std::size_t>(options.length);
    const auto d_model = static_cast<std::size_t>(info.d_model);
    if (info.learned_positions) {
        Sequence zeros;
        zeros.tokens.assign(length, -1);
        zeros.vectors.assign(length * d_model, 0.0f);
        set.sequences.push_back(std::move(zeros));
        set.description = {{"input", "zero vectors"}};
        describe(set, model.vocabulary(), "positions", std::nullopt);
        return set;
    }
    // A slip of the finger would fill the memory before anything is read.
    constexpr std::int64_t kMostTokens = 1 << 28;
    const std::int64_t most = kMostTokens / std::max<std::int64_t>(1, options.length);
    if (options.sequences > most)
        throw Error(
            fmt::format("{} sequences of {} random tokens cannot be read", options.sequences, options.length),
            fmt::format("at most {} tokens are", kMostTokens),
            fmt::format("use --sequences {} or less", most));
    constexpr std::int32_t kRandom = 0, kMean = 1;
    set.labels = {"random tokens", "mean embedding"};
    set.label_outside_means = kMean;
    const auto start = start_token(model.vocabulary(), Start::model);
    for (std::int64_t s = 0; s < options.sequences; ++s) {
        Sequence sequence;
        for (std::size_t position = 0; position < length; ++position) {
            const std::uint64_t bits = mix(options.seed, static_cast<std::uint64_t>(s), position);
            const auto token = static_cast<std::int32_t>(to_unit(bits) * static_cast<double>(info.n_vocab));
            sequence.tokens.push_back(start && position == 0 ? *start : token);
        }
        sequence.labels.assign(length, kRandom);
        set.sequences.push_back(std::move(sequence));
    }
    // Models that begin with no start token still get one other vector first: without it every position would
    // attend to the same value.
    const std::int32_t first = model.vocabulary().info().start_token.value_or(0);
    const Matrix first_row = model.token_embeddings({first});
    const Vector mean = model.mean_token_embedding();
    Sequence constant;
    constant.tokens.assign(length, -1);
    constant.labels.assign(length, kMean);
    constant.vectors.assign(first_row.data(), first_row.data() + d_model);
    for (std::size_t position = 1; position < length; ++position)
        constant.vectors.insert(constant.vectors.end(), mean.data(), mean.data() + d_model);
    set.sequences.push_back(std::move(constant));
    set.description = {{"input",
                        "seeded random tokens, to be averaged by position; then a start token followed by "
                        "the mean token embedding"},
                       {"seed", options.seed},
                       {"first_token_of_mean", first}};
    describe(set, model.vocabulary(), "positions", start);
    return set;
}

}  // namespace tomograph
