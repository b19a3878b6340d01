#pragma once
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph::test {

/// What a finished program leaves: its exit code (128 + N after signal N) and all that it printed.
struct Outcome {
    int code = -1;
    std::string out;
    std::string err;
};

using Arguments = std::vector<std::string>;

/// The program of this build, run in a folder of its own.
class Program {
  public:
    const TempFolder& folder() const { return folder_; }
    std::filesystem::path operator/(std::string_view name) const { return folder_ / name; }

    /// `environment` holds NAME=VALUE, which stand before this process's own.
    Outcome run(const Arguments& arguments, const std::vector<std::string>& environment = {}) const {
        return finish(start(arguments, environment));
    }

    pid_t start(const Arguments& arguments, const std::vector<std::string>& environment = {}) const {
        std::vector<char*> argv{const_cast<char*>(TOMOGRAPH_BINARY)};
        for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
        argv.push_back(nullptr);
        std::vector<char*> envp;
        for (const std::string& variable : environment) envp.push_back(const_cast<char*>(variable.c_str()));
        for (char** variable = environ; *variable != nullptr; ++variable) envp.push_back(*variable);
        envp.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addchdir_np(&actions, folder_.path().c_str());
        constexpr int kCreate = O_WRONLY | O_CREAT | O_TRUNC;
        ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_.c_str(), kCreate, 0600);
        ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_.c_str(), kCreate, 0600);
        pid_t child = 0;
        const int error =
            ::posix_spawn(&child, TOMOGRAPH_BINARY, &actions, nullptr, argv.data(), envp.data());
        ::posix_spawn_file_actions_destroy(&actions);
        if (error != 0) throw std::runtime_error("cannot start " TOMOGRAPH_BINARY);
        return child;
    }

    Outcome finish(pid_t child) const {
        int status = 0;
        if (::waitpid(child, &status, 0) != child) throw std::runtime_error("cannot wait for the program");
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return {code, read_file(out_), read_file(err_)};
    }

    /// Names in the program's folder.
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
            names.push_back(entry.path().filename().string());
        return names;
    }

  private:
    TempFolder folder_;
    TempFolder printed_;  // apart, so that a test sees only what the program itself wrote
    std::filesystem::path out_ = printed_ / "out";
    std::filesystem::path err_ = printed_ / "err";
};

/// How often a test ends a program at some moment: $TOMOGRAPH_KILLS, where it is set (100 is the long form).
inline int n_kills(int otherwise) {
    const char* asked = std::getenv("TOMOGRAPH_KILLS");
    return asked == nullptr ? otherwise : std::atoi(asked);
}

}  // namespace tomograph::test
