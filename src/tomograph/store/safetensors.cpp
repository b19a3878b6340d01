#include "tomograph/store/safetensors.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/base/json_reason.h"

namespace tomograph {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little endian");

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the limit of the format's reference reader
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 60;  // their bytes still fit 64 bits

[[noreturn]] void broken(const std::filesystem::path& path, const std::string& why) {
    throw Error(path.string() + " is not a readable safetensors file", why,
                "it was cut or damaged; capture it again");
}

/// A whole number that is not negative; anything else would be cut to one in silence.
std::uint64_t whole_number(const std::filesystem::path& path, const std::string& name, const Json& json) {
    if (!json.is_number_unsigned())
        broken(path, fmt::format("'{}' has {} for an extent or an offset", name, json_text(json)));
    return json.get<std::uint64_t>();
}

/// Extents of tensor `name`. The product of those that are not 0 is bounded, so that a wild shape cannot wrap
/// around to a size that fits.
std::vector<std::int64_t> read_shape(const std::filesystem::path& path, const std::string& name,
                                     const Json& json) {
    std::vector<std::int64_t> shape;
    std::uint64_t elements = 1;
    if (!json.is_array()) broken(path, fmt::format("'{}' has the shape {}", name, json_text(json)));
    for (const Json& entry : json) {
        const std::uint64_t extent = whole_number(path, name, entry);
        if (extent > 0 && elements > kMaxElements / extent)
            broken(path, fmt::format("'{}' is larger than any file", name));
        if (extent > 0) elements *= extent;
        shape.push_back(static_cast<std::int64_t>(extent));
    }
    return shape;
}

}  // namespace

std::int64_t TensorSpec::n_elements() const {
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
    Json header = Json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::uint64_t at = 0;
    for (const TensorSpec& tensor : tensors) {
        header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                               {"shape", tensor.shape},
                               {"data_offsets", {at, at + tensor.n_bytes()}}};
        offsets_.push_back(at);
        at += tensor.n_bytes();
    }
    std::string text = json_text(header);
    // Spaces after the JSON are allowed, and make the data begin aligned.
    while ((8 + text.size()) % kAlignment != 0) text += ' ';
    const std::uint64_t size = text.size();
    for (std::uint64_t& offset : offsets_) offset += 8 + size;
    file_bytes_ = 8 + size + at;
    file_.reserve(file_bytes_);
    file_.write_at(0, &size, sizeof size);
    file_.write_at(8, text.data(), text.size());
}

void SafetensorsWriter::write(std::size_t tensor, std::uint64_t offset, const void* bytes, std::size_t size) {
    file_.write_at(offsets_[tensor] + offset, bytes, size);
}

void SafetensorsWriter::finish() {
    file_.commit();
}

std::int64_t Safetensors::Tensor::width() const {
    std::int64_t product = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) product *= shape[i];
    return product;
}

void Safetensors::Tensor::read_rows(std::int64_t begin, std::int64_t end, float* out) const {
    const std::int64_t per_row = width();
    to_f32(dtype, bytes.data() + static_cast<std::size_t>(begin * per_row) * dtype_size(dtype), out,
           static_cast<std::size_t>((end - begin) * per_row));
}

Safetensors::Safetensors(const std::filesystem::path& path, Types types) : path_(path), file_(path) {
    const auto bytes = file_.bytes();
    std::uint64_t size = 0;
    if (bytes.size() < sizeof size) broken(path, "it has no header");
    std::memcpy(&size, bytes.data(), sizeof size);
    if (size > kMaxHeader || size > bytes.size() - sizeof size)
        broken(path, "its header is longer than the file");
    const auto data = bytes.subspan(sizeof size + size);
    try {
        const auto* text = reinterpret_cast<const char*>(bytes.data() + sizeof size);
        const Json header = parse_json({text, size});
        if (!header.is_object()) broken(path, "its header is no JSON object");
        for (const auto& [name, entry] : header.items()) {
            if (name == "__metadata__") {
                metadata_ = entry.get<std::map<std::string, std::string>>();
                continue;
            }
            const auto dtype = find_dtype(entry.at("dtype").get<std::string>());
            if (!dtype && types == Types::own)
                broken(path, fmt::format("'{}' has the type {}", name, json_text(entry.at("dtype"))));
            const std::uint64_t begin = whole_number(path, name, entry.at("data_offsets").at(0));
            const std::uint64_t end = whole_number(path, name, entry.at("data_offsets").at(1));
            if (begin > end || end > data.size()) broken(path, fmt::format("'{}' ends after the file", name));
            if (!dtype) {
                others_[name] = {entry.at("dtype").get<std::string>(),
                                 read_shape(path, name, entry.at("shape")), data.subspan(begin, end - begin)};
                continue;
            }
            const TensorSpec spec{name, *dtype, read_shape(path, name, entry.at("shape"))};
            if (end - begin != spec.n_bytes())
                broken(path, fmt::format("'{}' has {} bytes, its shape needs {}", name, end - begin,
                                         spec.n_bytes()));
            tensors_[name] = {*dtype, spec.shape, data.subspan(begin, end - begin)};
        }
    } catch (const Json::exception& e) {
        broken(path, std::string("its header is not valid: ") + json_reason(e));
    }
}

const Safetensors::Tensor& Safetensors::at(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
        throw Error(fmt::format("no tensor '{}' in {}", name, path_.string()), "", "");
    return found->second;
}

std::vector<std::int32_t> Safetensors::integers(const std::string& name) const {
    const Tensor& tensor = at(name);
    if (tensor.dtype != Dtype::i32)
        throw Error(fmt::format("'{}' in {} is not I32", name, path_.string()), "", "");
    std::vector<std::int32_t> values(tensor.bytes.size() / sizeof(std::int32_t));
    if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorData>& tensors,
                       const std::map<std::string, std::string>& metadata) {
    std::vector<TensorSpec> specs;
    for (const TensorData& tensor : tensors) specs.push_back(tensor.spec);
    SafetensorsWriter writer(path, specs, metadata);
    for (std::size_t i = 0; i < tensors.size(); ++i)
        writer.write(i, 0, tensors[i].data, tensors[i].spec.n_bytes());
    writer.finish();
}

}  // namespace tomograph
