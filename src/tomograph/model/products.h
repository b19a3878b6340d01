#pragma once

namespace tomograph {

/// Hands llama.cpp a device for the products of many tokens with float32 weights, which OpenBLAS computes
/// faster than ggml's own kernels do. Contexts that are made afterwards use it for those products and for
/// nothing else; values and weights stay where they are. Once a process, and not where OpenBLAS has no
/// kernels for the processor that are as wide as those that ggml was built with. Returns whether it is so.
bool register_products();

}  // namespace tomograph
