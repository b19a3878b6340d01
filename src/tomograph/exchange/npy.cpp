#include "tomograph/exchange/npy.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"

namespace tomograph {

NpyWriter::NpyWriter(const std::filesystem::path& path, const std::vector<std::int64_t>& shape) : file_(path) {
    std::string extents;
    for (const std::int64_t extent : shape) {
        extents += fmt::format("{}, ", extent);
        left_ *= static_cast<std::size_t>(extent);
    }
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", extents);
    // Magic, version and the header's length take 10 bytes; the whole is padded to 64 and ends with a line break.
    while ((10 + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    const auto size = static_cast<std::uint16_t>(header.size());
    file_.write(std::string_view("\x93NUMPY\x01\x00", 8));
    file_.write(std::string_view(reinterpret_cast<const char*>(&size), 2));
    file_.write(header);
}

void NpyWriter::write(const float* values, std::size_t n) {
    if (n > left_) throw Error("more values than the array's shape holds", "", "");
    file_.write(std::string_view(reinterpret_cast<const char*>(values), n * sizeof(float)));
    left_ -= n;
}

void NpyWriter::finish() {
    if (left_ != 0) throw Error("fewer values than the array's shape holds", "", "");
    file_.commit();
}

}  // namespace tomograph
