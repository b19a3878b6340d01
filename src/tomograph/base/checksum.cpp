#include "tomograph/base/checksum.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "tomograph/base/error.h"

namespace tomograph {

FileChecksum file_checksum(const std::filesystem::path& path) {
    constexpr std::size_t kPiece = 1 << 20;
    const auto fail = [&](const char* why) { throw Error("cannot open " + path.string(), why, ""); };
    // Without O_NONBLOCK a FIFO is waited for until somebody writes to it.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) fail(std::strerror(errno));
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(::fdopen(descriptor, "rb"), std::fclose);
    if (!file) throw std::bad_alloc();
    struct stat status{};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) fail("it is not a regular file");
    std::setbuf(file.get(), nullptr);  // pieces are large enough
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                                XXH3_freeState);
    if (!state) throw std::bad_alloc();
    XXH3_128bits_reset(state.get());
    FileChecksum sum;
    std::vector<char> piece(kPiece);
    while (const std::size_t n = std::fread(piece.data(), 1, piece.size(), file.get())) {
        XXH3_128bits_update(state.get(), piece.data(), n);
        sum.bytes += n;
    }
    if (std::ferror(file.get()) != 0) fail(std::strerror(errno));
    const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
    sum.xxh3_128 = fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
    return sum;
}

}  // namespace tomograph
