#pragma once
#include <filesystem>

#include "tomograph/store/run.h"

namespace tomograph::test {

/// Run::open, for the bodies of tests: there Run is a function of GoogleTest's.
inline Run open_run(const std::filesystem::path& path) {
    return Run::open(path);
}

}  // namespace tomograph::test
