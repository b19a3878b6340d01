#include "tomograph/sources/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>
#include <vector>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

std::string digest(const EVP_MD* method, std::string_view before, const std::filesystem::path& path,
                   const std::function<void()>& go_on) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    if (!context || EVP_DigestInit_ex(context.get(), method, nullptr) != 1)
        throw Error("cannot check " + path.string(), "libcrypto refuses the digest", "");
    EVP_DigestUpdate(context.get(), before.data(), before.size());
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error("cannot read " + path.string(), std::strerror(errno), "");
    std::vector<char> block(4 << 20);
    while (file) {
        file.read(block.data(), static_cast<std::streamsize>(block.size()));
        EVP_DigestUpdate(context.get(), block.data(), static_cast<std::size_t>(file.gcount()));
        go_on();
    }
    if (file.bad()) throw Error("cannot read " + path.string(), std::strerror(errno), "");
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context.get(), bytes.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
    return text;
}

}  // namespace

std::string sha256_of(const std::filesystem::path& file, const std::function<void()>& go_on) {
    return digest(EVP_sha256(), {}, file, go_on);
}

std::string git_sha1_of(const std::filesystem::path& file, const std::function<void()>& go_on) {
    std::string before = fmt::format("blob {}", std::filesystem::file_size(file));
    before += '\0';
    return digest(EVP_sha1(), before, file, go_on);
}

}  // namespace tomograph
