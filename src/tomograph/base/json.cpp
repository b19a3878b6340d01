#include "tomograph/base/json.h"

#include <fstream>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"

namespace tomograph {

Json read_json(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw Error("cannot read " + path.string(), "no such file, or no permission", "");
    try {
        return Json::parse(in);
    } catch (const nlohmann::json::exception& e) {
        throw Error(path.string() + " is not valid JSON", e.what(),
                    "the file was cut or edited; make it again");
    }
}

void write_json(const std::filesystem::path& path, const Json& json) {
    AtomicFile file(path);
    file.write(json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    file.commit();
}

}  // namespace tomograph
