#include "tomograph/store/safetensors.h"

#include "fuzz.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

}  // namespace

std::vector<std::string> good_inputs() {
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    const std::vector<std::int32_t> rows{0, 1};
    const auto file = folder() / "good";
    std::vector<std::string> inputs;
    write_safetensors(
        file, {{{"embed", Dtype::f32, {2, 3}}, values.data()}, {{"rows", Dtype::i32, {2}}, rows.data()}},
        {{"components", "embed,z"}});
    inputs.push_back(read_file(file));
    write_safetensors(file, {{{"embed", Dtype::f16, {2, 1, 3}}, values.data()},
                             {{"blocks.1.z", Dtype::bf16, {0, 3}}, values.data()}});
    inputs.push_back(read_file(file));
    return inputs;
}

std::string parse(const std::string& input) {
    const auto path = folder().write("x.safetensors", input);
    return without(folder().path(), answer([&] {
                       const Safetensors file(path);
                       for (const auto& [name, tensor] : file.tensors()) {
                           std::vector<float> row(static_cast<std::size_t>(tensor.width()));
                           for (std::int64_t i = 0; i < std::min<std::int64_t>(tensor.n_rows(), 4); ++i)
                               tensor.read_rows(i, i + 1, row.data());
                           if (tensor.dtype == Dtype::i32) (void)file.integers(name);
                       }
                       (void)file.at("embed");
                   }));
}

}  // namespace tomograph::fuzz
