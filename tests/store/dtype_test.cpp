#include "tomograph/store/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tomograph/base/random.h"

namespace tomograph {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

std::uint16_t one_f16(float value) {
    std::uint16_t half = 0;
    to_f16(&value, &half, 1);
    return half;
}
std::uint16_t one_bf16(float value) {
    std::uint16_t half = 0;
    to_bf16(&value, &half, 1);
    return half;
}
bool fits(const std::vector<float>& values) {
    std::vector<std::uint16_t> halves(values.size());
    return to_f16(values.data(), halves.data(), values.size());
}

// Names
// -------------------------------------------------------------------------------------------------------------

class DtypeName : public testing::TestWithParam<std::tuple<Dtype, const char*, std::size_t>> {};
INSTANTIATE_TEST_SUITE_P(Dtype, DtypeName,
                         testing::Values(std::tuple(Dtype::f32, "F32", 4u), std::tuple(Dtype::f16, "F16", 2u),
                                         std::tuple(Dtype::bf16, "BF16", 2u),
                                         std::tuple(Dtype::i32, "I32", 4u)));

TEST_P(DtypeName, IsTheOneOfSafetensors) {
    EXPECT_EQ(dtype_name(std::get<0>(GetParam())), std::get<1>(GetParam()));
}
TEST_P(DtypeName, IsFoundAgain) {
    EXPECT_EQ(find_dtype(std::get<1>(GetParam())), std::get<0>(GetParam()));
}
TEST_P(DtypeName, HasItsSize) {
    EXPECT_EQ(dtype_size(std::get<0>(GetParam())), std::get<2>(GetParam()));
}

TEST(FindDtype, IgnoresCase) {
    EXPECT_EQ(find_dtype("bf16"), Dtype::bf16);
}
TEST(FindDtype, KnowsNoOther) {
    for (const char* name : {"", "F64", "F1", "F166", "f 16", "I64", "BF"})
        EXPECT_EQ(find_dtype(name), std::nullopt) << name;
}

// float16: values from IEEE 754-2008, binary16
// -------------------------------------------------------------------------------------------------------------

struct Rounding {
    float value;
    std::uint16_t bits;
};

class F16Rounding : public testing::TestWithParam<Rounding> {};
INSTANTIATE_TEST_SUITE_P(
    Dtype, F16Rounding,
    testing::Values(Rounding{0.0f, 0x0000}, Rounding{-0.0f, 0x8000}, Rounding{1.0f, 0x3c00},
                    Rounding{-2.0f, 0xc000}, Rounding{0.333251953125f, 0x3555}, Rounding{1.0f / 3, 0x3555},
                    Rounding{65504.0f, 0x7bff},
                    // Ties go to the even neighbour; one bit more goes up.
                    Rounding{1 + 0x1p-11f, 0x3c00}, Rounding{1 + 3 * 0x1p-11f, 0x3c02},
                    Rounding{1 + 0x1p-11f + 0x1p-23f, 0x3c01}, Rounding{2049.0f, 0x6800},
                    Rounding{2051.0f, 0x6802},
                    // A carry into the exponent.
                    Rounding{2 - 0x1p-12f, 0x4000},
                    // The smallest normal number and its neighbours below.
                    Rounding{0x1p-14f, 0x0400}, Rounding{0x1p-14f - 0x1p-24f, 0x03ff},
                    Rounding{0x1p-14f - 0x1p-26f, 0x0400}, Rounding{-0x1p-14f + 0x1p-24f, 0x83ff},
                    // Subnormal numbers: the smallest, ties, and what vanishes.
                    Rounding{0x1p-24f, 0x0001}, Rounding{0x1.8p-24f, 0x0002}, Rounding{0x1.4p-24f, 0x0001},
                    Rounding{0x1p-25f, 0x0000}, Rounding{0x1.000002p-25f, 0x0001},
                    Rounding{-0x1p-26f, 0x8000}, Rounding{std::numeric_limits<float>::denorm_min(), 0x0000},
                    // Past the end.
                    Rounding{65519.996f, 0x7bff}, Rounding{65520.0f, 0x7c00}, Rounding{-65520.0f, 0xfc00},
                    Rounding{1e30f, 0x7c00}, Rounding{kInfinity, 0x7c00}, Rounding{-kInfinity, 0xfc00}));

TEST_P(F16Rounding, OfOneNumber) {
    EXPECT_EQ(one_f16(GetParam().value), GetParam().bits) << GetParam().value;
}

TEST_P(F16Rounding, OfEightAtOnce) {
    const std::vector<float> values(8, GetParam().value);
    std::vector<std::uint16_t> halves(8);
    to_f16(values.data(), halves.data(), 8);
    EXPECT_EQ(halves, std::vector<std::uint16_t>(8, GetParam().bits)) << GetParam().value;
}

TEST(F16, KeepsNaN) {
    float back = 0;
    const std::uint16_t half = one_f16(kNaN);
    from_f16(&half, &back, 1);
    EXPECT_TRUE(std::isnan(back));
}

TEST(F16, GivesEveryBitPatternBack) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        float wide = 0;
        from_f16(&half, &wide, 1);
        const bool nan = (half & 0x7fffu) > 0x7c00u;
        ASSERT_EQ(one_f16(wide), nan ? half | 0x0200u : half) << std::hex << bits;
    }
}

TEST(F16, WidensEightAtOnceAsOneByOne) {
    std::vector<std::uint16_t> halves(0x10000);
    for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
    std::vector<float> wide(halves.size());
    from_f16(halves.data(), wide.data(), halves.size());
    for (std::size_t i = 0; i < halves.size(); ++i) {
        float alone = 0;
        from_f16(&halves[i], &alone, 1);
        const bool nan = std::isnan(alone);
        ASSERT_TRUE(nan ? std::isnan(wide[i])
                        : std::bit_cast<std::uint32_t>(wide[i]) == std::bit_cast<std::uint32_t>(alone))
            << i;
    }
}

/// Floats with all exponents, NaN and infinity among them.
std::vector<float> wild_floats(std::size_t n) {
    std::vector<float> values;
    Rng rng(3);
    for (std::size_t i = 0; i < n; ++i)
        values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(rng())));
    return values;
}

TEST(F16, RoundsEightAtOnceAsOneByOne) {
    const auto values = wild_floats(100'000);
    std::vector<std::uint16_t> halves(values.size());
    to_f16(values.data(), halves.data(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(halves[i], one_f16(values[i])) << values[i];
}

TEST(F16, TakesEveryLength) {
    const auto values = wild_floats(40);
    for (std::size_t n = 0; n <= values.size(); ++n) {
        std::vector<std::uint16_t> halves(values.size(), 0x1234);
        to_f16(values.data(), halves.data(), n);
        for (std::size_t i = 0; i < halves.size(); ++i)
            ASSERT_EQ(halves[i], i < n ? one_f16(values[i]) : 0x1234) << n;
    }
}

TEST(F16, ReadsUnalignedNumbers) {
    const std::vector<std::uint16_t> halves(11, 0x3c00);
    std::vector<std::byte> bytes(23);
    std::memcpy(bytes.data() + 1, halves.data(), 22);
    std::vector<float> wide(11);
    to_f32(Dtype::f16, bytes.data() + 1, wide.data(), 11);
    EXPECT_EQ(wide, std::vector<float>(11, 1.0f));
}

class F16Overflow : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Dtype, F16Overflow, testing::Values(1, 7, 8, 9, 16, 21));

TEST_P(F16Overflow, IsNoneAtTheLargest) {
    EXPECT_TRUE(fits(std::vector<float>(GetParam(), -65519.9f)));
}

TEST_P(F16Overflow, IsFoundAtEveryPlace) {
    for (std::size_t place = 0; place < GetParam(); ++place) {
        std::vector<float> values(GetParam(), 1.0f);
        values[place] = -65520.0f;
        EXPECT_FALSE(fits(values)) << place;
    }
}

TEST_P(F16Overflow, IsNotWhatWasInfiniteBefore) {
    EXPECT_TRUE(fits(std::vector<float>(GetParam(), kInfinity)));
}

TEST_P(F16Overflow, IsNotNaN) {
    EXPECT_TRUE(fits(std::vector<float>(GetParam(), kNaN)));
}

TEST(F16, FindsAnOverflowInTheLaneOfAnInfinity) {
    std::vector<float> values(24, 1.0f);
    values[3] = kInfinity;
    values[11] = 1e6f;
    EXPECT_FALSE(fits(values));
}

TEST(F16, FindsAnOverflowInTheLaneOfANaN) {
    std::vector<float> values(24, 1.0f);
    values[3] = 1e6f;
    values[11] = kNaN;
    EXPECT_FALSE(fits(values));
}

// bfloat16: the upper half of a float32
// -------------------------------------------------------------------------------------------------------------

class Bf16Rounding : public testing::TestWithParam<Rounding> {};
INSTANTIATE_TEST_SUITE_P(
    Dtype, Bf16Rounding,
    testing::Values(Rounding{0.0f, 0x0000}, Rounding{-0.0f, 0x8000}, Rounding{1.0f, 0x3f80},
                    Rounding{-2.5f, 0xc020}, Rounding{1 + 0x1p-8f, 0x3f80}, Rounding{1 + 3 * 0x1p-8f, 0x3f82},
                    Rounding{1 + 0x1p-8f + 0x1p-23f, 0x3f81}, Rounding{2 - 0x1p-9f, 0x4000},
                    Rounding{1e38f, 0x7e96}, Rounding{std::numeric_limits<float>::max(), 0x7f80},
                    Rounding{std::numeric_limits<float>::denorm_min(), 0x0000}, Rounding{kInfinity, 0x7f80}));

TEST_P(Bf16Rounding, OfOneNumber) {
    EXPECT_EQ(one_bf16(GetParam().value), GetParam().bits) << GetParam().value;
}

TEST(Bf16, KeepsNaNWhosePayloadIsInTheLowerHalf) {
    const std::uint16_t half = one_bf16(std::bit_cast<float>(0x7f800001u));
    float back = 0;
    from_bf16(&half, &back, 1);
    EXPECT_TRUE(std::isnan(back));
}

TEST(Bf16, GivesEveryBitPatternButNaNBack) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        if ((half & 0x7fffu) > 0x7f80u) continue;
        float wide = 0;
        from_bf16(&half, &wide, 1);
        ASSERT_EQ(one_bf16(wide), half);
    }
}

TEST(Bf16, ReadsUnalignedNumbers) {
    const std::vector<std::uint16_t> halves(5, 0x3f80);
    std::vector<std::byte> bytes(11);
    std::memcpy(bytes.data() + 1, halves.data(), 10);
    std::vector<float> wide(5);
    to_f32(Dtype::bf16, bytes.data() + 1, wide.data(), 5);
    EXPECT_EQ(wide, std::vector<float>(5, 1.0f));
}

TEST(ToF32, CopiesFloats) {
    const std::vector<float> values{1.5f, -2.0f, 3e30f};
    std::vector<float> out(3);
    to_f32(Dtype::f32, values.data(), out.data(), 3);
    EXPECT_EQ(out, values);
}

TEST(ToF32, WidensIntegers) {
    const std::vector<std::int32_t> values{0, -7, 1 << 20};
    std::vector<float> out(3);
    to_f32(Dtype::i32, values.data(), out.data(), 3);
    EXPECT_EQ(out, (std::vector<float>{0.0f, -7.0f, 1048576.0f}));
}

}  // namespace
}  // namespace tomograph
