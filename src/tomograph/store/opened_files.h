#pragma once
#include <cstddef>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/store/run.h"

/// For the reader of runs alone.
namespace tomograph {

[[noreturn]] inline void does_not_fit(const std::filesystem::path& file, const std::string& why) {
    throw Error(file.string() + " does not fit its run", why, "capture it again");
}

/// Files that are opened when they are first read. The most recent ones stay mapped.
struct Run::Files {
    static constexpr std::size_t kOpenFiles = 512;  // mapped at once; their number is bounded by the system

    std::mutex mutex;
    std::list<std::string> order;  // most recent first
    struct Open {
        std::shared_ptr<const Safetensors> file;
        std::list<std::string>::iterator place;
    };
    std::unordered_map<std::string, Open> open;
    std::map<std::string, std::shared_ptr<const SiteBasis>> bases;  // by site
    std::once_flag pieces_read;
    std::vector<std::string> pieces;

    std::shared_ptr<const Safetensors> get(const std::filesystem::path& run, const std::string& name) {
        const std::lock_guard lock(mutex);
        const auto found = open.find(name);
        if (found != open.end()) {
            order.splice(order.begin(), order, found->second.place);
            return found->second.file;
        }
        auto file = std::make_shared<const Safetensors>(run / name);
        if (open.size() >= kOpenFiles) {
            open.erase(order.back());
            order.pop_back();
        }
        order.push_front(name);
        open[name] = {file, order.begin()};
        return file;
    }
};

}  // namespace tomograph
