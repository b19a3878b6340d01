#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tomograph {

/// A program of this name in a folder of PATH that may be run.
std::optional<std::filesystem::path> find_program(const std::string& name);
/// A regular file that may be run.
bool is_program(const std::filesystem::path& path);

/// What a program that ended leaves.
struct Finished {
    int code = 0;    ///< exit code
    int signal = 0;  ///< the signal that killed it; 0: none
    std::string out, error_out;

    bool ok() const { return code == 0 && signal == 0; }
};

/// Run a program to its end: `input` on its standard input, its outputs kept. No shell is involved. A program
/// that does not read all of `input` is no failure. `hear` gets each piece of either output as it comes, and
/// nothing a few times a second, so that it can ask whether to go on; what it throws kills the program and is
/// passed on. Errors: Error when it cannot be started.
Finished run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                     std::string_view input = {}, const std::function<void(std::string_view)>& hear = {});

/// Start a program that outlives us and prints nothing. What becomes of it is its own affair.
void start_program(const std::filesystem::path& program, const std::vector<std::string>& arguments);

}  // namespace tomograph
