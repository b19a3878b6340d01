#include "tomograph/findings/alignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"

namespace tomograph {
namespace {

/// A sequence's text, and where in it its tokens end.
struct SequenceText {
    std::string text;
    std::vector<std::int64_t> tokens;
    std::vector<std::size_t> ends;
};

/// Per sequence. Control tokens are told by the run's column `type`; a run without one has none.
std::vector<SequenceText> texts_of(const Run& run) {
    const TokenTable& tokens = run.tokens();
    std::vector<std::uint8_t> silent(static_cast<std::size_t>(tokens.size()), 0);
    for (std::size_t c = 0; c < run.columns().size(); ++c) {
        const LabelColumn& column = run.columns()[c];
        if (column.name != "type") continue;
        const auto control = std::find(column.words.begin(), column.words.end(), "control");
        const auto number = static_cast<std::int32_t>(control - column.words.begin());
        for (std::size_t t = 0; t < silent.size(); ++t) silent[t] = tokens.further[c][t] == number;
    }
    std::vector<SequenceText> texts(static_cast<std::size_t>(run.n_sequences()));
    for (std::size_t t = 0; t < silent.size(); ++t) {
        if (silent[t]) continue;
        SequenceText& its = texts[static_cast<std::size_t>(tokens.sequence[t])];
        its.text += run.pieces()[t];
        its.tokens.push_back(static_cast<std::int64_t>(t));
        its.ends.push_back(its.text.size());
    }
    return texts;
}

bool same_tokens(const Run& a, const Run& b) {
    const TokenTable &x = a.tokens(), &y = b.tokens();
    return x.token_id == y.token_id && x.sequence == y.sequence && x.position == y.position;
}

std::string shown(const std::string& text, std::size_t at) {
    return printable(text.substr(std::min(at, text.size()), 20));
}

}  // namespace

Alignment align_tokens(const Run& a, const Run& b) {
    Alignment alignment;
    alignment.b_of_a.assign(static_cast<std::size_t>(a.n_tokens()), -1);
    if (same_tokens(a, b)) {
        std::iota(alignment.b_of_a.begin(), alignment.b_of_a.end(), 0);
        alignment.same_tokens = true;
        alignment.n_pairs = a.n_tokens();
        return alignment;
    }
    const std::string mend = "capture both models with the same prompts";
    if (a.n_sequences() != b.n_sequences())
        throw Error("the runs read different texts",
                    fmt::format("{} has {} sequences, {} has {}", a.path().string(), a.n_sequences(),
                                b.path().string(), b.n_sequences()),
                    mend);
    const auto of_a = texts_of(a), of_b = texts_of(b);
    for (std::size_t s = 0; s < of_a.size(); ++s) {
        const SequenceText &x = of_a[s], &y = of_b[s];
        const auto begins = [](const SequenceText& text) { return text.text.starts_with(' ') ? 1u : 0u; };
        const std::size_t skip_x = begins(x) > begins(y), skip_y = begins(y) > begins(x);
        // One of them may have been cut earlier: its tokens are longer or shorter.
        const std::size_t common = std::min(x.text.size() - skip_x, y.text.size() - skip_y);
        for (std::size_t i = 0; i < common; ++i) {
            if (x.text[skip_x + i] == y.text[skip_y + i]) continue;
            throw Error("the runs read different texts",
                        fmt::format("sequence {} differs at byte {}: '{}' in {}, '{}' in {}", s, i,
                                    shown(x.text, skip_x + i), a.path().string(), shown(y.text, skip_y + i),
                                    b.path().string()),
                        mend);
        }
        std::unordered_map<std::size_t, std::int64_t> ends;
        for (std::size_t i = 0; i < y.ends.size(); ++i) {
            // Of tokens that end at one place, the first has read as much as the others.
            if (y.ends[i] > skip_y) ends.emplace(y.ends[i] - skip_y, y.tokens[i]);
        }
        for (std::size_t i = 0; i < x.ends.size(); ++i) {
            if (x.ends[i] <= skip_x) continue;
            const auto partner = ends.find(x.ends[i] - skip_x);
            if (partner == ends.end()) continue;
            alignment.b_of_a[static_cast<std::size_t>(x.tokens[i])] = partner->second;
            ++alignment.n_pairs;
        }
    }
    return alignment;
}

}  // namespace tomograph
