#pragma once

namespace tomograph {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace tomograph
