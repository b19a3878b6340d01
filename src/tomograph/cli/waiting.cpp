// How the threads of OpenMP, which llama.cpp computes with, wait for each other: libgomp's own default is to
// spin for a long time, which takes the processor from whoever has work to do. Beside other processes that
// costs more than half of the speed; a thread that soon sleeps costs little on an idle machine.
#include <unistd.h>

#include <climits>
#include <string_view>

// A sanitizer's memory is not there before its own constructor.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TOMOGRAPH_STAYS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TOMOGRAPH_STAYS
#endif
#endif

#ifndef TOMOGRAPH_STAYS
namespace {

/// Iterations: a few microseconds, as most operations of a graph keep one thread waiting for another. With
/// libgomp's 300,000 a capture beside one busy process kept 0.27 of its speed, with these 0.60, and loses
/// nothing alone.
constexpr const char* kSpins = "GOMP_SPINCOUNT=1500";
constexpr int kMostVariables = 4096;

/// libgomp reads its environment in a constructor of its own, before any of the program's, and libc takes its
/// environment from what the process was started with: so the process is started again, from here, before
/// any constructor has run. Where that cannot be done it goes on as it is.
void choose_waiting(int, char** arguments, char** environment) {
    const char* with[kMostVariables + 2];
    int n = 0;
    for (; environment[n] != nullptr; ++n) {
        const std::string_view variable = environment[n];
        if (n == kMostVariables || variable.starts_with("OMP_WAIT_POLICY=") ||
            variable.starts_with("GOMP_SPINCOUNT="))
            return;
        with[n] = environment[n];
    }
    with[n] = kSpins;
    with[n + 1] = nullptr;
    char program[PATH_MAX];
    const ssize_t length = ::readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return;
    program[length] = '\0';
    ::execve(program, arguments, const_cast<char**>(with));
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const kChoose)(int, char**, char**) = choose_waiting;

}  // namespace
#endif
