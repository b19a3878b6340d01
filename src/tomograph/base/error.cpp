#include "tomograph/base/error.h"

#include "tomograph/base/text.h"

namespace tomograph {
namespace {

/// Room for a list of every site of a large model's layer, and for two long paths.
constexpr std::size_t kLongest = 2000;

std::string one_line(const std::string& part) {
    if (part.size() <= kLongest) return without_controls(part, false);
    std::size_t end = kLongest;
    while (end > kLongest - 3 && (static_cast<unsigned char>(part[end]) & 0xc0) == 0x80) --end;
    return without_controls(part.substr(0, end), false) + "…";
}

}  // namespace

std::string Error::join(const std::string& what_failed, const std::string& why, const std::string& mend) {
    std::string line = one_line(what_failed);
    if (!why.empty()) line += ": " + one_line(why);
    if (!mend.empty()) line += "; " + one_line(mend);
    return line;
}

}  // namespace tomograph
