#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tomograph {

/// Where tomograph keeps what it fetched or made: TOMOGRAPH_CACHE, XDG_CACHE_HOME/tomograph or
/// ~/.cache/tomograph.
std::filesystem::path cache_folder();

/// A model's file that some cache holds.
struct CachedModel {
    std::string name;            ///< what a command takes for MODEL: "hf:org/name:FILE", or the path
    std::filesystem::path path;  ///< of the file; of the first, where there are several
    std::uint64_t bytes = 0;     ///< of all its files
    int n_files = 1;
};
/// GGUF models in the hub's cache, tomograph's own and llama.cpp's, by name. Folders that are not there have
/// none. Of a repository, the newest snapshot that has the file.
std::vector<CachedModel> cached_models(const std::filesystem::path& hub_cache);

}  // namespace tomograph
