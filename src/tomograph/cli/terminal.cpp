#include "tomograph/cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tomograph/base/text.h"
#include "tomograph/cli/print.h"

namespace tomograph {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int signal) {
    if (interrupted != 0) _exit(128 + signal);
    interrupted = 1;
}

/// A standard error that cannot be written to is no reason to stop.
void draw(const std::string& text) {
    (void)std::fputs(text.c_str(), stderr);
}

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLogEvery = std::chrono::seconds(10);

}  // namespace

TerminalProgress::TerminalProgress() : terminal_(::isatty(STDERR_FILENO) != 0) {
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

void TerminalProgress::begin(const std::string& task, std::int64_t total, const std::string& unit) {
    task_ = task;
    unit_ = unit;
    total_ = total;
    began_ = printed_ = std::chrono::steady_clock::now();
}

void TerminalProgress::update(std::int64_t done) {
    if (is_quiet()) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - printed_ < (terminal_ ? kRedraw : kLogEvery)) return;
    printed_ = now;
    print(done);
}

void TerminalProgress::print(std::int64_t done) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    std::string line = fmt::format("{}: {} of {} {}", without_controls(task_, false), done, total_, unit_);
    if (rate > 0)
        line += fmt::format(", {:.{}f} a second, {} left", rate, rate < 10 ? 1 : 0,
                            duration_text(static_cast<double>(total_ - done) / rate));
    if (terminal_) {
        draw("\r\033[K" + line);
        std::fflush(stderr);
        drawn_ = true;
    } else {
        draw(line + "\n");
    }
}

void TerminalProgress::clear() {
    if (drawn_) draw("\r\033[K");
    drawn_ = false;
}

void TerminalProgress::end() {
    clear();
}
bool TerminalProgress::stop_requested() const {
    return interrupted != 0;
}

std::string duration_text(double seconds) {
    if (seconds < 60) return fmt::format("{:.0f} s", seconds);
    const auto whole = static_cast<long>(seconds + 0.5);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string bytes_text(double bytes) {
    static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

}  // namespace tomograph
