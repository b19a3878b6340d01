#include "tomograph/exchange/npy.h"

#include <fmt/format.h>

#include <cstring>
#include <regex>

#include "tomograph/base/error.h"

namespace tomograph {

NpyWriter::NpyWriter(const std::filesystem::path& path, const std::vector<std::int64_t>& shape)
    : file_(path) {
    std::string extents;
    for (const std::int64_t extent : shape) {
        extents += fmt::format("{}, ", extent);
        left_ *= static_cast<std::size_t>(extent);
    }
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", extents);
    // Magic, version and the header's length take 10 bytes; the whole is padded to 64 and ends with a line
    // break.
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

NpyFile::NpyFile(const std::filesystem::path& path) : file_(path) {
    const auto bytes = file_.bytes();
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto refuse = [&](const std::string& why) {
        throw Error(path.string() + " cannot be imported", why,
                    "save it with numpy.save(path, array.astype('float32'))");
    };
    if (!all.starts_with("\x93NUMPY") || all.size() < 12) refuse("it is not a .npy file");
    // Version 1 has 2 bytes for the header's length, later ones 4.
    const std::size_t length_bytes = all[6] == 1 ? 2 : 4;
    std::uint32_t length = 0;
    std::memcpy(&length, all.data() + 8, length_bytes);
    data_ = 8 + length_bytes + length;
    if (data_ > all.size()) refuse("it is cut in its header");
    const std::string header(all.substr(8 + length_bytes, length));
    std::smatch match;
    if (!std::regex_search(header, match, std::regex(R"('descr'\s*:\s*'([^']*)')")))
        refuse("its header names no type");
    const std::string type = match[1];
    if (type == "<f4")
        dtype_ = Dtype::f32;
    else if (type == "<f2")
        dtype_ = Dtype::f16;
    else
        refuse("it holds " + type + ", not float32 or float16");
    if (header.find("'fortran_order': True") != std::string::npos) refuse("it is in Fortran order");
    if (!std::regex_search(header, match,
                           std::regex(R"('shape'\s*:\s*\(\s*(\d{1,18})\s*,\s*(\d{1,18})\s*,?\s*\))")))
        refuse("it is not a matrix of two dimensions");
    n_rows_ = std::stoll(match[1]);
    dim_ = std::stoll(match[2]);
    if (n_rows_ == 0 || dim_ == 0) refuse("it is empty");
    const std::size_t needed = dtype_size(dtype_);
    const std::size_t room = all.size() - data_;
    if (static_cast<std::size_t>(n_rows_) > room / needed / static_cast<std::size_t>(dim_))
        refuse("it is cut: its shape needs more bytes than it has");
}

std::span<const std::byte> NpyFile::rows(std::int64_t begin, std::int64_t end) const {
    const std::size_t row = static_cast<std::size_t>(dim_) * dtype_size(dtype_);
    return file_.bytes().subspan(data_ + static_cast<std::size_t>(begin) * row,
                                 static_cast<std::size_t>(end - begin) * row);
}

}  // namespace tomograph
