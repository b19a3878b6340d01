#pragma once
#include <string>
#include <vector>

#include "tomograph/base/json.h"

namespace tomograph {

/// Between single quotes, as shells read it.
std::string shell_quoted(const std::string& text);
/// How the program is called with these words, for the files that it writes and as a hint: as typed, but for
/// --out, --part, --force and --resume, which say nothing of what is in them. Words that a shell would take
/// apart are quoted.
std::string command_text(const std::vector<std::string>& arguments);
/// The same of this process, once main() has said it.
const std::string& this_command();
void set_this_command(std::string text);

/// To standard output, indented. Bytes that are no UTF-8 are replaced.
void print_json(const Json& json);

}  // namespace tomograph
