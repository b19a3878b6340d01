#include "fuzz.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

}  // namespace

std::vector<std::string> good_inputs() {
    return {"{\"text\": \"ab\"}\n{\"text\": \"caf\\u00e9 \xf0\x9f\x90\x8b\"}\n",
            "\xef\xbb\xbf{\"segments\": [{\"label\": \"a\", \"text\": \"b\"}, {\"label\": \"c\", \"text\": "
            "\"\"}]}\r\n"};
}

std::string parse(const std::string& input) {
    static const Model model = Model::open("bytes-llama");
    const auto path = folder().write("x.jsonl", input);
    return without(folder().path(), answer([&] {
                       const PromptSet set = jsonl_prompts(model.vocabulary(), {.file = path, .length = 16});
                       for (const Sequence& sequence : set.sequences) {
                           if (sequence.length() < 1 || sequence.length() > 16 ||
                               sequence.labels.size() != sequence.tokens.size())
                               throw std::logic_error("a sequence that nobody asked for");
                       }
                   }));
}

}  // namespace tomograph::fuzz
