#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace tomograph {

/// Read a GGUF's header by its own rules, without taking memory for what it only promises, before ggml and
/// llama.cpp read it: they end the process, or ask for memory, at what they did not foresee. Every count,
/// length, type and offset must fit the file; numbers of layers, heads and widths must be ones that a model
/// can have. `shown` names the file in messages.
/// Errors: Error that says what is wrong, and where: the entry or the tensor.
void check_gguf(std::span<const std::byte> file, const std::string& shown);

}  // namespace tomograph
