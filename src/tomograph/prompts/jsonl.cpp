#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/prompts/chat_template.h"
#include "tomograph/prompts/columns.h"
#include "tomograph/prompts/common.h"

namespace tomograph {
namespace {

/// A key that nobody reads is more likely a slip than meant. Errors: JsonError.
void check_keys(const Json& json, const char* what, std::initializer_list<std::string_view> known) {
    if (!json.is_object()) throw JsonError(fmt::format("{} is no object", what));
    for (const auto& [key, value] : json.items()) {
        if (std::find(known.begin(), known.end(), key) == known.end())
            throw JsonError(fmt::format("'{}' is no key of {}", key, what));
    }
}

const std::string& string_at(const Json& json, const char* what, const char* key) {
    const auto found = json.find(key);
    if (found == json.end()) throw JsonError(fmt::format("{} has no '{}'", what, key));
    if (!found->is_string()) throw JsonError(fmt::format("'{}' is no text", key));
    return found->get_ref<const std::string&>();
}

const Json& list_at(const Json& json, const char* key) {
    const Json& list = json.at(key);
    if (!list.is_array()) throw JsonError(fmt::format("'{}' is no list", key));
    return list;
}

/// Reads lines of one file.
class Lines {
  public:
    Lines(const Vocabulary& vocabulary, const JsonlOptions& options, PromptSet& set)
        : vocabulary_(vocabulary), options_(options), set_(set) {}

    /// The first tokens of a line, one more than will be kept. Errors: JsonError, Error.
    Sequence read(const Json& json) {
        check_keys(json, "a line", {"text", "segments", "messages", "ids", "source", "target"});
        text.clear();
        if (json.contains("source")) return read_pair(json);
        if (json.size() != 1) {
            std::string keys;
            for (const auto& [key, value] : json.items())
                keys += fmt::format("{}'{}'", keys.empty() ? "" : " and ", key);
            throw JsonError(json.empty() ? "it has no 'text'" : "it has both " + keys);
        }
        if (json.contains("target")) throw JsonError("it has a 'target' and no 'source'");
        if (json.contains("ids")) return read_ids(list_at(json, "ids"));
        if (json.contains("messages")) return read_messages(list_at(json, "messages"));
        if (json.contains("segments")) return read_segment_list(list_at(json, "segments"));
        return cut({{string_at(json, "it", "text"), options_.special}}, {-1});
    }

    /// Errors: JsonError, Error.
    Sequence read_conversation(const std::vector<ChatMessage>& messages) {
        text.clear();
        if (messages.empty()) throw JsonError("'messages' holds no message");
        if (!template_) template_ = make_template();
        const bool ask = options_.ask && messages.back().role != "assistant";
        const std::size_t role = column_index(set_, kRoleColumn), turn = column_index(set_, kTurnColumn),
                          origin = column_index(set_, kOriginColumn);
        set_.columns[origin].words = {"template", "content"};
        std::vector<Segment> segments;
        std::vector<std::int32_t> labels, roles, turns, origins;
        for (ChatPiece& piece : template_->render(messages, ask)) {
            text += piece.text;
            segments.push_back({std::move(piece.text), piece.content ? Special::text : Special::parse});
            const std::string whose =
                piece.turn < 0 ? "" : messages[static_cast<std::size_t>(piece.turn)].role;
            roles.push_back(whose.empty() ? -1 : word_index(set_.columns[role].words, whose));
            turns.push_back(piece.turn);
            origins.push_back(piece.content ? 1 : 0);
            labels.push_back(word_index(set_.labels, piece.content && !whose.empty() ? whose : "template"));
        }
        ++conversations;
        Sequence sequence = cut(segments, labels);
        for (std::size_t t = 0; t < sequence.tokens.size(); ++t) {
            const auto segment = static_cast<std::size_t>(segment_of_[t]);
            set_entry(sequence, role, t, roles[segment]);
            set_entry(sequence, turn, t, turns[segment]);
            set_entry(sequence, origin, t, origins[segment]);
        }
        return sequence;
    }

    std::int64_t n_cut = 0;  ///< sources that were cut
    std::int64_t spelt = 0, replaced = 0, conversations = 0, pairs = 0;
    std::int64_t unread = 0;  ///< targets of models that have no decoder for them
    std::string text;         ///< the last line as it was written out; empty where it was no conversation

  private:
    Sequence cut(const std::vector<Segment>& segments, const std::vector<std::int32_t>& labels) {
        Reading reading = read_segments(vocabulary_, segments, options_.length + 1);
        spelt += reading.spelt;
        replaced += reading.replaced;
        Sequence sequence;
        sequence.tokens = std::move(reading.tokens);
        for (const std::int32_t segment : reading.segment)
            sequence.labels.push_back(labels[static_cast<std::size_t>(segment)]);
        segment_of_ = std::move(reading.segment);
        return sequence;
    }

    /// A source, and of a decoder that reads it the target; for the encoder the target is not there.
    Sequence read_pair(const Json& json) {
        const VocabularyInfo& info = vocabulary_.info();
        if (json.size() != (json.contains("target") ? 2u : 1u))
            throw JsonError("beside a 'source' stands a 'target' or nothing");
        const std::string& source = string_at(json, "it", "source");
        text = source;
        ++pairs;
        if (!info.target_start) {
            unread += json.contains("target");
            return cut({{source, options_.special}}, {-1});
        }
        Sequence read = cut({{source, options_.special}}, {-1});
        if (read.tokens.empty()) throw JsonError("'source' is empty");
        n_cut += cut_and_close(read, options_.length, info.closing_token);
        Sequence sequence{.tokens = {*info.target_start}, .labels = {-1}};
        if (json.contains("target")) {
            const Sequence target = cut({{string_at(json, "it", "target"), options_.special}}, {-1});
            sequence.tokens.insert(sequence.tokens.end(), target.tokens.begin(), target.tokens.end());
            sequence.labels.resize(sequence.tokens.size(), -1);
        }
        sequence.source = std::move(read.tokens);
        return sequence;
    }

    Sequence read_ids(const Json& ids) const {
        Sequence sequence;
        for (const Json& id : ids) {
            if (!id.is_number_integer())
                throw JsonError(fmt::format("'ids' holds {}, which is no token's id", json_text(id)));
            const auto token = id.get<std::int64_t>();
            if (token < 0 || token >= vocabulary_.info().n_tokens)
                throw JsonError(fmt::format("there is no token {}: the model has 0 to {}", token,
                                            vocabulary_.info().n_tokens - 1));
            sequence.tokens.push_back(static_cast<std::int32_t>(token));
        }
        sequence.labels.assign(sequence.tokens.size(), -1);
        return sequence;
    }

    Sequence read_segment_list(const Json& list) {
        std::vector<Segment> segments;
        std::vector<std::int32_t> labels;
        for (const Json& json : list) {
            check_keys(json, "a segment", {"label", "text", "special"});
            Segment segment{string_at(json, "a segment", "text"), options_.special};
            if (json.contains("special"))
                segment.special = parse_special(string_at(json, "a segment", "special"));
            segments.push_back(std::move(segment));
            labels.push_back(word_index(set_.labels, string_at(json, "a segment", "label")));
        }
        return cut(segments, labels);
    }

    Sequence read_messages(const Json& list) {
        std::vector<ChatMessage> messages;
        for (const Json& json : list) {
            check_keys(json, "a message", {"role", "content"});
            messages.push_back(
                {string_at(json, "a message", "role"), string_at(json, "a message", "content")});
        }
        return read_conversation(messages);
    }

    ChatTemplate make_template() const {
        const std::string source =
            options_.chat_template.empty() ? vocabulary_.chat_template() : options_.chat_template;
        if (source.empty())
            throw Error(vocabulary_.info().model + " has no chat template",
                        "a conversation cannot be written out for it", "give one with --chat-template FILE");
        const auto text_of = [&](const std::optional<std::int32_t>& token) {
            return token ? vocabulary_.piece(*token) : std::string();
        };
        return {source, text_of(vocabulary_.info().start_token), text_of(vocabulary_.info().end_token)};
    }

    const Vocabulary& vocabulary_;
    const JsonlOptions& options_;
    PromptSet& set_;
    std::optional<ChatTemplate> template_;
    std::vector<std::int32_t> segment_of_;  // of the last line's tokens
};

}  // namespace

PromptSet jsonl_prompts(const Vocabulary& vocabulary, const JsonlOptions& options) {
    std::ifstream file;
    if (options.file != "-") {
        file.open(options.file, std::ios::binary);
        if (!file) throw Error("cannot read " + options.file.string(), "no such file, or no permission", "");
    }
    std::istream& in = options.file == "-" ? std::cin : file;
    const std::string name = options.file == "-" ? "standard input" : options.file.string();
    const auto start = start_token(vocabulary, options.start);
    PromptSet set;
    check_length(vocabulary, options.length);
    Lines lines(vocabulary, options, set);
    std::int64_t number = 0, n_cut = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        const auto where = fmt::format("line {} of {}", number, name);
        if (options.sequences > 0 && static_cast<std::int64_t>(set.sequences.size()) == options.sequences)
            break;
        Sequence sequence;
        try {
            sequence = lines.read(parse_json(line));
        } catch (const JsonError& e) {
            throw Error(where + " cannot be used", e.what(),
                        R"(a line is {"text": "..."}, {"segments": [{"label": "...", "text": "..."}]}, )"
                        R"({"messages": [{"role": "...", "content": "..."}]}, {"ids": [...]} or )"
                        R"({"source": "...", "target": "..."})");
        } catch (const Error& e) {
            throw Error(where + " cannot be used", e.what(), "");
        }
        if (sequence.tokens.empty())
            throw Error(where + " has no text", "", "a line's index is its sequence, so none may be empty");
        const bool is_target = !sequence.source.empty();
        if (!is_target) add_start(sequence, start);
        n_cut += cut_and_close(sequence, options.length,
                               is_target ? std::nullopt : vocabulary.info().closing_token);
        set.sequences.push_back(std::move(sequence));
        if (is_target)
            set.texts.push_back({{"source", lines.text}});
        else
            set.texts.push_back(lines.text.empty() ? Json::object() : Json{{"text", lines.text}});
    }
    n_cut += lines.n_cut;
    if (lines.conversations == 0 && (lines.pairs == 0 || !vocabulary.info().target_start)) set.texts.clear();
    if (set.sequences.empty()) throw Error(name + " is empty", "", "give a file with one JSON object a line");
    if (lines.unread > 0)
        set.notes.push_back(fmt::format(
            "{} not read: --side target of an encoder and a decoder in one file reads targets",
            lines.unread == 1 ? std::string("1 target is") : fmt::format("{} targets are", lines.unread)));
    if (n_cut > 0)
        set.notes.push_back(
            fmt::format("{} of {} lines were cut to {} tokens", n_cut, set.sequences.size(), options.length));
    mark_last_tokens(set);
    note_reading(set, lines.spelt, lines.replaced, vocabulary);
    set.description = {{"sources", {options.file == "-" ? name : options.file.filename().string()}}};
    if (lines.conversations > 0) set.description["conversations"] = lines.conversations;
    describe(set, vocabulary, "jsonl", start);
    return set;
}

PromptSet conversation_prompts(const Vocabulary& vocabulary, const std::vector<ChatMessage>& messages,
                               const JsonlOptions& options) {
    const auto start = start_token(vocabulary, options.start);
    check_length(vocabulary, options.length);
    PromptSet set;
    Lines lines(vocabulary, options, set);
    if (messages.empty()) throw Error("the conversation holds no message", "", "");
    Sequence sequence = lines.read_conversation(messages);
    add_start(sequence, start);
    cut_and_close(sequence, options.length + 1, vocabulary.info().closing_token);
    if (sequence.length() > options.length)
        throw Error(fmt::format("the conversation has more than {} tokens", options.length), "",
                    "shorten it");
    if (sequence.tokens.empty()) throw Error("the conversation is empty", "", "");
    set.sequences.push_back(std::move(sequence));
    set.texts.push_back({{"text", lines.text}});
    mark_last_tokens(set);
    note_reading(set, lines.spelt, lines.replaced, vocabulary);
    set.description = {{"conversations", 1}};
    describe(set, vocabulary, "jsonl", start);
    return set;
}

}  // namespace tomograph
