#include "tomograph/exchange/npy.h"

#include "fuzz.h"
#include "tomograph/exchange/import.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

}  // namespace

std::vector<std::string> good_inputs() {
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    NpyWriter writer(folder() / "good.npy", {2, 3});
    writer.write(values.data(), values.size());
    writer.finish();
    return {read_file(folder() / "good.npy")};
}

std::string parse(const std::string& input) {
    const auto path = folder().write("x.npy", input);
    return without(folder().path(), answer([&] {
                       import_vectors({.files = {path}, .force = true}, folder() / "run", no_progress());
                   }));
}

}  // namespace tomograph::fuzz
