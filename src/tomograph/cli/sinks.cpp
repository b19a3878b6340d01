#include "tomograph/cli/sinks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <sstream>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/print.h"
#include "tomograph/cli/terminal.h"

namespace tomograph {

double parse_bytes(const std::string& text) {
    constexpr std::pair<const char*, double> kUnits[] = {
        {"", 1},         {"b", 1},       {"kb", 1e3},     {"mb", 1e6},
        {"gb", 1e9},     {"tb", 1e12},   {"kib", 1024.0}, {"mib", 1024.0 * 1024},
        {"gib", 0x1p30}, {"tib", 0x1p40}};
    std::istringstream in(text);
    double number = 0;
    std::string unit, rest;
    if (in >> number) {
        in >> unit;
        std::transform(unit.begin(), unit.end(), unit.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        for (const auto& [name, factor] : kUnits) {
            if (unit == name && !(in >> rest) && number > 0 && std::isfinite(number)) return number * factor;
        }
    }
    throw Error(fmt::format("'{}' is no size", text), "", "write it like 8GB or 500MB");
}

void SinkFlags::add(CLI::App& command) {
    command.add_option(
        "--keep", keep,
        "What is kept: norms,means,moments and vectors[:FRACTION] or scores:K, comma-separated "
        "(default: norms,means,vectors); scores stand for vectors in far less room");
    command.add_option("--budget", budget,
                       "Disk that the run may take, such as 8GB: what is kept is chosen for it");
    command.add_option("--memory", memory,
                       "Memory that the capture may take beside the model, such as 2GB: likewise");
    command
        .add_option("--fit-tokens", fit_tokens,
                    "Tokens that the axes of scores are fitted to (default: 64 an axis, at least 2,048)")
        ->check(CLI::PositiveNumber);
    command.add_option("--axes-of", axes_of, "Take the axes of this run's scores, so that two runs compare");
}

void SinkFlags::set(CaptureOptions& options, bool vectors_said) const {
    if (!keep.empty()) {
        if (vectors_said)
            throw CLI::ValidationError("--keep says all that is kept: leave --no-vectors and --sample out");
        options.vectors = options.keep.means = false;
        std::istringstream words(keep);
        for (std::string word; std::getline(words, word, ',');) {
            const std::size_t colon = word.find(':');
            const std::string name = word.substr(0, colon);
            const std::string value = colon == std::string::npos ? "" : word.substr(colon + 1);
            if (name == "norms" && value.empty()) {
                // They are always kept: four bytes each.
            } else if (name == "means" && value.empty()) {
                options.keep.means = true;
            } else if (name == "moments" && value.empty()) {
                options.keep.moments = true;
            } else if (name == "vectors") {
                options.vectors = true;
                if (colon != std::string::npos && (!CLI::detail::lexical_cast(value, options.sample) ||
                                                   !(options.sample > 0) || options.sample > 1))
                    throw CLI::ValidationError(
                        fmt::format("--keep vectors:{} is no fraction above 0, up to 1", value));
            } else if (name == "scores") {
                if (!CLI::detail::lexical_cast(value, options.keep.scores) || options.keep.scores < 1)
                    throw CLI::ValidationError(
                        fmt::format("--keep {} says no number of scores, such as scores:64", word));
            } else {
                throw CLI::ValidationError(fmt::format(
                    "--keep '{}' is none of norms, means, moments, vectors[:FRACTION], scores:K", word));
            }
        }
        if (options.vectors && options.keep.scores > 0)
            throw CLI::ValidationError("--keep: scores stand for the vectors; keep one of the two");
        if (options.keep.scores > 0) options.vectors = true;
    }
    options.keep.fit_tokens = fit_tokens.value_or(0);
    options.keep.axes_of = axes_of;
    for (const std::string& size : {budget, memory}) {
        if (!size.empty()) as_usage([&] { return parse_bytes(size); });
    }
}

void SinkFlags::plan(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                     CaptureOptions& options) const {
    const Budget bound{budget.empty() ? 0 : parse_bytes(budget), memory.empty() ? 0 : parse_bytes(memory)};
    if (keep.empty()) {
        options.keep = keep_within(bound, engine, model, prompts, options);
    }
    const CaptureCost cost = capture_cost(engine, model, prompts, options);
    const auto over = [&](double takes, double may, const char* what) {
        if (may > 0 && takes > may)
            throw Error(
                fmt::format("{} does not fit the budget", keep_text(options)),
                fmt::format("it takes {} of {}, {} are allowed", bytes_text(takes), what, bytes_text(may)),
                "leave --keep out to have it chosen, or keep fewer scores, layers or sequences");
    };
    over(cost.disk, bound.disk, "disk");
    over(cost.memory, bound.memory, "memory");
    say("plan: {}; {} tokens of {} each, {} on disk; {} of memory beside the model\n", keep_text(options),
        cost.n_tokens, bytes_text(cost.token_disk), bytes_text(cost.disk), bytes_text(cost.memory));
}

}  // namespace tomograph
