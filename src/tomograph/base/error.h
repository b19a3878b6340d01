#pragma once
#include <stdexcept>
#include <string>

namespace tomograph {

/// The one exception that tomograph throws on purpose: what failed, why, and how to mend it.
/// The command line prints it as one line and exits 1.
class Error : public std::runtime_error {
  public:
    /// `why` and `mend` may be empty. None of them ends with a full stop.
    Error(const std::string& what_failed, const std::string& why, const std::string& mend)
        : std::runtime_error(join(what_failed, why, mend)) {}

  private:
    static std::string join(const std::string& what_failed, const std::string& why, const std::string& mend) {
        std::string line = what_failed;
        if (!why.empty()) line += ": " + why;
        if (!mend.empty()) line += "; " + mend;
        return line;
    }
};

/// Thrown when a Progress was asked to stop (Ctrl-C). The command line exits 130.
class Stopped : public std::runtime_error {
  public:
    explicit Stopped(const std::string& what_is_kept) : std::runtime_error("stopped: " + what_is_kept) {}
};

}  // namespace tomograph
