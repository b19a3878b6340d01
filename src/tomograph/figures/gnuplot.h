#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace tomograph {

/// The files that a figure can be written to.
enum class FigureFormat { png, svg, pdf };

/// The format that a file's extension names, in any case of letters. Errors: Error that lists the possible
/// ones.
FigureFormat figure_format(const std::filesystem::path& path);

/// The gnuplot to run: what the environment variable TOMOGRAPH_GNUPLOT names, else the first on PATH.
/// Errors: Error that says how to install it.
std::filesystem::path find_gnuplot();

/// `text` as one gnuplot string: in double quotes, all but letters as octal escapes. gnuplot looks for
/// quotes, backquoted shell commands and @macros before it resolves escapes, so none of them can be found in
/// it. Digits are escaped as well, because gnuplot may read a digit behind an escape as part of it.
std::string gnuplot_quote(std::string_view text);

/// Runs gnuplot on `script`, which is commands with their binary data inline (`plot '-' binary record=...`),
/// and returns the bytes that its terminal wrote to standard output. The user's own gnuplot start-up file is
/// not read. Errors: Error with gnuplot's words when the script fails, or when gnuplot is missing or wrote
/// nothing.
std::string run_gnuplot(std::string_view script);

}  // namespace tomograph
