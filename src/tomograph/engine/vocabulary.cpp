#include "tomograph/engine/vocabulary.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"

namespace tomograph {

std::string_view token_type_name(TokenType type) {
    switch (type) {
        case TokenType::normal:
            return "normal";
        case TokenType::control:
            return "control";
        case TokenType::user:
            return "user";
        case TokenType::byte:
            return "byte";
        case TokenType::unknown:
            return "unknown";
        case TokenType::unused:
            return "unused";
    }
    return "";
}

void check_token(std::int32_t token, const std::string& model, std::int64_t n_tokens) {
    if (token >= 0 && token < n_tokens) return;
    throw Error(fmt::format("no token {}", token), fmt::format("{} has tokens 0 to {}", model, n_tokens - 1),
                "");
}

}  // namespace tomograph
