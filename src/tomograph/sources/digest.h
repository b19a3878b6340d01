#pragma once
#include <filesystem>
#include <functional>
#include <string>

namespace tomograph {

/// SHA-256 of a file, 64 hexadecimal digits: what Git LFS names a file by. `go_on` is asked every few
/// megabytes and may throw. Errors: Error when the file cannot be read.
std::string sha256_of(const std::filesystem::path& file, const std::function<void()>& go_on);
/// What git names a file by that it holds itself: SHA-1 of "blob SIZE", a zero byte and the file, 40
/// hexadecimal digits.
std::string git_sha1_of(const std::filesystem::path& file, const std::function<void()>& go_on);

}  // namespace tomograph
