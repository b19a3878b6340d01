// What is typed on a command line or stands in a URL: ranges, sites, components, averages, orders.
#include <stdexcept>

#include "fuzz.h"
#include "tomograph/base/html.h"
#include "tomograph/base/range.h"
#include "tomograph/base/text.h"
#include "tomograph/select/selection.h"
#include "tomograph/words/site.h"

namespace tomograph::fuzz {
namespace {

void demand(bool holds, const char* what) {
    if (!holds) throw std::logic_error(what);
}

}  // namespace

std::vector<std::string> good_inputs() {
    return {"range 2:9",
            "range :5",
            "range 1:",
            "range 3",
            "site blocks.11.resid_post",
            "site embed",
            "components attn_out,mlp_out",
            "means samples,positions,layers",
            "normalize layernorm",
            "order reversed",
            "bytes caf\xc3\xa9 \xff\x01"};
}

std::string parse(const std::string& input) {
    const std::size_t space = std::min(input.find(' '), input.size());
    const std::string kind = input.substr(0, space), text = input.substr(std::min(space + 1, input.size()));
    return answer([&] {
        if (kind == "range") {
            const Range range = parse_range(text, "layers");
            demand(parse_range(range.text(), "layers") == range,
                   "a range is not read back as it was printed");
            const Range whole = resolve_range(range, 1 << 20, "layers");
            demand(whole.begin >= 0 && whole.begin < *whole.end && *whole.end <= 1 << 20,
                   "a range outside its bounds");
        } else if (kind == "site") {
            const auto site = parse_site(text);
            if (!site) throw Error("no site '" + text + "'", "", "");
            demand(site->name() == text, "a site has two names");
        } else if (kind == "components") {
            (void)parse_components(text);
        } else if (kind == "means") {
            Selection selection;
            parse_means(text, selection);
        } else if (kind == "normalize") {
            (void)parse_normalize(text);
        } else if (kind == "order") {
            (void)parse_layer_order(text);
        } else {
            demand(piece_from_json(parse_json(json_text(piece_to_json(text)))) == text,
                   "a piece is not read back");
            demand(piece_to_json(printable(text)).is_string(), "printable text is not UTF-8");
            demand(base64(text).size() == (text.size() + 2) / 3 * 4, "base64 of another length");
            demand(html_escape(text).find_first_of("<>\"") == std::string::npos, "HTML is not escaped");
        }
    });
}

}  // namespace tomograph::fuzz
