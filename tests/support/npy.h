#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tomograph::test {

/// A .npy file's bytes, as NumPy writes them: version 1.0, the header as given.
inline std::string npy_bytes(std::string header, const std::string& data) {
    while ((10 + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(header.size() & 0xff);
    bytes += static_cast<char>(header.size() >> 8);
    return bytes + header + data;
}

inline std::string npy_header(const std::string& type, const std::string& shape, bool fortran = false) {
    return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
           ", 'shape': " + shape + ", }";
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// The numbers 0, 1, 2 … of `n` elements.
template <class T>
std::vector<T> counted(std::size_t n) {
    std::vector<T> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<T>(i);
    return values;
}

template <class T>
std::string npy_of(const std::string& type, const std::string& shape, const std::vector<T>& values,
                   bool fortran = false) {
    return npy_bytes(npy_header(type, shape, fortran), bytes_of(values));
}

}  // namespace tomograph::test
