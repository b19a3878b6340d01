#include "tomograph/capture/keep_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <sstream>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// The whole of `text` as a number.
template <typename Number>
std::optional<Number> number_of(const std::string& text) {
    std::istringstream in(text);
    Number value{};
    std::string rest;
    if (in >> value && !(in >> rest)) return value;
    return std::nullopt;
}

[[noreturn]] void refuse(const std::string& what) {
    throw Error(what, "", "");
}

}  // namespace

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

void KeepWords::set(CaptureOptions& options) const {
    if (!keep.empty()) {
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
                if (colon == std::string::npos) continue;
                options.sample = number_of<double>(value).value_or(0);
                if (!(options.sample > 0 && options.sample <= 1))
                    refuse(fmt::format("--keep vectors:{} is no fraction above 0, up to 1", value));
            } else if (name == "scores") {
                options.keep.scores = number_of<std::int64_t>(value).value_or(0);
                if (options.keep.scores < 1)
                    refuse(fmt::format("--keep {} says no number of scores, such as scores:64", word));
            } else {
                refuse(fmt::format(
                    "--keep '{}' is none of norms, means, moments, vectors[:FRACTION], scores:K", word));
            }
        }
        if (options.vectors && options.keep.scores > 0)
            throw Error("--keep says both vectors and scores", "scores stand for the vectors",
                        "keep one of the two");
        if (options.keep.scores > 0) options.vectors = true;
    }
    options.keep.fit_tokens = fit_tokens;
    options.keep.axes_of = axes_of;
    for (const std::string& size : {budget, memory}) {
        if (!size.empty()) static_cast<void>(parse_bytes(size));
    }
}

CaptureCost KeepWords::plan(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                            CaptureOptions& options) const {
    const Budget bound{budget.empty() ? 0 : parse_bytes(budget), memory.empty() ? 0 : parse_bytes(memory)};
    if (keep.empty()) options.keep = keep_within(bound, engine, model, prompts, options);
    const CaptureCost cost = capture_cost(engine, model, prompts, options);
    const auto over = [&](double takes, double may, const char* what) {
        if (may > 0 && takes > may)
            throw Error(
                fmt::format("{} does not fit the budget", keep_text(options)),
                fmt::format("it takes {:.3g} GB of {}, {:.3g} are allowed", takes / 1e9, what, may / 1e9),
                "leave --keep out to have it chosen, or keep fewer scores, layers or sequences");
    };
    over(cost.disk, bound.disk, "disk");
    over(cost.memory, bound.memory, "memory");
    return cost;
}

}  // namespace tomograph
