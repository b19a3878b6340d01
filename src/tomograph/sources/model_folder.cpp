// What stands in a model folder of Hugging Face, looked at before anything is downloaded for it.
#include <array>
#include <fstream>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/sources/converter.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPointer = "version https://git-lfs";

bool is_pointer(const fs::path& file) {
    std::array<char, kPointer.size()> front{};
    std::ifstream(file, std::ios::binary).read(front.data(), front.size());
    return std::string_view(front.data(), front.size()) == kPointer;
}

bool is_weights(const fs::path& file) {
    const std::string name = file.filename().string();
    return name.ends_with(".safetensors") || (name.starts_with("pytorch_model") && name.ends_with(".bin"));
}

void check_weights(const fs::path& folder) {
    const std::string what = "cannot convert " + folder.string();
    int weights = 0, pointers = 0;
    std::string pointer;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (!entry.is_regular_file(error)) continue;
        const bool its = is_weights(entry.path());
        weights += its;
        if (its || entry.path().filename().string().starts_with("tokenizer")) {
            if (!is_pointer(entry.path())) continue;
            ++pointers;
            pointer = entry.path().filename().string();
        }
    }
    if (pointers > 0)
        throw Error(what, pointer + " is Git LFS's pointer to a file, some lines of text",
                    "fetch the files themselves with: git lfs pull");
    if (weights == 0)
        throw Error(what, "it has no weights: no .safetensors file and no pytorch_model.bin",
                    "download the whole folder");
    for (const char* name : {"model.safetensors.index.json", "pytorch_model.bin.index.json"}) {
        if (!fs::exists(folder / name, error)) continue;
        const Json index = read_json(folder / name);
        const auto map = index.find("weight_map");
        if (map == index.end() || !map->is_object()) continue;
        for (const auto& [tensor, file] : map->items()) {
            if (file.is_string() && !fs::exists(folder / file.get<std::string>(), error))
                throw Error(what, file.get<std::string>() + " is missing, which " + name + " names",
                            "download the whole folder");
        }
    }
}

}  // namespace

std::string check_model_folder(const fs::path& folder) {
    const std::string what = "cannot convert " + folder.string();
    std::error_code error;
    if (!fs::exists(folder, error)) throw Error(what, "no such folder", "");
    if (!fs::is_directory(folder, error))
        throw Error(what, "it is a file",
                    folder.extension() == ".gguf" ? "a GGUF file is read as it is"
                                                  : "give the folder that holds config.json");
    if (!fs::exists(folder / "config.json", error)) {
        if (fs::exists(folder / "adapter_config.json", error))
            throw Error(what, "it is an adapter (LoRA), which changes a model",
                        "merge it into its model with peft's merge_and_unload and convert the result");
        if (fs::exists(folder / "snapshots", error))
            throw Error(what, "it is a repository in the hub's cache",
                        "give one of the folders in snapshots");
        for (const auto& entry : fs::directory_iterator(folder, error)) {
            if (entry.path().extension() == ".gguf")
                throw Error(what, "it holds GGUF files, which need no conversion",
                            "give one of them where a model is asked for: " + entry.path().string());
        }
        throw Error(what, "it has no config.json", "give a model folder of Hugging Face");
    }
    if (is_pointer(folder / "config.json"))
        throw Error(what, "config.json is Git LFS's pointer to a file, some lines of text",
                    "fetch the files themselves with: git lfs pull");
    const Json config = read_json(folder / "config.json");
    const auto names = config.is_object() ? config.find("architectures") : config.end();
    if (!config.is_object() || names == config.end() || !names->is_array() || names->empty() ||
        !names->front().is_string())
        throw Error(what, "its config.json names no architecture",
                    "give a folder that transformers can open");
    check_weights(folder);
    return names->front().get<std::string>();
}

}  // namespace tomograph
