// A study's folder, made into a report.
#include "fuzz.h"
#include "support/run_folder.h"
#include "tomograph/report/report.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

EditedFolder& edited() {
    static EditedFolder edited = [] {
        test::RunSketch{}.write(folder() / "text");
        std::filesystem::create_directories(folder() / "figures");
        std::filesystem::create_directories(folder() / "text/measures");
        folder().write("figures/a.png", "\x89PNG\r\n\x1a\n");
        write_json(folder() / "text/measures/findings.json", {{"findings",
                                                               {{{"name", "anisotropy"},
                                                                 {"effect", 0.5},
                                                                 {"interval", {0.4, 0.6}},
                                                                 {"null", 0.1},
                                                                 {"verdict", "holds"},
                                                                 {"effect_is", "mean cosine"}}}}});
        write_json(folder() / "study.json",
                   {{"model", {{"name", "m"}, {"type", "F32"}, {"n_layers", 2}, {"d_model", 6}}},
                    {"runs", {"text"}},
                    {"notes", {"a note"}},
                    {"numbers",
                     {{"first_token_norm_ratio", 3.5},
                      {"first_token_norm_site", "embed"},
                      {"variance_explained_2", 0.4},
                      {"attention_mlp_cosine", {{"mean", 0.1}, {"deviation", 0.2}, {"pairs", 7}}}}},
                    {"figures", {{{"file", "figures/a.png"}, {"group", "g"}, {"caption", "c"}}}}});
        return EditedFolder(folder());
    }();
    return edited;
}

}  // namespace

std::vector<std::string> good_inputs() {
    std::vector<std::string> inputs;
    for (std::string& input : edited().inputs()) {
        if (input.starts_with("@@ study.json") || input.starts_with("@@ text/measures/") ||
            input.starts_with("@@ figures/"))
            inputs.push_back(std::move(input));
    }
    return inputs;
}

std::string parse(const std::string& input) {
    edited().apply(input);
    return without(folder().path(),
                   answer([] { write_static_report(folder().path(), folder() / "report.html"); }));
}

}  // namespace tomograph::fuzz
