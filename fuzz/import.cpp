// Tensors that other programs captured: names, shapes and types that the run folder does not know.
#include "tomograph/exchange/import.h"

#include "fuzz.h"
#include "tomograph/store/run.h"
#include "tomograph/store/safetensors.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

}  // namespace

std::vector<std::string> good_inputs() {
    const std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const std::vector<std::int32_t> ids{7, 9};
    const auto file = folder() / "good.safetensors";
    std::vector<std::string> inputs;
    write_safetensors(file, {{{"blocks.1.hook_resid_post", Dtype::f32, {1, 2, 6}}, values.data()},
                             {{"blocks.0.attn.hook_z", Dtype::f16, {1, 2, 3, 2}}, values.data()},
                             {{"hook_embed", Dtype::bf16, {2, 6}}, values.data()},
                             {{"input_ids", Dtype::i32, {1, 2}}, ids.data()}});
    inputs.push_back(read_file(file));
    write_safetensors(file, {{{"hidden_states", Dtype::f32, {2, 3, 2}}, values.data()},
                             {{"token_ids", Dtype::i32, {2}}, ids.data()}});
    inputs.push_back(read_file(file));
    write_safetensors(file, {{{"hidden_states.0", Dtype::f32, {2, 3}}, values.data()},
                             {{"hidden_states.2", Dtype::f32, {2, 3}}, values.data()}});
    inputs.push_back(read_file(file));
    return inputs;
}

std::string parse(const std::string& input) {
    const auto path = folder().write("x.safetensors", input);
    return without(folder().path(), answer([&] {
                       import_vectors({.files = {path}, .force = true}, folder() / "run", no_progress());
                       (void)Run::open(folder() / "run").pieces();
                   }));
}

}  // namespace tomograph::fuzz
