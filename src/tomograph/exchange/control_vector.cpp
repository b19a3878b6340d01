#include "tomograph/exchange/control_vector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

// The format: "GGUF", version, numbers of tensors and of keys, the keys, the tensors' descriptions, and then
// their values, each from a multiple of the alignment on. All little-endian.
constexpr std::uint32_t kGgufVersion = 3;
constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kFloat32 = 0;  // ggml's number of the type
enum Type : std::uint32_t { kInt32 = 5, kString = 8, kArray = 9 };
constexpr std::uint32_t kUint32 = 4;
/// Bytes of a value by its type's number; 0: a string or an array.
constexpr std::array<std::uint64_t, 13> kSizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

std::uint64_t aligned(std::uint64_t offset, std::uint64_t alignment) {
    return (offset + alignment - 1) / alignment * alignment;
}

void put(std::string& out, const auto& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, std::string_view text) {
    put(out, static_cast<std::uint64_t>(text.size()));
    out += text;
}

void put_key(std::string& out, std::string_view key, std::string_view value) {
    put_string(out, key);
    put(out, std::uint32_t{kString});
    put_string(out, value);
}

/// Reads the header front to back; whatever it promises must lie within the file.
class Reader {
  public:
    Reader(std::span<const std::byte> bytes, const fs::path& path) : bytes_(bytes), path_(path) {}

    [[noreturn]] void fail(const std::string& why) const {
        throw Error(path_.string() + " is no control vector", why,
                    "give a GGUF with tensors direction.1, direction.2 and so on");
    }
    template <class T>
    T number() {
        T value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }
    std::string string() {
        const auto size = number<std::uint64_t>();
        const auto* text = reinterpret_cast<const char*>(take(size));
        return {text, static_cast<std::size_t>(size)};
    }
    void skip_value(std::uint32_t type) {
        if (type == kString) {
            string();
        } else if (type == kArray) {
            const auto of = number<std::uint32_t>();
            const auto n = number<std::uint64_t>();
            if (of == kArray || of >= kSizes.size()) fail("a key holds an array of an unknown type");
            if (of == kString) {
                for (std::uint64_t i = 0; i < n; ++i) string();
            } else if (n > bytes_.size() / kSizes[of]) {
                fail("it is cut");
            } else {
                take(n * kSizes[of]);
            }
        } else if (type < kSizes.size()) {
            take(kSizes[type]);
        } else {
            fail("a key has an unknown type");
        }
    }
    std::uint64_t at() const { return at_; }

  private:
    const std::byte* take(std::uint64_t size) {
        if (size > bytes_.size() - at_) fail("it is cut");
        const std::byte* here = bytes_.data() + at_;
        at_ += size;
        return here;
    }
    std::span<const std::byte> bytes_;
    const fs::path& path_;
    std::uint64_t at_ = 0;
};

std::optional<int> layer_of(std::string_view tensor) {
    constexpr std::string_view kStem = "direction.";
    if (!tensor.starts_with(kStem)) return std::nullopt;
    const char* end = tensor.data() + tensor.size();
    int layer = 0;
    const auto parsed = std::from_chars(tensor.data() + kStem.size(), end, layer);
    return parsed.ec == std::errc{} && parsed.ptr == end && layer >= 1 ? std::optional(layer) : std::nullopt;
}

struct Mapped {
    std::string model_hint;
    std::map<int, ForeignArray> layers;
};

Mapped map_file(const fs::path& path) {
    const auto file = std::make_shared<MappedFile>(path);
    const auto bytes = file->bytes();
    Reader in(bytes, path);
    if (bytes.size() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0) in.fail("it is no GGUF");
    in.number<std::uint32_t>();
    const auto version = in.number<std::uint32_t>();
    if (version != 2 && version != kGgufVersion) in.fail(fmt::format("it is GGUF of version {}", version));
    const auto n_tensors = in.number<std::uint64_t>(), n_keys = in.number<std::uint64_t>();
    Mapped mapped;
    std::uint64_t alignment = kAlignment;
    for (std::uint64_t i = 0; i < n_keys; ++i) {
        const std::string key = in.string();
        const auto type = in.number<std::uint32_t>();
        if (key == "controlvector.model_hint" && type == kString) {
            mapped.model_hint = in.string();
        } else if (key == "general.alignment" && type == kUint32) {
            alignment = in.number<std::uint32_t>();
            if (alignment == 0 || alignment > (1u << 20)) in.fail("its alignment makes no sense");
        } else {
            in.skip_value(type);
        }
    }
    struct Tensor {
        int layer;
        std::uint64_t extent, offset;
    };
    std::vector<Tensor> tensors;
    for (std::uint64_t i = 0; i < n_tensors; ++i) {
        const std::string name = in.string();
        const auto layer = layer_of(name);
        if (!layer) in.fail(fmt::format("'{}' is no direction of a block from 1 on", name));
        const auto n_dims = in.number<std::uint32_t>();
        if (n_dims != 1) in.fail(fmt::format("{} has {} dimensions", name, n_dims));
        const auto extent = in.number<std::uint64_t>();
        if (in.number<std::uint32_t>() != kFloat32) in.fail(name + " is not F32");
        tensors.push_back({*layer, extent, in.number<std::uint64_t>()});
        if (extent != tensors.front().extent || extent == 0)
            in.fail(fmt::format("{} is {} wide", name, extent));
    }
    if (tensors.empty()) in.fail("it holds no tensor");
    const std::uint64_t data = aligned(in.at(), alignment);
    for (const Tensor& tensor : tensors) {
        const std::uint64_t left = data <= bytes.size() ? bytes.size() - data : 0;
        if (tensor.offset > left || tensor.extent > (left - tensor.offset) / sizeof(float))
            in.fail("it is cut");
        if (tensor.offset % sizeof(float) != 0) in.fail("a tensor does not begin at a float's boundary");
        const auto extent = static_cast<std::int64_t>(tensor.extent);
        const bool is_new =
            mapped.layers
                .try_emplace(tensor.layer, file,
                             bytes.subspan(data + tensor.offset, tensor.extent * sizeof(float)), Element::f32,
                             std::vector<std::int64_t>{1, extent})
                .second;
        if (!is_new) in.fail(fmt::format("direction.{} is there twice", tensor.layer));
    }
    return mapped;
}

}  // namespace

void write_control_vector(const fs::path& path, const ControlVector& vector) {
    if (vector.layers.empty()) throw Error("there is no direction to write", "", "");
    const Eigen::Index width = vector.layers.begin()->second.size();
    std::string header = "GGUF", values;
    put(header, kGgufVersion);
    put(header, static_cast<std::uint64_t>(vector.layers.size()));
    put(header, std::uint64_t{3});
    put_key(header, "general.architecture", "controlvector");
    put_key(header, "controlvector.model_hint", vector.model_hint);
    put_string(header, "controlvector.layer_count");
    put(header, std::uint32_t{kInt32});
    put(header, static_cast<std::int32_t>(vector.layers.size()));
    for (const auto& [layer, direction] : vector.layers) {
        if (layer < 1)
            throw Error(fmt::format("a control vector cannot hold block {}", layer),
                        "llama.cpp adds none to what leaves the first block", "leave that layer out");
        if (direction.size() != width)
            throw Error("a control vector's directions must have one width",
                        fmt::format("block {} has {}, another {}", layer, direction.size(), width), "");
        put_string(header, fmt::format("direction.{}", layer));
        put(header, std::uint32_t{1});
        put(header, static_cast<std::uint64_t>(width));
        put(header, kFloat32);
        put(header, static_cast<std::uint64_t>(values.size()));
        values.append(reinterpret_cast<const char*>(direction.data()),
                      static_cast<std::size_t>(width) * sizeof(float));
        values.resize(aligned(values.size(), kAlignment));
    }
    header.resize(aligned(header.size(), kAlignment));
    AtomicFile file(path);
    file.write(header);
    file.write(values);
    file.commit();
}

std::map<int, ForeignArray> map_control_vector(const fs::path& path) {
    return map_file(path).layers;
}

ControlVector read_control_vector(const fs::path& path) {
    const Mapped mapped = map_file(path);
    ControlVector vector{mapped.model_hint, {}};
    for (const auto& [layer, array] : mapped.layers) {
        Vector& direction = vector.layers[layer];
        direction.resize(array.axes().back().extent);
        Losses losses;
        array.read_rows(1, 0, 1, direction.data(), losses);
    }
    return vector;
}

}  // namespace tomograph
