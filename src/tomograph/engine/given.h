#pragma once
#include <cstddef>
#include <span>

#include "tomograph/engine/engine.h"

namespace tomograph {

/// Is the stream that leaves the last block all that the model's end reads? Where streams were put aside, it
/// reads those of the tokens that there were, too.
bool ends_alone(const Engine& engine);

/// Run what follows a site on vectors that stand there for no text: `rows`, [n, width of the site], as though
/// they were one sequence of n tokens, at most max_length. After the last block all goes from token to token,
/// so that each row is alone there, and whose tokens they are is not read. The tap gets the sites `reads`;
/// where there are none, every row's logits. Errors: as Engine::run().
void run_given(Engine& engine, std::size_t site, std::span<const float> rows,
               const std::vector<std::size_t>& reads, Tap& tap);

}  // namespace tomograph
