#include "tomograph/cli/part.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/cli/options.h"
#include "tomograph/store/merge.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

std::optional<int> number_of(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<int> variable(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? std::nullopt : number_of(text);
}

/// This task's place in its job array. Arrays with gaps, such as 1,2,7, have none.
std::optional<Part> slurm_part() {
    const auto id = variable("SLURM_ARRAY_TASK_ID"), count = variable("SLURM_ARRAY_TASK_COUNT");
    if (!id || !count) return std::nullopt;
    const int lowest = variable("SLURM_ARRAY_TASK_MIN").value_or(1),
              step = std::max(1, variable("SLURM_ARRAY_TASK_STEP").value_or(1));
    if (*id < lowest || (*id - lowest) % step != 0) return std::nullopt;
    return Part{(*id - lowest) / step + 1, *count};
}

std::optional<Part> ranks(const char* rank_variable, const char* size_variable) {
    const auto rank = variable(rank_variable), size = variable(size_variable);
    if (!rank || !size || *size < 2 || *size > kMostParts || *rank < 0 || *rank >= *size) return std::nullopt;
    return Part{*rank + 1, *size};
}

/// Waits for its turn; none where the folder goes away meanwhile.
std::optional<FolderLock> turn_at(const fs::path& folder) {
    while (true) {
        std::error_code error;
        if (!fs::exists(folder, error)) return std::nullopt;
        try {
            return FolderLock(folder);
        } catch (const Error&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }
}

}  // namespace

std::optional<Part> rank_part() {
    if (const auto part = ranks("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")) return part;
    return ranks("PMI_RANK", "PMI_SIZE");
}

fs::path rank_folder(const fs::path& out, int number) {
    return fs::path(out.string() + ".parts") / std::to_string(number);
}

bool merge_ranks(const fs::path& out, const Part& own, Begin begin, Progress& progress) {
    const fs::path all = rank_folder(out, 1).parent_path();
    const auto turn = turn_at(all);
    if (!turn) return false;
    std::error_code error;
    if (begin != Begin::replace && folder_kind(out) == FolderKind::run && Run::open(out).complete()) {
        // Another process has merged them while this one was looking for its part.
        fs::remove_all(rank_folder(out, own.number), error);
        fs::remove(all, error);
        return false;
    }
    std::vector<fs::path> parts;
    for (int number = 1; number <= own.of; ++number) {
        const fs::path part = rank_folder(out, number);
        if (folder_kind(part) == FolderKind::run) parts.push_back(part);
    }
    if (parts.empty() || !missing_part(parts).empty()) return false;
    // A merge that was killed may have left some of the run.
    merge_runs(parts, out, {.begin = begin == Begin::fresh ? Begin::fresh : Begin::replace}, progress);
    fs::remove_all(all, error);
    return true;
}

Part parse_part(const std::string& text) {
    const std::optional<Part> task = slurm_part();
    if (text.empty()) {
        if (task && task->of > 1)
            print_notes(
                {fmt::format("this is task {} of a job array of {}, and it reads everything; "
                             "--part slurm gives each task its part",
                             task->number, task->of)});
        return {};
    }
    Part part;
    if (text == "slurm") {
        if (!task)
            throw Error("--part slurm outside a job array",
                        "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT do not say which task this is",
                        "use --part i/n");
        part = *task;
        print_notes({fmt::format("part {}/{}, from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT",
                                 part.number, part.of)});
    } else {
        const std::size_t slash = text.find('/');
        const auto number = number_of(std::string_view(text).substr(0, slash));
        const auto of =
            slash == std::string::npos ? std::nullopt : number_of(std::string_view(text).substr(slash + 1));
        if (!number || !of)
            throw Error(fmt::format("--part {} is no part", text), "", "write i/n, such as 1/8, or slurm");
        part = {*number, *of};
    }
    if (part.of < 1 || part.of > kMostParts || part.number < 1 || part.number > part.of)
        throw Error(fmt::format("there is no part {}/{}", part.number, part.of),
                    fmt::format("parts are counted from 1 to their number, at most {}", kMostParts), "");
    return part;
}

}  // namespace tomograph
