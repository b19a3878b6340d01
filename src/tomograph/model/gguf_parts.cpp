// Opening what was given for a model: told apart by what it is before llama.cpp sees it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/model/gguf_check.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConvert = "convert the model's folder: tomograph convert FOLDER --out FILE.gguf";

[[noreturn]] void refuse_folder(const std::string& path, const std::string& shown) {
    std::error_code error;
    if (fs::exists(fs::path(path) / "config.json", error))
        throw Error(shown + " is not a GGUF file", "it is a model folder of Hugging Face",
                    "convert it: tomograph convert " + shown + " --out FILE.gguf");
    for (const auto& entry : fs::directory_iterator(path, error)) {
        if (entry.path().extension() == ".gguf")
            throw Error(shown + " is not a model", "it is a folder",
                        "give a file in it, such as " + entry.path().string());
    }
    throw Error(shown + " is not a model", "it is a folder", "give a .gguf file");
}

/// What does not begin with GGUF, as far as it can be told.
[[noreturn]] void refuse_other(std::string_view front, const std::string& shown) {
    const std::string what = shown + " is not a GGUF file";
    if (front.starts_with("version https://git-lfs"))
        throw Error(what, "it is Git LFS's pointer to one, some lines of text",
                    "fetch the file itself with: git lfs pull");
    if (front.starts_with("<!") || front.starts_with("<html"))
        throw Error(what, "it is a page of HTML, as a failed download leaves it", "download the file itself");
    if (front.starts_with("PK")) throw Error(what, "it is a zip archive, as PyTorch writes", kConvert);
    if (front.size() > 9 && front.substr(8).starts_with("{\""))
        throw Error(what, "it is a safetensors file", kConvert);
    if (front.starts_with("ggjt") || front.starts_with("tjgg") || front.starts_with("lmgg"))
        throw Error(what, "it is of a format before GGUF", "convert the model again");
    throw Error(what, "it does not begin with the letters GGUF", kConvert);
}

/// GGUF files that hold something else than a model.
void refuse_other_kinds(const gguf_context* gguf, const std::string& shown) {
    const std::string type = gguf_string(gguf, "general.type").value_or("model");
    const std::string architecture = gguf_string(gguf, "general.architecture").value_or("");
    const std::string what = shown + " is not a language model";
    if (type == "adapter")
        throw Error(what, "it is an adapter (LoRA), which changes a model",
                    "merge it into its model with llama.cpp's llama-export-lora and give the result");
    if (type == "imatrix")
        throw Error(what, "it is an importance matrix, which only quantising uses", "give the model");
    if (architecture == "controlvector")
        throw Error(what, "it is a control vector, which is added to a model's stream", "give the model");
    if (type == "mmproj" || architecture == "clip")
        throw Error(what, "it is the part of a model that sees images", "give the part that reads text");
    if (architecture == "eagle3" || architecture == "dflash" || architecture == "gemma4-assistant")
        throw Error(what, "it is a draft head, which guesses on from the states of a larger model",
                    "give that model");
    if (architecture == "wavtokenizer-dec")
        throw Error(what, "it turns codes into sound", "give the part that reads text");
    const bool split = gguf_find_key(gguf, "split.count") >= 0;  // whose first part may hold no weights
    if (type == "vocab" ||
        (gguf_get_n_tensors(gguf) == 0 && !split && gguf_find_key(gguf, "tokenizer.ggml.tokens") >= 0))
        throw Error(what, "it holds a vocabulary alone, without weights", "give the whole model");
}

/// A whole number of 16 bits; none where the key is absent or of another type.
std::optional<int> small_number(const gguf_context* gguf, const char* key) {
    const std::int64_t id = gguf_find_key(gguf, key);
    if (id < 0 || gguf_get_kv_type(gguf, id) != GGUF_TYPE_UINT16) return std::nullopt;
    return gguf_get_val_u16(gguf, id);
}

std::string ending(int part, int count) {
    return fmt::format("-{:05}-of-{:05}.gguf", part + 1, count);
}

}  // namespace

Gguf open_gguf(const std::string& path, const std::string& shown) {
    std::error_code error;
    if (!fs::exists(path, error)) {
        throw Error("no model at " + shown, "no such file",
                    "give a .gguf file, or bytes-gpt2 or bytes-llama, which are built in");
    }
    if (fs::is_directory(path, error)) refuse_folder(path, shown);
    if (!fs::is_regular_file(path, error))
        throw Error(shown + " is not a model", "it is no regular file", "give a .gguf file");
    std::array<char, 32> front{};
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error("cannot read " + shown, std::strerror(errno), "");
    file.read(front.data(), front.size());
    const std::string_view begin(front.data(), static_cast<std::size_t>(file.gcount()));
    if (!begin.starts_with("GGUF")) refuse_other(begin, shown);
    file.close();
    check_gguf(MappedFile(path).bytes(), shown);
    clear_llama_errors();
    Gguf gguf(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
    if (!gguf)
        throw Error("cannot read the header of " + shown, last_llama_error(),
                    "the file is cut or damaged; download it again");
    refuse_other_kinds(gguf.get(), shown);
    // Parts of a split model but the first have no more than their number.
    if (!gguf_string(gguf.get(), "general.architecture") &&
        small_number(gguf.get(), "split.no").value_or(0) == 0)
        throw Error(shown + " is not a language model", "its header names no architecture", "");
    return gguf;
}

std::vector<ModelPart> open_parts(const std::string& path, const std::string& shown) {
    std::vector<ModelPart> parts;
    parts.push_back({path, open_gguf(path, shown)});
    const int count = small_number(parts[0].gguf.get(), "split.count").value_or(1);
    const int number = small_number(parts[0].gguf.get(), "split.no").value_or(0);
    if (count <= 1) return parts;
    if (number != 0) {
        const bool named = shown.ends_with(ending(number, count));
        const std::string stem = named ? shown.substr(0, shown.size() - ending(number, count).size()) : "";
        throw Error(fmt::format("{} is part {} of a model in {} parts", shown, number + 1, count),
                    "a model is opened by its first part",
                    named ? "give " + stem + ending(0, count)
                          : fmt::format("give the file whose name ends in {}", ending(0, count)));
    }
    if (!path.ends_with(ending(0, count)))
        throw Error(fmt::format("{} is part 1 of a model in {} parts, and was renamed", shown, count),
                    "the other parts are found by its name",
                    fmt::format("let its name end in {} again, beside the others", ending(0, count)));
    const std::string stem = path.substr(0, path.size() - ending(0, count).size());
    for (int i = 1; i < count; ++i) {
        const std::string other = stem + ending(i, count);
        std::error_code error;
        if (!fs::exists(other, error))
            throw Error(fmt::format("part {} of {} of {} is missing", i + 1, count, shown),
                        "there is no " + other, "put all parts into one folder");
        parts.push_back({other, open_gguf(other, other)});
        const gguf_context* its = parts.back().gguf.get();
        if (small_number(its, "split.no") != i || small_number(its, "split.count") != count)
            throw Error(other + " is another part than its name says", "", "download it again");
    }
    return parts;
}

}  // namespace tomograph
