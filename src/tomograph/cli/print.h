#pragma once
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>

namespace tomograph {

/// To standard output. What a file or a model brought along steers no terminal: see without_controls().
/// Errors: Error when it cannot be written (a full disk, a closed pipe).
void print_text(std::FILE* stream, const std::string& text);
/// --quiet: no notes and no progress; results and errors stay.
bool is_quiet();
void set_quiet();

/// To standard error; one that cannot be written to is no reason to stop.
void complain_text(const std::string& text);
/// All that was printed has arrived. Errors: Error when it has not.
void flush_output();
/// Where a command that writes to `out` says what it did: not among the bytes that go to standard output.
std::FILE* messages_beside(const std::filesystem::path& out);

template <class... T>
void say(fmt::format_string<T...> format, T&&... values) {
    print_text(stdout, fmt::format(format, std::forward<T>(values)...));
}
template <class... T>
void say(std::FILE* stream, fmt::format_string<T...> format, T&&... values) {
    print_text(stream, fmt::format(format, std::forward<T>(values)...));
}
template <class... T>
void warn(fmt::format_string<T...> format, T&&... values) {
    complain_text(fmt::format(format, std::forward<T>(values)...));
}

}  // namespace tomograph
