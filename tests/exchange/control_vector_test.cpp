#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/exchange/control_vector.h"
#include "tomograph/exchange/import.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

using namespace test;

ControlVector made() {
    ControlVector vector{"llama", {}};
    for (const int layer : {1, 2, 5}) vector.layers[layer] = Vector::LinSpaced(6, 1, 6) * layer;
    return vector;
}

TEST(ControlVectorFile, ReadsWhatItWrote) {
    const TempFolder folder;
    write_control_vector(folder / "v.gguf", made());
    const ControlVector read = read_control_vector(folder / "v.gguf");
    EXPECT_EQ(read.model_hint, "llama");
    EXPECT_EQ(read.layers, made().layers);
}

TEST(ControlVectorFile, IsImportedAsRowsAtTheStream) {
    const TempFolder folder;
    write_control_vector(folder / "v.gguf", made());
    import_vectors({.files = {folder / "v.gguf"}}, folder / "run", no_progress());
    const auto run = tomograph::Run::open(folder / "run");
    ASSERT_EQ(run.sites().size(), 3u);
    EXPECT_EQ(run.sites()[2].site.name(), "blocks.5.resid_post");
    Vector row(6);
    run.read_rows({Component::resid_post, 5}, 0, 1, row.data());
    EXPECT_EQ(row, made().layers[5]);
}

TEST(ControlVectorFile, CannotHoldTheFirstBlock) {
    const TempFolder folder;
    ControlVector vector = made();
    vector.layers[0] = Vector::Ones(6);
    EXPECT_NE(error_of([&] { write_control_vector(folder / "v.gguf", vector); }).find("cannot hold block 0"),
              std::string::npos);
    EXPECT_EQ(folder.n_files(), 0u);
}

struct Fault {
    const char* name;
    std::function<void(std::string&)> spoil;
    const char* why;
};
void replace(std::string& bytes, const std::string& from, const std::string& to) {
    bytes.replace(bytes.find(from), from.size(), to);
}
class BrokenControlVector : public testing::TestWithParam<Fault> {};
INSTANTIATE_TEST_SUITE_P(
    ControlVectorFile, BrokenControlVector,
    testing::Values(
        Fault{"magic", [](std::string& b) { b[0] = 'X'; }, "it is no GGUF"},
        Fault{"version", [](std::string& b) { b[4] = 9; }, "GGUF of version 9"},
        Fault{"cut", [](std::string& b) { b.resize(b.size() - 40); }, "it is cut"},
        Fault{"header_cut", [](std::string& b) { b.resize(30); }, "it is cut"},
        Fault{"empty", [](std::string& b) { b.clear(); }, "is no control vector"},
        Fault{"first_block", [](std::string& b) { replace(b, "direction.1", "direction.0"); },
              "'direction.0' is no direction"},
        Fault{"other_tensor", [](std::string& b) { replace(b, "direction.1", "embedding.1"); },
              "'embedding.1' is no direction"},
        Fault{"twice", [](std::string& b) { replace(b, "direction.2", "direction.1"); }, "is there twice"},
        Fault{"endless_key",
              [](std::string& b) {
                  const std::uint64_t huge = ~std::uint64_t{0};
                  std::memcpy(b.data() + 24, &huge, sizeof huge);
              },
              "it is cut"},
        Fault{"many_tensors",
              [](std::string& b) {
                  const std::uint64_t huge = ~std::uint64_t{0};
                  std::memcpy(b.data() + 8, &huge, sizeof huge);
              },
              "is no control vector"},
        Fault{"dimensions", [](std::string& b) { b[b.find("direction.1") + 11] = 2; }, "has 2 dimensions"},
        Fault{"type", [](std::string& b) { b[b.find("direction.1") + 11 + 4 + 8] = 1; }, "is not F32"},
        Fault{"width", [](std::string& b) { b[b.find("direction.2") + 11 + 4] = 5; },
              "direction.2 is 5 wide"},
        Fault{"offset", [](std::string& b) { b[b.find("direction.2") + 11 + 4 + 8 + 4 + 7] = 127; },
              "it is cut"}),
    [](const auto& test) { return test.param.name; });

TEST_P(BrokenControlVector, IsRefusedWithItsReason) {
    const TempFolder folder;
    write_control_vector(folder / "v.gguf", made());
    std::string bytes = read_file(folder / "v.gguf");
    GetParam().spoil(bytes);
    folder.write("v.gguf", bytes);
    const std::string message = error_of([&] { read_control_vector(folder / "v.gguf"); });
    EXPECT_NE(message.find(GetParam().why), std::string::npos) << message;
}

}  // namespace
}  // namespace tomograph
