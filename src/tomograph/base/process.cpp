#include "tomograph/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "tomograph/base/error.h"

extern char** environ;

namespace tomograph {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
  public:
    ~Descriptor() { close(); }
    Descriptor() = default;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    void reset(int number) { close(), number_ = number; }
    void close() {
        if (number_ >= 0) ::close(std::exchange(number_, -1));
    }
    int number() const { return number_; }

  private:
    int number_ = -1;
};

[[noreturn]] void fail_to_start(const std::filesystem::path& program, int error) {
    throw Error("cannot start " + program.filename().string(), std::strerror(error), "");
}

/// What a child's first three descriptors become.
class Actions {
  public:
    Actions() { ::posix_spawn_file_actions_init(&actions_); }
    ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    void take(const Descriptor& from, int number) {
        ::posix_spawn_file_actions_adddup2(&actions_, from.number(), number);
    }
    void silence(int number) {
        ::posix_spawn_file_actions_addopen(&actions_, number, "/dev/null", O_RDWR, 0);
    }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_{};
};

pid_t spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments,
            const Actions& actions) {
    std::string name = program.string();
    std::vector<std::string> words = arguments;
    std::vector<char*> argv{name.data()};
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t child = -1;
    const int error = ::posix_spawn(&child, name.c_str(), actions.get(), nullptr, argv.data(), environ);
    if (error != 0) fail_to_start(program, error);
    return child;
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/// A child that is waited for, and killed first if we leave early.
class Child {
  public:
    explicit Child(pid_t process) : process_(process) {}
    ~Child() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        wait_for(process_);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    int wait() { return wait_for(std::exchange(process_, -1)); }

  private:
    pid_t process_;
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

}  // namespace

bool is_program(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
    const char* variable = std::getenv("PATH");
    const std::string folders = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
    for (std::size_t begin = 0; begin <= folders.size();) {
        const std::size_t end = std::min(folders.find(':', begin), folders.size());
        const auto candidate = std::filesystem::path(folders.substr(begin, end - begin)) / name;
        if (is_program(candidate)) return candidate;
        begin = end + 1;
    }
    return std::nullopt;
}

Finished run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                     std::string_view input, const std::function<void(std::string_view)>& hear) {
    Descriptor input_writer, input_reader, out_reader, out_writer, error_reader, error_writer;
    std::array<int, 2> ends{};
    // A socket pair in place of a pipe, because send() can be told to raise no SIGPIPE when the program stops
    // reading.
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail_to_start(program, errno);
    input_writer.reset(ends[0]), input_reader.reset(ends[1]);
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail_to_start(program, errno);
    out_reader.reset(ends[0]), out_writer.reset(ends[1]);
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail_to_start(program, errno);
    error_reader.reset(ends[0]), error_writer.reset(ends[1]);
    Actions actions;
    actions.take(input_reader, STDIN_FILENO);
    actions.take(out_writer, STDOUT_FILENO);
    actions.take(error_writer, STDERR_FILENO);
    Child child(spawn(program, arguments, actions));
    input_reader.close();
    out_writer.close();
    error_writer.close();

    // All three at once: the program may fill either of its outputs before it has read the whole input.
    Finished finished;
    if (input.empty()) input_writer.close();
    while (out_reader.number() >= 0 || error_reader.number() >= 0) {
        std::array<pollfd, 3> polled{pollfd{input_writer.number(), POLLOUT, 0},
                                     pollfd{out_reader.number(), POLLIN, 0},
                                     pollfd{error_reader.number(), POLLIN, 0}};
        constexpr int kAskEvery = 200;  // milliseconds
        const int ready = ::poll(polled.data(), polled.size(), hear ? kAskEvery : -1);
        if (ready < 0 && errno != EINTR)
            throw Error("lost contact with " + program.filename().string(), std::strerror(errno), "");
        if (ready <= 0) {
            if (hear) hear({});
            continue;
        }
        if (polled[0].revents != 0) {
            const ssize_t sent =
                ::send(input_writer.number(), input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) input.remove_prefix(static_cast<std::size_t>(sent));
            const bool refused = sent < 0 && errno != EINTR && errno != EAGAIN;
            if (input.empty() || refused) input_writer.close();
        }
        const auto take = [&](Descriptor& from, std::string& into) {
            const std::size_t before = into.size();
            drain(from, into);
            if (hear) hear(std::string_view(into).substr(before));
        };
        if (polled[1].revents != 0) take(out_reader, finished.out);
        if (polled[2].revents != 0) take(error_reader, finished.error_out);
    }
    const int status = child.wait();
    if (WIFSIGNALED(status))
        finished.signal = WTERMSIG(status);
    else
        finished.code = WEXITSTATUS(status);
    return finished;
}

void start_program(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
    Actions actions;
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) actions.silence(number);
    try {
        std::thread(wait_for, spawn(program, arguments, actions)).detach();
    } catch (const Error&) {
        // its own affair
    } catch (const std::system_error&) {
        // no thread: a program that ended stays in the process table until we end
    }
}

}  // namespace tomograph
