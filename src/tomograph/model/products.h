#pragma once

namespace tomograph {

/// Hands llama.cpp a device for the products of many tokens with float32 weights, which OpenBLAS computes
/// faster than ggml's own kernels do. Contexts that are made afterwards use it for those products and for
/// nothing else; values and weights stay where they are. Once a process.
void register_products();

}  // namespace tomograph
