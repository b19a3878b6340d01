#pragma once

namespace tomograph {

/// Hands llama.cpp a device for what OpenBLAS computes faster than ggml's own kernels do: the products of many
/// tokens with float32 weights, and (flash) attention of many tokens. Contexts that are made afterwards use it
/// for those and for nothing else; values and weights stay where they are. Once a process, and not where
/// OpenBLAS has no kernels for the processor that are as wide as those that ggml was built with. Returns
/// whether it is so.
bool register_products();

}  // namespace tomograph
