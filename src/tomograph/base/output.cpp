#include "tomograph/base/output.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "tomograph/base/error.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

constexpr int kMostLinks = 40;  // as the kernel

/// The descriptor that a path names by number. A name is opened afresh otherwise: from the file's beginning,
/// and beside what its owner writes there.
std::optional<int> own_descriptor(const std::string& path) {
    if (path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
    if (path == "/dev/stderr") return STDERR_FILENO;
    const std::string by_process = "/proc/" + std::to_string(::getpid()) + "/fd/";
    for (const std::string_view folder :
         {std::string_view("/dev/fd/"), std::string_view("/proc/self/fd/"), std::string_view(by_process)}) {
        if (!path.starts_with(folder)) continue;
        int number = -1;
        const char* end = path.data() + path.size();
        const auto parsed = std::from_chars(path.data() + folder.size(), end, number);
        if (parsed.ec == std::errc{} && parsed.ptr == end && number >= 0) return number;
    }
    return std::nullopt;
}

}  // namespace

OutputTarget output_target(const fs::path& path) {
    fs::path real = path;
    for (int links = 0; links <= kMostLinks; ++links) {
        if (const auto descriptor = own_descriptor(real.string()))
            return {OutputTarget::Kind::stream, real, *descriptor};
        struct stat status{};
        if (::lstat(real.c_str(), &status) != 0) {
            // Whatever else is wrong (a missing folder, no permission) shows with its reason when it is
            // opened.
            return {OutputTarget::Kind::absent, real};
        }
        if (S_ISREG(status.st_mode)) return {OutputTarget::Kind::file, real};
        if (S_ISDIR(status.st_mode))
            throw Error("cannot write " + path.string(), "it is a folder", "name a file in it");
        if (!S_ISLNK(status.st_mode)) return {OutputTarget::Kind::stream, real};
        std::error_code error;
        const fs::path next = fs::read_symlink(real, error);
        if (error) throw Error("cannot write " + path.string(), error.message(), "");
        real = real.parent_path() / next;  // an absolute one replaces the whole
    }
    throw Error("cannot write " + path.string(), "its links lead in a circle", "");
}

OutputTarget check_output_file(const fs::path& path, OutputRule rule) {
    OutputTarget target = output_target(path);
    struct stat status{};
    switch (target.kind) {
        case OutputTarget::Kind::absent:
            break;
        case OutputTarget::Kind::file:
            if (!rule.force)
                throw Error(path.string() + " exists", "", "name another file, or add --force to replace it");
            break;
        case OutputTarget::Kind::stream:
            if (rule.file)
                throw Error("cannot write " + path.string(),
                            "it is no file, and this is not written from front to back", "name a file");
            if (!rule.force && target.descriptor < 0 && ::stat(target.path.c_str(), &status) == 0 &&
                S_ISBLK(status.st_mode))
                throw Error(path.string() + " is a disk", "", "name a file, or add --force to overwrite it");
            break;
    }
    return target;
}

int open_stream(const OutputTarget& target) {
    const auto fail = [&](const char* verb) -> int {
        throw Error(std::string("cannot ") + verb + " " + target.path.string(), std::strerror(errno), "");
    };
    if (target.descriptor >= 0) {
        const int descriptor = ::fcntl(target.descriptor, F_DUPFD_CLOEXEC, 0);
        return descriptor >= 0 ? descriptor : fail("write");
    }
    struct stat status{};
    if (::stat(target.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string name = target.path.string();
        if (name.size() >= sizeof(address.sun_path))
            throw Error("cannot connect to " + name, "its path is too long for a socket", "");
        std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
        const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) return fail("connect to");
        if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
            return descriptor;
        const int error = errno;
        ::close(descriptor);
        errno = error;
        return fail("connect to");
    }
    const int descriptor = ::open(target.path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return descriptor >= 0 ? descriptor : fail("open");
}

}  // namespace tomograph
