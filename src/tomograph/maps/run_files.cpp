#include "tomograph/maps/run_files.h"

#include <system_error>

#include "tomograph/base/error.h"

namespace tomograph {

void make_run_folder(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) throw Error("cannot create " + path.string(), error.message(), "");
}

}  // namespace tomograph
