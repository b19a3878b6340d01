#include "tomograph/report/study_file.h"

#include "tomograph/base/contained.h"
#include "tomograph/base/error.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

Json field(const Json& json, const char* key, Json absent) {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? std::move(absent) : *found;
}

std::string text(const Json& json, const char* key) {
    return field(json, key, "").get<std::string>();
}

StudyFile parse(const Json& json) {
    StudyFile study;
    const Json model = field(json, "model", Json::object());
    study.model_name = model.value("name", "?");
    study.model_type = model.value("type", "?");
    study.n_layers = whole_number(model, "n_layers", 0);
    study.d_model = whole_number(model, "d_model", std::int64_t{0});
    study.runs = field(json, "runs", Json::array()).get<std::vector<std::string>>();
    for (const Json& figure : field(json, "figures", Json::array())) {
        if (!figure.is_object()) throw Error("a figure is no object", "", "");
        study.figures.push_back({text(figure, "file"), text(figure, "group"), text(figure, "caption")});
    }
    study.numbers = field(json, "numbers", Json::object());
    if (!study.numbers.is_object()) throw Error("its numbers are no object", "", "");
    study.notes = field(json, "notes", Json::array()).get<std::vector<std::string>>();
    return study;
}

StudyFile parse(const Json& json, const fs::path& file) {
    const auto broken = [&](const std::string& why) {
        return Error(file.string() + " is not what tomograph wrote", why, "make it again");
    };
    if (!json.is_object()) throw broken("it holds no object");
    try {
        return parse(json);
    } catch (const Json::exception& e) {
        throw broken(json_reason(e));
    } catch (const Error& e) {
        throw broken(e.what());
    }
}

}  // namespace

StudyFile read_study(const fs::path& folder) {
    return parse(read_json(contained_file(folder, "study.json")), folder / "study.json");
}

StudyFile read_run_as_study(const fs::path& folder) {
    return parse({{"model", Run::open(folder).json().at("model")}}, folder);
}

}  // namespace tomograph
