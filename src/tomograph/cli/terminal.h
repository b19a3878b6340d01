#pragma once
#include <chrono>
#include <string>

#include "tomograph/base/progress.h"

namespace tomograph {

/// Progress on standard error: one line that is redrawn on a terminal, a plain line now and then in a log,
/// both with rate and time left. stop_requested() turns true on the first Ctrl-C; the second one ends the
/// process.
class TerminalProgress final : public Progress {
  public:
    TerminalProgress();
    void begin(const std::string& task, std::int64_t total, const std::string& unit) override;
    void update(std::int64_t done) override;
    void end() override;
    bool stop_requested() const override;

    /// Clear the line under way, so that a message does not run into it.
    void clear();

  private:
    void print(std::int64_t done);

    bool terminal_;
    bool drawn_ = false;
    std::string task_, unit_;
    std::int64_t total_ = 0;
    std::chrono::steady_clock::time_point began_, printed_;
};

/// "1 min 20 s".
std::string duration_text(double seconds);
/// "1.2 GB".
std::string bytes_text(double bytes);

}  // namespace tomograph
