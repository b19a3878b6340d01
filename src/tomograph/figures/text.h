#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tomograph {

/// Labels come from files and tokens, so they can hold anything. This gives UTF-8 without control characters:
/// a newline becomes the two characters \n, other control characters \t or \x1b, and every byte that is not
/// valid UTF-8 becomes U+FFFD.
std::string readable(std::string_view bytes);

/// Width of one line of text in points of 1/72 inch, at a font size in points. Uses DejaVu Sans's widths,
/// which is wider than nearly every other sans serif font: what fits by this measure fits on the page.
double text_width(std::string_view text, double font_size, bool bold = false);

/// `text` cut with an ellipsis so that it is at most `width` points wide.
std::string shortened(std::string_view text, double font_size, double width, bool bold = false);

/// `text` broken at spaces (inside words longer than a line) into lines of at most `width` points, and no
/// more than `max_lines` of them: the last one is then shortened.
std::vector<std::string> wrapped(std::string_view text, double font_size, double width, int max_lines,
                                 bool bold = false);

/// `text` with every character that no installed font can draw replaced by a box. gnuplot's cairo terminals
/// need this: a single missing glyph covers the picture in stray rectangles.
std::string with_glyphs(std::string_view text);

/// What with_glyphs() has had to replace so far in this process, and which fonts would have it, a sentence; empty:
/// nothing.
std::string missing_glyphs();

}  // namespace tomograph
