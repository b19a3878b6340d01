#pragma once
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "support/golden.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph::test {

/// A copy of a golden model whose header names a start token, and says whether sequences begin with it.
inline std::filesystem::path with_start_token(const TempFolder& folder, const std::string& model,
                                              std::int32_t token, bool adds_it = true) {
    std::string file = read_file(golden_model(model));
    // The last byte of this entry is its value; 4 bytes of type stand before it.
    const std::string adds = "tokenizer.ggml.add_bos_token";
    const std::size_t at = file.find(adds);
    if (at == std::string::npos) throw std::runtime_error(model + " has no entry to change");
    file.at(at + adds.size() + 4) = adds_it ? '\1' : '\0';

    const auto bytes = [](auto number) {
        return std::string(reinterpret_cast<const char*>(&number), sizeof number);
    };
    constexpr std::uint32_t kUint32 = 4, kBool = 7;
    const auto key = [&](const std::string& name) { return bytes(std::uint64_t{name.size()}) + name; };
    // Together 64 bytes, so that the tensors stay aligned.
    const std::string entries = key("tokenizer.ggml.bos_token_id") + bytes(kUint32) + bytes(token) +
                                key("test.pad") + bytes(kBool) + std::string(1, '\0');
    if (entries.size() != 64) throw std::runtime_error("the entries are not aligned");
    constexpr std::size_t kCount = 16, kFirstEntry = 24;
    std::uint64_t count = 0;
    file.copy(reinterpret_cast<char*>(&count), sizeof count, kCount);
    file.replace(kCount, sizeof count, bytes(count + 2));
    file.insert(kFirstEntry, entries);
    return folder.write(model + ".gguf", file);
}

}  // namespace tomograph::test
