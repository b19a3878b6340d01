#include "tomograph/sources/cached.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <regex>

#include "tomograph/sources/hub.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

fs::path cache_of(const char* program) {
    if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0')
        return fs::path(xdg) / program;
    const char* home = std::getenv("HOME");
    return fs::path(home != nullptr ? home : "") / ".cache" / program;
}

/// GGUF files below a folder; of a model in parts the first, with the bytes and the number of all.
std::map<fs::path, CachedModel> models_below(const fs::path& folder, bool deep) {
    static const std::regex part("-([0-9]{5})-of-[0-9]{5}\\.gguf$");
    std::map<fs::path, CachedModel> models;
    std::error_code error;
    fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
    for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
        if (!deep && at->is_directory(error)) at.disable_recursion_pending();
        const fs::path& path = at->path();
        if (path.extension() != ".gguf" || !at->is_regular_file(error)) continue;
        const std::string name = path.string();
        std::smatch match;
        const bool parted = std::regex_search(name, match, part);
        CachedModel& model = models[parted ? match.prefix().str() : name];
        std::error_code gone;
        const auto bytes = fs::file_size(path, gone);
        model.n_files = model.bytes == 0 ? 1 : model.n_files + 1;
        model.bytes += gone ? 0 : bytes;
        if (model.path.empty() || path < model.path) model.path = path;
    }
    return models;
}

}  // namespace

fs::path cache_folder() {
    if (const char* own = std::getenv("TOMOGRAPH_CACHE"); own != nullptr && *own != '\0') return own;
    return cache_of("tomograph");
}

std::vector<CachedModel> cached_models(const fs::path& hub_cache) {
    std::vector<CachedModel> models;
    for (const fs::path& folder : {cache_folder(), cache_of("llama.cpp")}) {
        for (auto& [stem, model] : models_below(folder, false)) {
            model.name = model.path.string();
            models.push_back(std::move(model));
        }
    }
    std::error_code error;
    fs::directory_iterator repositories(hub_cache, error);
    for (const fs::directory_iterator end; !error && repositories != end; repositories.increment(error)) {
        std::string name = repositories->path().filename().string();
        const std::string front = "models--";
        const auto dashes = name.find("--", front.size());
        if (!name.starts_with(front) || dashes == std::string::npos) continue;
        name = name.substr(front.size(), dashes - front.size()) + "/" + name.substr(dashes + 2);
        // By file the newest snapshot that has it.
        std::map<std::string, std::pair<fs::file_time_type, CachedModel>> newest;
        std::error_code none;
        fs::directory_iterator snapshots(repositories->path() / "snapshots", none);
        for (; !none && snapshots != end; snapshots.increment(none)) {
            for (auto& [stem, model] : models_below(snapshots->path(), true)) {
                const std::string file = model.path.lexically_relative(snapshots->path()).string();
                model.name = HubName{name, "main", file}.text();
                std::error_code gone;
                const auto written = fs::last_write_time(model.path, gone);
                auto& kept = newest[file];
                if (kept.second.name.empty() || kept.first < written) kept = {written, std::move(model)};
            }
        }
        for (auto& [file, dated] : newest) models.push_back(std::move(dated.second));
    }
    std::ranges::sort(models, {}, &CachedModel::name);
    return models;
}

}  // namespace tomograph
