#pragma once
#include <span>
#include <string>
#include <vector>

namespace tomograph {

/// What llama.cpp assumed or changed of a vocabulary when it loaded a model, from its warnings: a sentence
/// for each kind, in the order in which they came. Warnings that change nothing of what is read are left out;
/// one that is not known here is passed on in llama.cpp's own words.
std::vector<std::string> vocabulary_notes(std::span<const std::string> warnings);

}  // namespace tomograph
