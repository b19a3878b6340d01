#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tomograph {

/// A file that appears under its final name complete or not at all: written beside it under a name of its own
/// (NAME.PID-N.tmp), renamed by commit(), deleted when it goes out of scope uncommitted. Two processes that
/// write one file do not meet: the last to commit wins, whole. Errors: Error with path and reason (disk
/// full).
class AtomicFile {
  public:
    explicit AtomicFile(std::filesystem::path path);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Append.
    void write(std::string_view bytes);
    /// Write at an offset; several threads may do so at once.
    void write_at(std::uint64_t offset, const void* bytes, std::size_t size);
    /// Reserve the file's whole size, so that a full disk shows before the work and not after it.
    void reserve(std::uint64_t size);
    /// To the disk itself, so that not even a power failure loses it; slow. The name follows with commit()
    /// and sync_folder().
    void sync();
    void commit();
    /// Where the bytes are before commit(); empty where they go straight through (base/output.h).
    const std::filesystem::path& temporary() const { return temporary_; }

  private:
    [[noreturn]] void fail(const char* verb) const;
    std::filesystem::path path_;
    std::filesystem::path temporary_;
    int descriptor_ = -1;
    std::uint64_t end_ = 0;
};

/// Names in a folder to the disk itself: after a rename, the rename. Where a file system cannot, nothing is
/// done.
void sync_folder(const std::filesystem::path& folder);

/// Delete what killed processes left half written in a folder (not below it): temporaries of AtomicFile whose
/// process is gone, on this machine or in another container. Those of living processes stay.
void remove_abandoned(const std::filesystem::path& folder);

/// Is this the name of a temporary of AtomicFile?
bool is_temporary(const std::filesystem::path& name);

/// A file mapped read-only. Errors: Error when it cannot be opened.
class MappedFile {
  public:
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    std::span<const std::byte> bytes() const { return {data_, size_}; }
    /// Let go of the pages that were read; the bytes stay readable. Keeps a walk through a large file small.
    void release() const;

  private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// XXH3, 128 bits, as 32 hexadecimal digits: what `xxhsum -H2 FILE` prints.
std::string xxh3_128(std::span<const std::byte> bytes);

/// Whole file as a string. Errors: Error with the path and the reason.
std::string read_file(const std::filesystem::path& path);

}  // namespace tomograph
