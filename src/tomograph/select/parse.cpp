#include <fmt/format.h>

#include <sstream>

#include "tomograph/base/error.h"
#include "tomograph/select/selection.h"

namespace tomograph {
namespace {

/// The words between commas; none where there is no text. Errors: Error where text holds no word: taken as
/// "none", it would select everything.
std::vector<std::string> split(const std::string& text, const char* what) {
    std::vector<std::string> words;
    std::istringstream in(text);
    for (std::string word; std::getline(in, word, ',');) {
        if (!word.empty()) words.push_back(word);
    }
    if (words.empty() && !text.empty()) throw Error(fmt::format("'{}' names no {}", text, what), "", "");
    return words;
}

}  // namespace

Normalize parse_normalize(const std::string& text) {
    if (text == "none") return Normalize::none;
    if (text == "unit") return Normalize::unit;
    if (text == "layernorm") return Normalize::layernorm;
    throw Error("cannot normalize by '" + text + "'", "", "use none, unit or layernorm");
}

LayerOrder parse_layer_order(const std::string& text) {
    if (text == "given") return LayerOrder::given;
    if (text == "reversed") return LayerOrder::reversed;
    if (text == "swapped") return LayerOrder::swapped;
    if (text == "random") return LayerOrder::random;
    throw Error("no layer order '" + text + "'", "", "use given, reversed, swapped or random");
}

void parse_means(const std::string& text, Selection& selection) {
    for (const std::string& word : split(text, "average")) {
        if (word == "samples")
            selection.mean_samples = true;
        else if (word == "positions")
            selection.mean_positions = true;
        else if (word == "layers")
            selection.mean_layers = true;
        else if (word == "components")
            selection.mean_components = true;
        else
            throw Error("cannot average over '" + word + "'", "",
                        "use samples, positions, layers or components, separated by commas");
    }
}

ColumnFilter parse_where(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
        throw Error("'" + text + "' chooses no tokens", "", "write COLUMN=VALUE, such as role=user");
    return {text.substr(0, equals), split(text.substr(equals + 1), "value")};
}

std::vector<Component> parse_components(const std::string& text) {
    std::vector<Component> components;
    for (const std::string& word : split(text, "component")) {
        const auto component = find_component(word);
        if (!component) {
            std::string names;
            for (const Component known : all_components())
                names += fmt::format("{}{}", names.empty() ? "" : ", ", component_name(known));
            throw Error("no component '" + word + "'", "there are " + names, "");
        }
        components.push_back(*component);
    }
    return components;
}

Json Selection::json() const {
    static constexpr const char* kNormalize[] = {"none", "unit", "layernorm"};
    static constexpr const char* kOrder[] = {"given", "reversed", "swapped", "random"};
    Json names = Json::array();
    for (const Component component : components) names.push_back(component_name(component));
    Json means = Json::array();
    if (mean_samples) means.push_back("samples");
    if (mean_positions) means.push_back("positions");
    if (mean_layers) means.push_back("layers");
    if (mean_components) means.push_back("components");
    Json json = {{"components", names},
                 {"layers", layers.text()},
                 {"positions", positions.text()},
                 {"sequences", sequences.text()},
                 {"labels", labels},
                 {"normalize", kNormalize[static_cast<int>(normalize)]},
                 {"mean", means},
                 {"rows", rows},
                 {"sample", sample == Sample::tokens ? "tokens" : "rows"},
                 {"seed", seed},
                 {"layer_order", kOrder[static_cast<int>(layer_order)]}};
    for (const ColumnFilter& one : where)
        json["where"].push_back({{"column", one.column}, {"values", one.values}});
    return json;
}

}  // namespace tomograph
