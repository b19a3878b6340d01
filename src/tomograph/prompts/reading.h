#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tomograph/engine/vocabulary.h"

namespace tomograph {

/// What to make of a special token that stands in a text by its spelling, such as "<|im_start|>".
enum class Special {
    text,    ///< the letters that it is spelt with, as any other text
    parse,   ///< the token itself
    refuse,  ///< an error: whoever gave the text should know
};
/// Errors: Error for an unknown word. "text", "parse", "refuse".
Special parse_special(const std::string& text);

/// A stretch of a text, read one way.
struct Segment {
    std::string text;
    Special special = Special::text;
};

/// Segments laid end to end and cut into tokens.
struct Reading {
    std::vector<std::int32_t> tokens;
    /// Per token: the segment in which its first byte stands. A token that spans two belongs to the first.
    std::vector<std::int32_t> segment;
    /// Special tokens that stood in the text by their spelling and were read as letters.
    std::int64_t spelt = 0;
    /// Bytes that are no UTF-8, read as U+FFFD.
    std::int64_t replaced = 0;
};

/// The segments are joined before they are cut, so that the tokens are those of the whole text wherever its
/// segments end: a vocabulary that puts a space before each text does it once. Where one segment's special
/// tokens are parsed and another's are not, the text is cut at the parsed ones, as the vocabulary itself
/// does, and what lies between is tokenised as text. Of a long text, only as much as is needed for the first
/// `most` tokens is looked at. Errors: Error with the spelling, in a segment that refuses it.
Reading read_segments(const Vocabulary& vocabulary, std::span<const Segment> segments,
                      std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// Where each token of `text` begins, in bytes, [tokens.size()], by the tokens' own bytes. Vocabularies that
/// change what they read (a space before the text, lower case, dropped accents) are followed as far as they
/// can be: places never go back and never lie past the end.
std::vector<std::size_t> token_places(const Vocabulary& vocabulary, std::span<const std::int32_t> tokens,
                                      const std::string& text);

}  // namespace tomograph
