#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/temp_folder.h"
#include "tomograph/base/error.h"

/// A fuzzer is one file that defines these two; a driver calls them: main.cpp in every build, libfuzzer.cpp
/// in the preset "fuzz".
namespace tomograph::fuzz {

/// Inputs that are taken, made by the program's own writers: what mutation begins from.
std::vector<std::string> good_inputs();

/// Hand `input` to the parser and use all that it returns. Gives the line that a user would read, "" where
/// the input was taken. Anything that is thrown from here, any signal and any sanitizer's report is a fault.
std::string parse(const std::string& input);

/// The line of the Error that `action` throws, "" when it throws none.
template <class Action>
std::string answer(Action action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

/// `line` without the place of a folder that is another one each time.
std::string without(const std::string& folder, std::string line);

/// If `argv` is --good=FOLDER alone, write the good inputs there, numbered.
bool wrote_good_inputs(int argc, char** argv);

/// A folder whose files an input replaces. Such an input is text: "@@ NAME", a line break, the file's bytes,
/// and so on for more files; a name that the folder does not have is left out.
class EditedFolder {
  public:
    /// Remembers every file that is in `folder` now.
    explicit EditedFolder(const test::TempFolder& folder);
    /// An input for each of its files, as it is.
    std::vector<std::string> inputs() const;
    /// Replace what the input names, and put back what the last one named.
    void apply(const std::string& input);

  private:
    const test::TempFolder& folder_;
    std::map<std::string, std::string> files_;
    std::vector<std::string> changed_;
};

}  // namespace tomograph::fuzz
