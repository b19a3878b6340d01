#pragma once

namespace tomograph {

/// Hands llama.cpp a device for what is computed faster here than by ggml's own kernels: (flash) attention of
/// many tokens, and, by OpenBLAS, the products of many tokens with float32 weights. Contexts that are made
/// afterwards use it for those and for nothing else; values and weights stay where they are. Once a process.
/// Returns whether products are among them: not where OpenBLAS has no kernels for the processor that are as
/// wide as those that ggml was built with.
bool register_products();

}  // namespace tomograph
