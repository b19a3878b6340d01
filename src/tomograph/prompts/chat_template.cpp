#include "tomograph/prompts/chat_template.h"

#include <fmt/format.h>
#include <jinja/caps.h>
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>

#include <algorithm>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

constexpr std::time_t kDate = 1'721'952'000;  // 26 July 2024: what templates fall back on by themselves

/// A stretch of the rendered text, the user's words or the template's.
struct Stretch {
    std::string text;
    bool content = false;
};

std::string text_of(const std::vector<Stretch>& stretches) {
    std::string text;
    for (const Stretch& stretch : stretches) text += stretch.text;
    return text;
}

/// llama.cpp's engine shows where in the template it stopped; its last line says why.
std::string reason_of(const std::exception& error) {
    std::string text = error.what();
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    const auto line = text.rfind('\n');
    if (line != std::string::npos) text.erase(0, line + 1);
    const std::string label = "Error: ";
    if (const auto at = text.rfind(label); at != std::string::npos) text.erase(0, at + label.size());
    return text.empty() ? "it gives no reason" : text;
}

}  // namespace

struct ChatTemplate::State {
    std::string source;
    mutable jinja::program program;
    bool content_is_text = true;  // else a list of typed parts

    jinja::value message(const ChatMessage& message) const {
        auto content = jinja::mk_val<jinja::value_string>(message.content);
        content->val_str.mark_input();
        auto object = jinja::mk_val<jinja::value_object>();
        object->insert("role", jinja::mk_val<jinja::value_string>(message.role));
        if (content_is_text) {
            object->insert("content", content);
        } else {
            auto part = jinja::mk_val<jinja::value_object>();
            part->insert("type", jinja::mk_val<jinja::value_string>(std::string("text")));
            part->insert("text", content);
            auto parts = jinja::mk_val<jinja::value_array>();
            parts->push_back(part);
            object->insert("content", parts);
        }
        return object;
    }

    std::vector<Stretch> render(const std::vector<ChatMessage>& messages, std::size_t n, bool ask,
                                const std::string& start, const std::string& end) const {
        jinja::context context(source);
        context.current_time = kDate;
        auto list = jinja::mk_val<jinja::value_array>();
        for (std::size_t i = 0; i < n; ++i) list->push_back(message(messages[i]));
        context.set_val(std::string("messages"), list);
        context.set_val(std::string("bos_token"), jinja::mk_val<jinja::value_string>(start));
        context.set_val(std::string("eos_token"), jinja::mk_val<jinja::value_string>(end));
        context.set_val(std::string("add_generation_prompt"), jinja::mk_val<jinja::value_bool>(ask));
        jinja::runtime runtime(context);
        const auto parts = jinja::runtime::gather_string_parts(runtime.execute(program))->as_string().parts;
        std::vector<Stretch> stretches;
        for (const jinja::string_part& part : parts) {
            if (part.val.empty()) continue;
            if (!stretches.empty() && stretches.back().content == part.is_input)
                stretches.back().text += part.val;
            else
                stretches.push_back({part.val, part.is_input});
        }
        return stretches;
    }
};

ChatTemplate::ChatTemplate(const std::string& source, std::string start, std::string end)
    : state_(std::make_unique<State>()), start_(std::move(start)), end_(std::move(end)) {
    try {
        jinja::lexer lexer;
        auto lexed = lexer.tokenize(source);
        state_->source = lexed.source;
        state_->program = jinja::parse_from_tokens(lexed);
        state_->content_is_text = jinja::caps_get(state_->program).supports_string_content;
    } catch (const std::exception& e) {
        throw Error("the chat template cannot be read", reason_of(e),
                    "give one that works with --chat-template FILE");
    }
}

ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::vector<ChatPiece> ChatTemplate::render(const std::vector<ChatMessage>& messages, bool ask) const {
    const auto stretches = [&] {
        try {
            return state_->render(messages, messages.size(), ask, start_, end_);
        } catch (const std::exception& e) {
            throw Error("the chat template refuses the conversation", reason_of(e), "");
        }
    }();
    const std::string whole = text_of(stretches);
    // Where each message ends: at the end of what the messages up to it render to alone. A template that goes
    // back on what it wrote (drops earlier reasoning, say), or refuses the shorter conversation, leaves the
    // end unknown.
    std::vector<std::size_t> ends(messages.size(), 0);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        std::string before;
        try {
            before = text_of(state_->render(messages, i + 1, false, start_, end_));
        } catch (const std::exception&) {
        }
        const std::size_t least = i > 0 ? ends[i - 1] : 0;
        ends[i] =
            !before.empty() && before.size() >= least && whole.starts_with(before) ? before.size() : least;
    }
    std::vector<ChatPiece> pieces;
    std::size_t at = 0;
    for (const Stretch& stretch : stretches) {
        for (std::size_t done = 0; done < stretch.text.size();) {
            const auto end = std::upper_bound(ends.begin(), ends.end(), at);
            const std::size_t left = stretch.text.size() - done;
            const bool after = end == ends.end();
            const std::size_t take = after ? left : std::min(left, *end - at);
            pieces.push_back({stretch.text.substr(done, take),
                              after ? -1 : static_cast<int>(end - ends.begin()), stretch.content});
            done += take;
            at += take;
        }
    }
    return pieces;
}

}  // namespace tomograph
