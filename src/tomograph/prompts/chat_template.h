#pragma once
#include <memory>
#include <string>
#include <vector>

namespace tomograph {

/// One message of a conversation.
struct ChatMessage {
    std::string role;  ///< as the template knows it: "system", "user", "assistant", ...
    std::string content;
};

/// A stretch of a rendered conversation.
struct ChatPiece {
    std::string text;
    int turn = -1;  ///< index of the message that it belongs to; -1: the prompt for the answer, or what
                    ///< a template says without a message (a system prompt of its own)
    bool content = false;  ///< the user's words; false: the template's
};

/// A model's own Jinja template for conversations, rendered by llama.cpp's engine. Templates that ask for the
/// date get 26 July 2024, so that the same conversation is the same text on every day.
class ChatTemplate {
  public:
    /// `start` and `end` are the texts of the model's start and end tokens (bos_token, eos_token).
    /// Errors: Error when `source` is no template.
    ChatTemplate(const std::string& source, std::string start, std::string end);
    ChatTemplate(ChatTemplate&&) noexcept;
    ChatTemplate& operator=(ChatTemplate&&) noexcept;
    ~ChatTemplate();

    /// The conversation as the model is to read it; the pieces laid end to end are the whole text, as Hugging
    /// Face's apply_chat_template(tokenize=False) gives it. With `ask`, what makes the model answer follows
    /// the last message (add_generation_prompt). Errors: Error with the template's own complaint (roles that
    /// do not alternate, a role that it does not know).
    std::vector<ChatPiece> render(const std::vector<ChatMessage>& messages, bool ask) const;
    /// True after a render in which the template asked for the date.
    const std::string& start() const { return start_; }

  private:
    struct State;
    std::unique_ptr<State> state_;
    std::string start_, end_;
};

}  // namespace tomograph
