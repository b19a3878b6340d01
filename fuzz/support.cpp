#include <filesystem>
#include <fstream>

#include "fuzz.h"
#include "tomograph/base/file.h"

namespace tomograph::fuzz {
namespace {

constexpr std::string_view kMark = "@@ ";

}  // namespace

std::string without(const std::string& folder, std::string line) {
    for (std::size_t at = 0; (at = line.find(folder, at)) != std::string::npos;) {
        const bool inside = line.compare(at + folder.size(), 1, "/") == 0;
        line.replace(at, folder.size() + (inside ? 1 : 0), inside ? "" : ".");
    }
    return line;
}

bool wrote_good_inputs(int argc, char** argv) {
    constexpr std::string_view kGood = "--good=";
    if (argc != 2 || !std::string_view(argv[1]).starts_with(kGood)) return false;
    const std::filesystem::path folder(argv[1] + kGood.size());
    int number = 0;
    for (const std::string& input : good_inputs())
        std::ofstream(folder / ("good-" + std::to_string(number++)), std::ios::binary) << input;
    return true;
}

EditedFolder::EditedFolder(const test::TempFolder& folder) : folder_(folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
        if (entry.is_regular_file())
            files_[std::filesystem::relative(entry.path(), folder.path()).string()] = read_file(entry.path());
    }
}

std::vector<std::string> EditedFolder::inputs() const {
    std::vector<std::string> inputs;
    for (const auto& [name, bytes] : files_) inputs.push_back(std::string(kMark) + name + "\n" + bytes);
    return inputs;
}

void EditedFolder::apply(const std::string& input) {
    for (const std::string& name : changed_) folder_.write(name, files_.at(name));
    changed_.clear();
    for (std::size_t begin = 0; begin < input.size();) {
        const std::size_t name_end = std::min(input.find('\n', begin), input.size());
        const std::size_t bytes = std::min(name_end + 1, input.size());
        std::size_t end = input.find("\n" + std::string(kMark), bytes);
        if (end == std::string::npos) end = input.size();
        const std::string line = input.substr(begin, name_end - begin);
        if (line.starts_with(kMark) && files_.contains(line.substr(kMark.size()))) {
            changed_.push_back(line.substr(kMark.size()));
            folder_.write(changed_.back(), input.substr(bytes, end - bytes));
        }
        begin = std::min(end + 1, input.size());
    }
}

}  // namespace tomograph::fuzz
