#include "tomograph/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"

namespace tomograph {

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    const OutputTarget target = output_target(path_);
    if (target.kind == OutputTarget::Kind::stream) {
        descriptor_ = open_stream(target);
        if (target.is_standard_output()) path_ = "standard output";
        return;  // without a temporary name: what is written has gone out
    }
    path_ = target.path;
    temporary_ = path_.string() + ".tmp";
    descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
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
