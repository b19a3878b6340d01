#include "tomograph/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"

namespace tomograph {
namespace {

constexpr std::string_view kTemporary = ".tmp";
constexpr ssize_t kWorthTheDisk = 1 << 16;  // bytes of one write that it is told of

/// A new file beside `path` under a name that nobody else uses, and its descriptor; -1 with errno. It stays
/// locked while its process lives, which is how remove_abandoned() tells what was left by a killed one.
int create_temporary(const std::filesystem::path& path, std::filesystem::path& temporary) {
    static std::atomic<unsigned> count = 0;
    while (true) {
        temporary = fmt::format("{}.{}-{}{}", path.string(), ::getpid(), count++, kTemporary);
        const int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (descriptor < 0) {
            if (errno == EEXIST) continue;  // another container, with the same process numbers
            return -1;
        }
        // Between these two calls a cleaner may have taken the file for abandoned; then it is gone. A file
        // system without locks is written to all the same.
        struct stat status{};
        if ((::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
            ::fstat(descriptor, &status) == 0 && status.st_nlink > 0)
            return descriptor;
        ::close(descriptor);
    }
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    const OutputTarget target = output_target(path_);
    if (target.kind == OutputTarget::Kind::stream) {
        descriptor_ = open_stream(target);
        if (target.is_standard_output()) path_ = "standard output";
        return;  // without a temporary name: what is written has gone out
    }
    path_ = target.path;
    descriptor_ = create_temporary(path_, temporary_);
    if (descriptor_ < 0) fail("create");
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
    const std::uint64_t begin = end_;
    end_ += bytes.size();
    if (!temporary_.empty()) return write_at(begin, bytes.data(), bytes.size());
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) fail("write");
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void AtomicFile::write_at(std::uint64_t offset, const void* bytes, std::size_t size) {
    if (temporary_.empty())
        throw Error("cannot write " + path_.string(),
                    "it is no file, and this is not written from front to back", "name a file");
    const auto* next = static_cast<const char*>(bytes);
    while (size > 0) {
        const ssize_t written = ::pwrite(descriptor_, next, size, static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) fail("write");
        // The disk begins now, not when a sync waits for all of it.
        if (written >= kWorthTheDisk)
            (void)::sync_file_range(descriptor_, static_cast<off_t>(offset), written, SYNC_FILE_RANGE_WRITE);
        next += written;
        offset += static_cast<std::uint64_t>(written);
        size -= static_cast<std::size_t>(written);
    }
}

void AtomicFile::reserve(std::uint64_t size) {
    if (temporary_.empty()) return;
    const int error = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
    // Some file systems cannot reserve; writing will then find a full disk by itself.
    if (error == EINVAL || error == EOPNOTSUPP) return;
    if (error != 0) {
        errno = error;
        fail("reserve room for");
    }
}

void AtomicFile::sync() {
    if (temporary_.empty()) return;
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) fail("write");
}

void AtomicFile::commit() {
    if (::close(std::exchange(descriptor_, -1)) != 0) {
        const int error = errno;
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
        errno = error;
        fail("close");
    }
    if (temporary_.empty()) return;
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
        const int error = errno;
        ::unlink(temporary_.c_str());
        errno = error;
        fail("rename to");
    }
}

void AtomicFile::fail(const char* verb) const {
    const int error = errno;
    throw Error(fmt::format("cannot {} {}", verb, path_.string()), std::strerror(error),
                error == ENOSPC || error == EDQUOT ? "free some disk space or write elsewhere" : "");
}

void sync_folder(const std::filesystem::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)::fsync(descriptor);
    ::close(descriptor);
}

bool is_temporary(const std::filesystem::path& name) {
    // NAME.PID-N.tmp
    const std::string text = name.filename().string();
    if (!text.ends_with(kTemporary)) return false;
    const std::string stem = text.substr(0, text.size() - kTemporary.size());
    const std::size_t dot = stem.rfind('.'), dash = stem.rfind('-');
    const auto digits = [&](std::size_t begin, std::size_t end) {
        return begin < end && std::all_of(
                                  stem.begin() + static_cast<std::ptrdiff_t>(begin),
                                  stem.begin() + static_cast<std::ptrdiff_t>(end),
                                  [](unsigned char c) { return std::isdigit(c) != 0; });
    };
    return dot != stem.npos && dot > 0 && dash != stem.npos && dash > dot && digits(dot + 1, dash) &&
           digits(dash + 1, stem.size());
}

void remove_abandoned(const std::filesystem::path& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (!is_temporary(entry.path())) continue;
        const int descriptor = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (descriptor < 0) continue;
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
        ::close(descriptor);
    }
}

MappedFile::MappedFile(const std::filesystem::path& path) {
    // Without O_NONBLOCK a FIFO is waited for until somebody writes to it.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) throw Error("cannot open " + path.string(), std::strerror(errno), "");
    struct stat status{};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        throw Error("cannot open " + path.string(), "it is not a regular file", "");
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) {
        void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
        if (address == MAP_FAILED) {
            const int error = errno;
            ::close(descriptor);
            throw Error("cannot map " + path.string(), std::strerror(error), "");
        }
        data_ = static_cast<const std::byte*>(address);
    }
    ::close(descriptor);
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release() const {
    // Advice: a failure costs memory, nothing else.
    if (data_ != nullptr) (void)::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

std::string xxh3_128(std::span<const std::byte> bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string read_file(const std::filesystem::path& path) {
    const MappedFile file(path);
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace tomograph
