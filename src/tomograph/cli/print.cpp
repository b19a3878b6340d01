#include "tomograph/cli/print.h"

#include <cerrno>
#include <cstring>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"
#include "tomograph/base/text.h"

namespace tomograph {
namespace {

bool& quiet() {
    static bool is = false;
    return is;
}

[[noreturn]] void fail_to_print(int error) {
    throw Error("cannot write standard output", error != 0 ? std::strerror(error) : "", "");
}

}  // namespace

bool is_quiet() {
    return quiet();
}

void set_quiet() {
    quiet() = true;
}

void print_text(std::FILE* stream, const std::string& text) {
    if (stream == stderr) return complain_text(text);
    const std::string safe = without_controls(text, true);
    errno = 0;
    if (std::fwrite(safe.data(), 1, safe.size(), stream) != safe.size()) fail_to_print(errno);
}

void complain_text(const std::string& text) {
    const std::string safe = without_controls(text, true);
    (void)std::fwrite(safe.data(), 1, safe.size(), stderr);
}

void flush_output() {
    errno = 0;
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail_to_print(errno);
}

std::FILE* messages_beside(const std::filesystem::path& out) {
    return output_target(out).is_standard_output() ? stderr : stdout;
}

}  // namespace tomograph
