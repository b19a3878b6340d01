#pragma once
#include <string>
#include <vector>

namespace tomograph {

/// The graphics cards that llama.cpp was built for (cmake -DTOMOGRAPH_GPU) and finds on this machine, such as
/// "CUDA0 (NVIDIA H100)"; empty in a build for processors alone. Workers are no cards of this machine.
std::vector<std::string> graphics_cards();

/// Models that are opened afterwards have so many of their layers, the last ones, on the graphics cards or on
/// the workers; without a call all of them. Errors: Error where layers are asked for and there is neither.
void use_gpu_layers(int n_layers);

/// As use_gpu_layers() said; -1: all.
int gpu_layers();

}  // namespace tomograph
