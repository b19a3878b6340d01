#include "tomograph/figures/gnuplot.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/process.h"

namespace tomograph {
namespace {

/// gnuplot's complaint in one line: without its echo of the prompt, the marker under the wrong word and
/// blanks.
std::string in_one_line(const std::string& complaint) {
    std::string line;
    std::size_t begin = 0;
    while (begin < complaint.size()) {
        std::size_t end = complaint.find('\n', begin);
        if (end == std::string::npos) end = complaint.size();
        std::string part = complaint.substr(begin, end - begin);
        begin = end + 1;
        if (part.rfind("gnuplot>", 0) == 0) continue;
        const std::size_t first = part.find_first_not_of(" \t^");
        if (first == std::string::npos) continue;
        if (!line.empty()) line += ", ";
        line += part.substr(first);
    }
    constexpr std::size_t longest = 400;
    if (line.size() > longest) line = line.substr(0, longest) + "...";
    return line;
}

}  // namespace

FigureFormat figure_format(const std::filesystem::path& path) {
    std::string extension = path.extension().string();
    for (char& letter : extension)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (extension == ".png") return FigureFormat::png;
    if (extension == ".svg") return FigureFormat::svg;
    if (extension == ".pdf") return FigureFormat::pdf;
    throw Error("cannot draw " + path.string(),
                extension.empty() ? "its name has no extension to tell the format"
                                  : fmt::format("{} is not a format that figures can have", extension),
                "end the name in .png, .svg or .pdf");
}

std::filesystem::path find_gnuplot() {
    const std::string mend = "install it with: apt install gnuplot-nox";
    if (const char* chosen = std::getenv("TOMOGRAPH_GNUPLOT"); chosen != nullptr && *chosen != '\0') {
        if (is_program(chosen)) return chosen;
        throw Error("gnuplot cannot be run",
                    fmt::format("TOMOGRAPH_GNUPLOT names {}, which is no program", chosen), "correct or unset it");
    }
    if (const auto program = find_program("gnuplot")) return *program;
    throw Error("gnuplot is not installed", "figures are drawn by it and no folder of PATH has it", mend);
}

std::string gnuplot_quote(std::string_view text) {
    std::string quoted = "\"";
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte >= 0x80 || std::isalpha(byte) != 0 || byte == ' ')
            quoted += letter;
        else
            quoted += fmt::format("\\{:03o}", byte);
    }
    return quoted + "\"";
}

std::string run_gnuplot(std::string_view script) {
    // A gnuplot that stops reading says why on its standard error, so that its end of the script is no failure.
    Finished gnuplot = run_program(find_gnuplot(), {"-d"}, script);
    if (gnuplot.signal != 0) {
        throw Error("gnuplot was killed",
                    fmt::format("signal {} ({})", gnuplot.signal, ::strsignal(gnuplot.signal)), "");
    }
    if (gnuplot.code != 0 || gnuplot.out.empty()) {
        const std::string words = in_one_line(gnuplot.error_out);
        throw Error("gnuplot could not draw the figure",
                    words.empty() ? fmt::format("it exited with {} and no message", gnuplot.code) : words,
                    "version 5.2 or newer with its cairo terminals is needed (apt install gnuplot-nox)");
    }
    return std::move(gnuplot.out);
}

}  // namespace tomograph
