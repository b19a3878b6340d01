#pragma once
#include <stdexcept>
#include <string>

namespace tomograph {

/// The one exception that tomograph throws on purpose: what failed, why, and how to mend it.
/// The command line prints it as one line and exits 1. What a hostile file puts into a message stays
/// harmless: line breaks, control characters and bytes that are not UTF-8 are shown as text, a part that is
/// longer than a line has use for is cut.
class Error : public std::runtime_error {
  public:
    /// `why` and `mend` may be empty. None of them ends with a full stop.
    Error(const std::string& what_failed, const std::string& why, const std::string& mend)
        : std::runtime_error(join(what_failed, why, mend)) {}

  private:
    static std::string join(const std::string& what_failed, const std::string& why, const std::string& mend);
};

/// Thrown when a Progress was asked to stop (Ctrl-C). The command line exits 130.
class Stopped : public std::runtime_error {
  public:
    explicit Stopped(const std::string& what_is_kept) : std::runtime_error("stopped: " + what_is_kept) {}
};

}  // namespace tomograph
