#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "tomograph/base/progress.h"

namespace tomograph {

struct ConvertOptions {
    /// Of the matrices: f32, f16, bf16, q8_0, or auto: the 16 bits that keep most of what is there.
    std::string type = "auto";
    /// A Python that has what the converter needs; empty: an environment that is made for it, once.
    std::filesystem::path python = {};
    /// Hears what takes long before it begins: how much is downloaded, and where it goes.
    std::function<void(const std::string&)> announce = [](const std::string&) {};
};

/// What a folder of Hugging Face must have before the converter looks at it: config.json, and weights that
/// are weights. Returns the architecture that config.json names. Errors: Error that tells apart a folder that
/// is missing, one of another kind (an adapter, GGUF files, no config.json), Git LFS's pointers and weights
/// that were not downloaded.
std::string check_model_folder(const std::filesystem::path& folder);

/// Write a model folder of Hugging Face as a GGUF, with the converter of the llama.cpp that is linked here,
/// run in an environment below cache_folder() whose every package is pinned by version and checksum. `out`
/// appears complete or not at all. Errors: Stopped; those of check_model_folder; Error for an architecture or
/// a tokenizer that the converter does not know, and where the environment cannot be made.
void convert_model(const std::filesystem::path& folder, const std::filesystem::path& out,
                   const ConvertOptions& options, Progress& progress);

}  // namespace tomograph
