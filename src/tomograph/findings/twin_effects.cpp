#include "tomograph/findings/twin_effects.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

// Of a twin whose header does not say.
constexpr const char* kGaussianTwin = "gaussian";

std::filesystem::path file_of(const Run& twin) {
    return twin.path() / "measures" / "effects.json";
}

}  // namespace

MeasuredTwin begin_twin(const Run& twin) {
    return {.kind = twin.json().at("model").value("twin", kGaussianTwin),
            .path = twin.path().string(),
            .values = std::vector<std::optional<double>>(finding_kinds().size()),
            .n_sequences = twin.n_sequences()};
}

void save_effects(const Run& twin, const MeasuredTwin& measured) {
    Json json = {{"rows", measured.rows},
                 {"rows_asked", measured.rows_asked},
                 {"seed", measured.seed},
                 {"effects", Json::object()}};
    for (std::size_t i = 0; i < measured.values.size(); ++i) {
        if (measured.values[i]) json["effects"][finding_kinds()[i]->name] = number(*measured.values[i]);
    }
    std::filesystem::create_directories(file_of(twin).parent_path());
    write_json(file_of(twin), json);
}

std::optional<MeasuredTwin> load_effects(const Run& twin) {
    const std::filesystem::path file = file_of(twin);
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return std::nullopt;
    const Json json = read_json(file);
    MeasuredTwin measured = begin_twin(twin);
    try {
        measured.rows = whole_number<std::int64_t>(json.at("rows"), "rows");
        measured.rows_asked = whole_number<std::int64_t>(json.at("rows_asked"), "rows_asked");
        measured.seed = whole_number<std::uint64_t>(json.at("seed"), "seed");
        const Json& effects = json.at("effects");
        for (std::size_t i = 0; i < finding_kinds().size(); ++i) {
            if (const auto found = effects.find(finding_kinds()[i]->name); found != effects.end())
                measured.values[i] = found->is_null() ? kNoNumber : found->get<double>();
        }
    } catch (const Json::exception& e) {
        throw Error(file.string() + " holds no effects of a twin", json_reason(e),
                    "make the study again, or capture the twin with its vectors");
    }
    return measured;
}

}  // namespace tomograph
