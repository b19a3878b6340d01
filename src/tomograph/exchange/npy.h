#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "tomograph/base/file.h"
#include "tomograph/exchange/array.h"

namespace tomograph {

/// Writes a NumPy .npy file (format 1.0, float32, C order) row by row; it appears complete or not at all.
class NpyWriter {
  public:
    NpyWriter(const std::filesystem::path& path, const std::vector<std::int64_t>& shape);
    void write(const float* values, std::size_t n);
    /// Errors: Error when fewer or more values were written than the shape holds.
    void finish();

  private:
    AtomicFile file_;
    std::size_t left_ = 1;
};

/// The array in a .npy file, mapped: numbers of any NumPy type, byte order and layout.
/// Errors: Error that says what the file is instead (objects, records, complex numbers; cut; empty), with the
/// mend.
ForeignArray read_npy(const std::filesystem::path& path);

}  // namespace tomograph
