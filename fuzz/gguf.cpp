// A model file's header. The tensors' bytes are looked at by nobody here, so inputs hold few of them.
#include "fuzz.h"
#include "tomograph/base/file.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"
#include "tomograph/model/model.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

template <class Number>
std::string bytes(Number number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
}
std::string text(const std::string& value) {
    return bytes(std::uint64_t{value.size()}) + value;
}

}  // namespace

std::vector<std::string> good_inputs() {
    constexpr std::uint32_t kUint32 = 4, kFloat = 6, kBool = 7, kString = 8, kArray = 9;
    const std::string head = "GGUF" + bytes(std::uint32_t{3});
    const std::string entries = text("general.architecture") + bytes(kString) + text("llama") +
                                text("llama.block_count") + bytes(kUint32) + bytes(std::uint32_t{2}) +
                                text("tokenizer.ggml.tokens") + bytes(kArray) + bytes(kString) +
                                bytes(std::uint64_t{2}) + text("a") + text("b") + text("x") + bytes(kBool) +
                                std::string(1, '\1') + text("y") + bytes(kFloat) + bytes(1.5f);
    std::string file = head + bytes(std::uint64_t{1}) + bytes(std::uint64_t{5}) + entries;
    file += text("token_embd.weight") + bytes(std::uint32_t{2}) + bytes(std::uint64_t{8}) +
            bytes(std::uint64_t{2}) + bytes(std::uint32_t{0}) + bytes(std::uint64_t{0});
    file.resize((file.size() + 31) / 32 * 32);
    return {file + std::string(64, '\0')};
}

std::string parse(const std::string& input) {
    start_llama();
    const auto path = folder().write("x.gguf", input);
    return without(folder().path(), answer([&] {
                       const Gguf gguf = open_gguf(path, "x.gguf");
                       (void)gguf_string(gguf.get(), "general.architecture");
                       (void)gguf_denies(gguf.get(), "x");
                       (void)gguf_find_tensor(gguf.get(), "token_embd.weight");
                   }));
}

}  // namespace tomograph::fuzz
