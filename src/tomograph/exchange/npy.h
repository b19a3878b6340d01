#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "tomograph/base/file.h"
#include "tomograph/store/dtype.h"

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

/// A two-dimensional .npy file of float32 or float16 in C order, mapped.
class NpyFile {
  public:
    /// Errors: Error that says what the file is instead.
    explicit NpyFile(const std::filesystem::path& path);
    std::int64_t n_rows() const { return n_rows_; }
    std::int64_t dim() const { return dim_; }
    Dtype dtype() const { return dtype_; }
    /// Bytes of rows [begin, end).
    std::span<const std::byte> rows(std::int64_t begin, std::int64_t end) const;

  private:
    MappedFile file_;
    std::int64_t n_rows_ = 0, dim_ = 0;
    Dtype dtype_ = Dtype::f32;
    std::size_t data_ = 0;
};

}  // namespace tomograph
