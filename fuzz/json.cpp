// Every JSON text: what is taken is printed, and that is read back equal.
#include "tomograph/base/json.h"

#include "fuzz.h"

namespace tomograph::fuzz {

std::vector<std::string> good_inputs() {
    return {
        R"({"format": 1, "sites": [{"name": "embed", "shape": [6], "vectors": true}], "x": [-1, 1.5e-3, null]})",
        "\xef\xbb\xbf[\"caf\\u00e9 \\ud83d\\udc0b\", \"\xc3\xa9\", 18446744073709551615, [[[]]], {\"\": "
        "{}}]"};
}

std::string parse(const std::string& input) {
    try {
        const Json json = parse_json(input);
        if (parse_json(json_text(json)) != json || parse_json(json_text(json, 1)) != json)
            throw std::logic_error("JSON is not read back as it was printed");
    } catch (const JsonError& e) {
        return Error("no JSON", e.what(), "").what();
    }
    return "";
}

}  // namespace tomograph::fuzz
