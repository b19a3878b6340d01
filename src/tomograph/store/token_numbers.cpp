#include "tomograph/store/token_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "tomograph/base/error.h"
#include "tomograph/store/layout.h"

namespace tomograph {

void save_token_numbers(const Run& run, const std::string& name, const std::vector<float>& values) {
    const auto refuse = [&](const std::string& why) {
        throw Error(fmt::format("cannot keep '{}' with {}", name, run.path().string()), why, "");
    };
    if (!layout::is_number_name(name)) refuse("its name is no lower-case word");
    const Json captured = run.json().value("scores", Json::array());
    if (std::find(captured.begin(), captured.end(), name) != captured.end())
        refuse("the run was captured with a score of that name");
    if (std::ssize(values) != run.n_tokens())
        refuse(fmt::format("it has {} numbers, the run {} tokens", values.size(), run.n_tokens()));
    std::error_code error;
    std::filesystem::create_directories(run.path() / layout::kNumbers, error);
    if (error) refuse(error.message());
    write_safetensors(run.path() / layout::numbers_file(name),
                      {{{name, Dtype::f32, {run.n_tokens()}}, values.data()}});
}

}  // namespace tomograph
