// How the threads of OpenMP, which llama.cpp computes with, wait for each other: libgomp's own default is to
// spin for a long time, which takes the processor from whoever has work to do. Beside other processes that
// costs more than half of the speed; a thread that soon sleeps costs little on an idle machine.
#include <cstdlib>

namespace {

/// Iterations: some 20 microseconds, longer than most operations of a graph keep one thread waiting for
/// another.
constexpr const char* kSpins = "5000";

void choose_waiting(int, char**, char**) {
    if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", kSpins, /*overwrite=*/0);
}

// libgomp reads its environment when it is loaded: before main() and before every constructor, but after
// this.
[[gnu::section(".preinit_array"), gnu::used]] void (*const kChoose)(int, char**, char**) = choose_waiting;

}  // namespace
