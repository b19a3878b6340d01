#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace tomograph {

struct FileChecksum {
    std::uint64_t bytes = 0;
    std::string xxh3_128;  ///< as xxh3_128() of all bytes (base/file.h)
};

/// Of a file's bytes, read from front to back through a small buffer, however large it is. Errors: Error when
/// it cannot be read.
FileChecksum file_checksum(const std::filesystem::path& path);

}  // namespace tomograph
