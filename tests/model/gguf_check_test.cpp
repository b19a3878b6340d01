#include "tomograph/model/gguf_check.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/golden.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

using namespace test;

// What is wrong with a header, and in which words, is in fuzz/corpus/gguf.
TEST(CheckGguf, FindsNothingInTheGoldenModels) {
    std::vector<std::string> names = golden_models();
    names.insert(names.end(), family_models().begin(),
                 family_models().end());  // no heads at all in a Mamba's
    for (const std::string& name : names)
        EXPECT_EQ(error_of([&] { check_gguf(MappedFile(golden_model(name)).bytes(), name); }), "");
}

TEST(CheckGguf, RefusesAHeaderThatIsCutAnywhere) {
    const MappedFile file(golden_model("llama"));
    for (std::size_t size = 4; size < 6144; size += size < 64 ? 1 : 97)
        ASSERT_NE(error_of([&] { check_gguf(file.bytes().first(size), "x"); }), "") << size;
}

}  // namespace
}  // namespace tomograph
