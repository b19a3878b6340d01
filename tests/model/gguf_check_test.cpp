#include "tomograph/model/gguf_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>

#include "support/errors.h"
#include "support/golden.h"
#include "tomograph/base/file.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

/// What each file of bad/header/ is answered with, after "cannot read the header of PATH: ".
const std::map<std::string, std::string>& answers() {
    static const std::map<std::string, std::string> known{
        {"alignment_0", "its alignment is 0"},
        {"alignment_12", "its alignment is 12"},
        {"alignment_huge", "its alignment is 2147483648"},
        {"another_width", "its embedding_length is 16, its token table's rows have 8 values"},
        {"array_of_arrays", "entry 'a' is an array of arrays"},
        {"array_of_no_type", "entry 'a' is an array of type 77, which there is not"},
        {"cut_array", "entry 'a' promises 100 values, more than the file holds"},
        {"cut_array_of_texts", "entry 'a' has a text of 1125899906842624 bytes, more than are left"},
        {"cut_number", "entry 0 has a text of 25 bytes, more than are left"},
        {"empty_key", "entry 0 has no usable name"},
        {"long_array", "entry 'a' promises 17179869184 values, more than the file holds"},
        {"long_array_of_texts", "entry 'a' promises 2147483648 values, more than the file holds"},
        {"long_key", "entry 0 has a text of 9223372036854775808 bytes, more than are left"},
        {"long_text", "entry 'general.name' has a text of 8589934592 bytes, more than are left"},
        {"longest_array", "entry 'a' promises 18446744073709551615 values, more than the file holds"},
        {"many_entries", "it promises 1099511627776 entries in 72 bytes"},
        {"many_experts", "its expert_count is 1000000"},
        {"many_layers", "its block_count is 4294967295"},
        {"many_tensors", "it promises 4611686018427387904 tensors in 72 bytes"},
        {"more_experts_used", "it uses 3 of 2 experts"},
        {"most_tensors", "it promises 18446744073709551615 tensors in 72 bytes"},
        {"negative_width", "its embedding_length is -4"},
        {"no_heads", "its attention.head_count is 0"},
        {"no_layers", "its block_count is 0"},
        {"no_such_type", "entry 'a' has the type 99, which there is not"},
        {"other_byte_order", "it is written for processors of another byte order"},
        {"tensor_elsewhere", "tensor 'a' begins at 1099511627776 where 0 is next"},
        {"tensor_of_five", "tensor 'a' has 5 extents"},
        {"tensor_of_half_a_block", "tensor 'a' has rows of 16 values, no multiple of 32"},
        {"tensor_of_many", "tensor 'a' has 2147483648 extents"},
        {"tensor_of_negative_extent", "tensor 'a' has an extent of 18446744073709551615"},
        {"tensor_of_no_type", "tensor 'a' has the type 4, which there is not"},
        {"tensor_of_nothing", "tensor 'a' has an extent of 0"},
        {"tensor_that_overflows", "tensor 'a' has an extent of 1099511627776"},
        {"tensor_twice", "tensor 'a' is there twice"},
        {"tensor_with_long_name", "tensor 0 has no usable name"},
        {"tensor_without_name", "tensor 0 has no usable name"},
        {"twice", "entry 'general.architecture' is there twice"},
        {"version_1", "it is version 1 of the format, which nothing reads any more"},
        {"version_9", "it is version 9 of the format; up to 3 can be read"},
        {"wide_rotation", "its rope.dimension_count is 2147483648"},
    };
    return known;
}

class BrokenHeader : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Gguf, BrokenHeader, testing::ValuesIn([] {
                             std::vector<std::string> names;
                             for (const auto& entry :
                                  std::filesystem::directory_iterator(golden_path("bad/header")))
                                 names.push_back(entry.path().stem().string());
                             std::ranges::sort(names);
                             return names;
                         }()),
                         [](const auto& test) { return test.param; });

TEST_P(BrokenHeader, IsRefusedWithTheReason) {
    const std::string path = golden_path("bad/header/" + GetParam() + ".gguf");
    ASSERT_TRUE(answers().contains(GetParam())) << error_of([&] { Model::open(path); });
    const bool other_version = GetParam().starts_with("version_") || GetParam() == "other_byte_order";
    EXPECT_EQ(error_of([&] { Model::open(path); }),
              "cannot read the header of " + path + ": " + answers().at(GetParam()) +
                  (other_version ? "; convert the model again with llama.cpp's convert_hf_to_gguf.py"
                                 : "; the file is cut or damaged; download it again"));
}

TEST(BrokenHeaders, AreAllThere) {
    for (const auto& [name, answer] : answers())
        EXPECT_TRUE(std::filesystem::exists(golden_path("bad/header/" + name + ".gguf"))) << name;
}

TEST(CheckGguf, FindsNothingInTheGoldenModels) {
    for (const std::string& name : golden_models())
        EXPECT_EQ(error_of([&] { check_gguf(MappedFile(golden_model(name)).bytes(), name); }), "");
}

}  // namespace
}  // namespace tomograph
