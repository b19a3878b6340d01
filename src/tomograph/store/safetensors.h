#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/file.h"
#include "tomograph/store/dtype.h"

namespace tomograph {

struct TensorSpec {
    std::string name;
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape;

    std::int64_t n_elements() const;
    std::uint64_t n_bytes() const { return static_cast<std::uint64_t>(n_elements()) * dtype_size(dtype); }
};

/// Writes one safetensors file whose shapes are known beforehand, in any order: memory does not grow with the
/// file. It appears under its final name on finish(), and not at all otherwise.
/// Errors: Error when the disk is full.
class SafetensorsWriter {
  public:
    SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> tensors,
                      const std::map<std::string, std::string>& metadata = {});
    /// Write `size` bytes at byte `offset` of tensor number `tensor`. Several threads may write at once.
    void write(std::size_t tensor, std::uint64_t offset, const void* bytes, std::size_t size);
    void finish();
    /// See AtomicFile::sync().
    void sync() { file_.sync(); }
    std::uint64_t file_bytes() const { return file_bytes_; }
    const std::filesystem::path& temporary() const { return file_.temporary(); }

  private:
    AtomicFile file_;
    std::vector<std::uint64_t> offsets_;  // in the file
    std::uint64_t file_bytes_ = 0;
};

/// A safetensors file mapped read-only and checked: a header that does not fit its file is an Error, never a
/// crash. Format: 8 bytes of header length (little endian), a JSON header, then the tensors.
class Safetensors {
  public:
    struct Tensor {
        Dtype dtype;
        std::vector<std::int64_t> shape;
        std::span<const std::byte> bytes;

        std::int64_t n_rows() const { return shape.empty() ? 1 : shape[0]; }
        /// Elements of one row: the product of all extents but the first.
        std::int64_t width() const;
        /// Rows [begin, end) as float32, [end - begin, width].
        void read_rows(std::int64_t begin, std::int64_t end, float* out) const;
    };

    /// A tensor of a type that the run folder does not use, with its type's name; whether its bytes fit its
    /// shape is not looked at.
    struct Other {
        std::string dtype;
        std::vector<std::int64_t> shape;
        std::span<const std::byte> bytes;
    };
    /// `own`: another type than the run folder's is an Error; `any`: it is kept apart.
    enum class Types { own, any };

    explicit Safetensors(const std::filesystem::path& path, Types types = Types::own);
    const std::map<std::string, Tensor>& tensors() const { return tensors_; }
    const std::map<std::string, Other>& others() const { return others_; }
    bool contains(const std::string& name) const { return tensors_.contains(name); }
    /// Errors: Error naming the file when it has no such tensor.
    const Tensor& at(const std::string& name) const;
    /// A whole tensor of integers. Errors: Error when it is not I32.
    std::vector<std::int32_t> integers(const std::string& name) const;
    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    const std::filesystem::path& path() const { return path_; }
    /// See MappedFile::release().
    void release() const { file_.release(); }

  private:
    std::filesystem::path path_;
    MappedFile file_;
    std::map<std::string, Tensor> tensors_;
    std::map<std::string, Other> others_;
    std::map<std::string, std::string> metadata_;
};

/// Write small tensors in one go.
struct TensorData {
    TensorSpec spec;
    const void* data;
};
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorData>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace tomograph
