#include "tomograph/figures/gnuplot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include "tomograph/base/error.h"

extern char** environ;

namespace tomograph {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
  public:
    explicit Descriptor(int number = -1) : number_(number) {}
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    void reset(int number) { close(), number_ = number; }
    void close() {
        if (number_ >= 0) ::close(std::exchange(number_, -1));
    }
    int number() const { return number_; }

  private:
    int number_;
};

[[noreturn]] void fail_to_start(int error) {
    throw Error("cannot start gnuplot", std::strerror(error), "");
}

void make_pipe(Descriptor& reader, Descriptor& writer) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail_to_start(errno);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
}

/// A socket pair in place of a pipe, because send() can be told to raise no SIGPIPE when gnuplot stops
/// reading.
void make_socket_pair(Descriptor& ours, Descriptor& theirs) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail_to_start(errno);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
}

/// A child process that is waited for, and killed first if we leave early.
class Child {
  public:
    Child(const std::filesystem::path& program, int in, int out, int error_out) {
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, error_out, STDERR_FILENO);
        std::string name = program.string();
        std::string no_startup_file = "-d";
        std::array<char*, 3> arguments{name.data(), no_startup_file.data(), nullptr};
        const int error =
            ::posix_spawn(&process_, name.c_str(), &actions, nullptr, arguments.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        if (error != 0) fail_to_start(error);
    }
    ~Child() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        wait();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// The wait status.
    int wait() {
        int status = 0;
        const pid_t process = std::exchange(process_, -1);
        while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
        }
        return status;
    }

  private:
    pid_t process_ = -1;
};

/// Append what can be read now; close the descriptor at its end.
void drain(Descriptor& from, std::string& into) {
    std::array<char, 65536> block;
    const ssize_t size = ::read(from.number(), block.data(), block.size());
    if (size > 0) {
        into.append(block.data(), static_cast<std::size_t>(size));
    } else if (size == 0 || (errno != EINTR && errno != EAGAIN)) {
        from.close();
    }
}

/// gnuplot's complaint in one line: without its echo of the prompt, the marker under the wrong word and
/// blanks.
std::string in_one_line(const std::string& complaint) {
    std::string line;
    std::size_t begin = 0;
    while (begin < complaint.size()) {
        std::size_t end = complaint.find('\n', begin);
        if (end == std::string::npos) end = complaint.size();
        std::string part = complaint.substr(begin, end - begin);
        begin = end + 1;
        if (part.rfind("gnuplot>", 0) == 0) continue;
        const std::size_t first = part.find_first_not_of(" \t^");
        if (first == std::string::npos) continue;
        if (!line.empty()) line += ", ";
        line += part.substr(first);
    }
    constexpr std::size_t longest = 400;
    if (line.size() > longest) line = line.substr(0, longest) + "...";
    return line;
}

bool is_program(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

FigureFormat figure_format(const std::filesystem::path& path) {
    std::string extension = path.extension().string();
    for (char& letter : extension)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (extension == ".png") return FigureFormat::png;
    if (extension == ".svg") return FigureFormat::svg;
    if (extension == ".pdf") return FigureFormat::pdf;
    throw Error("cannot draw " + path.string(),
                extension.empty() ? "its name has no extension to tell the format"
                                  : fmt::format("{} is not a format that figures can have", extension),
                "end the name in .png, .svg or .pdf");
}

std::filesystem::path find_gnuplot() {
    const std::string mend = "install it with: apt install gnuplot-nox";
    if (const char* chosen = std::getenv("TOMOGRAPH_GNUPLOT"); chosen != nullptr && *chosen != '\0') {
        if (is_program(chosen)) return chosen;
        throw Error("gnuplot cannot be run",
                    fmt::format("TOMOGRAPH_GNUPLOT names {}, which is no program", chosen), "correct or unset it");
    }
    const char* variable = std::getenv("PATH");
    const std::string folders = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
    std::size_t begin = 0;
    while (begin <= folders.size()) {
        std::size_t end = folders.find(':', begin);
        if (end == std::string::npos) end = folders.size();
        const std::filesystem::path candidate =
            std::filesystem::path(folders.substr(begin, end - begin)) / "gnuplot";
        if (is_program(candidate)) return candidate;
        begin = end + 1;
    }
    throw Error("gnuplot is not installed", "figures are drawn by it and no folder of PATH has it", mend);
}

std::string gnuplot_quote(std::string_view text) {
    std::string quoted = "\"";
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte >= 0x80 || std::isalpha(byte) != 0 || byte == ' ')
            quoted += letter;
        else
            quoted += fmt::format("\\{:03o}", byte);
    }
    return quoted + "\"";
}

std::string run_gnuplot(std::string_view script) {
    const std::filesystem::path program = find_gnuplot();
    Descriptor script_writer, script_reader, picture_reader, picture_writer, complaint_reader,
        complaint_writer;
    make_socket_pair(script_writer, script_reader);
    make_pipe(picture_reader, picture_writer);
    make_pipe(complaint_reader, complaint_writer);
    Child child(program, script_reader.number(), picture_writer.number(), complaint_writer.number());
    script_reader.close();
    picture_writer.close();
    complaint_writer.close();

    // All three at once: gnuplot may fill either of its outputs before it has read the whole script.
    std::string picture, complaint;
    if (script.empty()) script_writer.close();
    while (picture_reader.number() >= 0 || complaint_reader.number() >= 0) {
        std::array<pollfd, 3> ends{pollfd{script_writer.number(), POLLOUT, 0},
                                   pollfd{picture_reader.number(), POLLIN, 0},
                                   pollfd{complaint_reader.number(), POLLIN, 0}};
        if (::poll(ends.data(), ends.size(), -1) < 0) {
            if (errno == EINTR) continue;
            throw Error("lost contact with gnuplot", std::strerror(errno), "");
        }
        if (ends[0].revents != 0) {
            const ssize_t sent =
                ::send(script_writer.number(), script.data(), script.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) script.remove_prefix(static_cast<std::size_t>(sent));
            // A gnuplot that stopped reading says why on its standard error, so that is no failure here.
            const bool refused = sent < 0 && errno != EINTR && errno != EAGAIN;
            if (script.empty() || refused) script_writer.close();
        }
        if (ends[1].revents != 0) drain(picture_reader, picture);
        if (ends[2].revents != 0) drain(complaint_reader, complaint);
    }
    const int status = child.wait();
    const std::string words = in_one_line(complaint);
    if (WIFSIGNALED(status)) {
        throw Error("gnuplot was killed",
                    fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status))), "");
    }
    if (WEXITSTATUS(status) != 0 || picture.empty()) {
        throw Error(
            "gnuplot could not draw the figure",
            words.empty() ? fmt::format("it exited with {} and no message", WEXITSTATUS(status)) : words,
            "version 5.2 or newer with its cairo terminals is needed (apt install gnuplot-nox)");
    }
    return picture;
}

}  // namespace tomograph
