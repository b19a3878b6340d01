#include "tomograph/exchange/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/npy.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/store/dtype.h"

namespace tomograph {
namespace {

using namespace test;

/// What NumPy wrote for np.arange(6, dtype='<f4').reshape(2, 3), but for the padding of its header.
TEST(Npy, IsWhatNumPyReads) {
    const TempFolder folder;
    NpyWriter writer(folder / "x.npy", {2, 3});
    const std::vector<float> values{0, 1, 2, 3, 4, 5};
    writer.write(values.data(), 3);
    writer.write(values.data() + 3, 3);
    writer.finish();
    const std::string bytes = read_file(folder / "x.npy");
    EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[8]) + 256 * bytes[9]);
    EXPECT_EQ((10 + length) % 64, 0u);
    const std::string header = bytes.substr(10, length);
    EXPECT_TRUE(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, ), }"))
        << header;
    EXPECT_EQ(header.back(), '\n');
    ASSERT_EQ(bytes.size(), 10 + length + 24);
    EXPECT_EQ(std::memcmp(bytes.data() + 10 + length, values.data(), 24), 0);
}

TEST(Npy, WritesOneDimensionAsATuple) {
    const TempFolder folder;
    NpyWriter writer(folder / "x.npy", {1});
    const float value = 7;
    writer.write(&value, 1);
    writer.finish();
    EXPECT_NE(read_file(folder / "x.npy").find("'shape': (1, )"), std::string::npos);
}

TEST(Npy, RefusesTooFewValues) {
    const TempFolder folder;
    NpyWriter writer(folder / "x.npy", {2});
    const float value = 7;
    writer.write(&value, 1);
    EXPECT_EQ(error_of([&] { writer.finish(); }), "fewer values than the array's shape holds");
}

TEST(Npy, RefusesTooManyValues) {
    const TempFolder folder;
    NpyWriter writer(folder / "x.npy", {1});
    const std::vector<float> values(2);
    EXPECT_EQ(error_of([&] { writer.write(values.data(), 2); }), "more values than the array's shape holds");
}

TEST(Npy, LeavesNothingUnfinished) {
    const TempFolder folder;
    { NpyWriter writer(folder / "x.npy", {1}); }
    EXPECT_EQ(folder.n_files(), 0u);
}

// Reading
// -------------------------------------------------------------------------------------------------------------

class ReadNpy : public testing::Test {
  protected:
    ForeignArray read(const std::string& bytes) { return read_npy(folder_.write("x.npy", bytes)); }
    /// All values as float32, a row for each place of all axes but the last.
    std::vector<float> values(const ForeignArray& array, Losses& losses) {
        const std::size_t axes = array.axes().size() - 1;
        std::vector<float> out(static_cast<std::size_t>(array.n_rows(axes + 1)));
        array.read_rows(axes, 0, array.n_rows(axes), out.data(), losses);
        return out;
    }
    std::vector<float> values(const std::string& bytes) {
        Losses losses;
        return values(read(bytes), losses);
    }
    std::string error(const std::string& bytes) {
        const std::string line = error_of([&] { read(bytes); });
        const std::string before = (folder_ / "x.npy").string() + " cannot be imported: ";
        EXPECT_TRUE(line.starts_with(before)) << line;
        return line.size() < before.size() ? line : line.substr(before.size());
    }
    TempFolder folder_;
};

template <class T>
std::string swapped(const std::vector<T>& values) {
    std::string bytes;
    for (const T& value : values) {
        std::string one = bytes_of(std::vector<T>{value});
        bytes += std::string(one.rbegin(), one.rend());
    }
    return bytes;
}

TEST_F(ReadNpy, TakesEveryTypeOfNumber) {
    const auto want = counted<float>(6);
    EXPECT_EQ(values(npy_of("<f4", "(2, 3)", counted<float>(6))), want);
    EXPECT_EQ(values(npy_of("<f8", "(2, 3)", counted<double>(6))), want);
    EXPECT_EQ(values(npy_of("|i1", "(2, 3)", counted<std::int8_t>(6))), want);
    EXPECT_EQ(values(npy_of("|u1", "(2, 3)", counted<std::uint8_t>(6))), want);
    EXPECT_EQ(values(npy_of("<i2", "(2, 3)", counted<std::int16_t>(6))), want);
    EXPECT_EQ(values(npy_of("<u2", "(2, 3)", counted<std::uint16_t>(6))), want);
    EXPECT_EQ(values(npy_of("<i4", "(2, 3)", counted<std::int32_t>(6))), want);
    EXPECT_EQ(values(npy_of("<u4", "(2, 3)", counted<std::uint32_t>(6))), want);
    EXPECT_EQ(values(npy_of("<i8", "(2, 3)", counted<std::int64_t>(6))), want);
    EXPECT_EQ(values(npy_of("<u8", "(2, 3)", counted<std::uint64_t>(6))), want);
    std::vector<std::uint16_t> half(6);
    to_f16(want.data(), half.data(), 6);
    EXPECT_EQ(values(npy_of("<f2", "(2, 3)", half)), want);
    EXPECT_EQ(values(npy_of("|b1", "(1, 2)", std::vector<std::uint8_t>{0, 1})), (std::vector<float>{0, 1}));
    EXPECT_EQ(values(npy_of("|i1", "(1, 2)", std::vector<std::int8_t>{-128, 127})),
              (std::vector<float>{-128, 127}));
}

TEST_F(ReadNpy, TurnsBigEndianNumbers) {
    const auto want = counted<float>(6);
    EXPECT_EQ(values(npy_bytes(npy_header(">f4", "(2, 3)"), swapped(counted<float>(6)))), want);
    EXPECT_EQ(values(npy_bytes(npy_header(">f8", "(2, 3)"), swapped(counted<double>(6)))), want);
    EXPECT_EQ(values(npy_bytes(npy_header(">i2", "(2, 3)"), swapped(counted<std::int16_t>(6)))), want);
    std::vector<std::uint16_t> half(6);
    to_f16(want.data(), half.data(), 6);
    EXPECT_EQ(values(npy_bytes(npy_header(">f2", "(2, 3)"), swapped(half))), want);
    EXPECT_TRUE(read(npy_bytes(npy_header(">f4", "(2, 3)"), swapped(counted<float>(6)))).swapped());
    EXPECT_FALSE(read(npy_of(">u1", "(2, 3)", counted<std::uint8_t>(6))).swapped());
}

TEST_F(ReadNpy, TakesFortranOrder) {
    // [[0, 1, 2], [3, 4, 5]] column by column.
    EXPECT_EQ(values(npy_of<float>("<f4", "(2, 3)", {0, 3, 1, 4, 2, 5}, true)), counted<float>(6));
    EXPECT_EQ(values(npy_of<double>("<f8", "(2, 3)", {0, 3, 1, 4, 2, 5}, true)), counted<float>(6));
}

TEST_F(ReadNpy, TakesThreeAxesOfFortranOrder) {
    // Element (s, p, k) of [2, 3, 2] holds its number in C order.
    std::vector<float> stored(12);
    for (std::size_t s = 0; s < 2; ++s)
        for (std::size_t p = 0; p < 3; ++p)
            for (std::size_t k = 0; k < 2; ++k)
                stored[s + 2 * p + 6 * k] = static_cast<float>(k + 2 * p + 6 * s);
    EXPECT_EQ(values(npy_of("<f4", "(2, 3, 2)", stored, true)), counted<float>(12));
}

TEST_F(ReadNpy, ReadsAnyStretchOfRows) {
    const ForeignArray array = read(npy_of("<f8", "(5, 3)", counted<double>(15)));
    std::vector<float> rows(6);
    Losses losses;
    array.read_rows(1, 3, 5, rows.data(), losses);
    EXPECT_EQ(rows, (std::vector<float>{9, 10, 11, 12, 13, 14}));
}

TEST_F(ReadNpy, CountsWhatFloat32CannotHold) {
    Losses losses;
    values(read(npy_of<std::int32_t>("<i4", "(1, 3)", {1 << 24, (1 << 24) + 1, -(1 << 24) - 3})), losses);
    EXPECT_EQ(losses.rounded, 2);
    values(read(npy_of<std::int64_t>("<i8", "(1, 2)", {INT64_MAX, INT64_MIN})), losses);
    EXPECT_EQ(losses.rounded, 3);
    EXPECT_EQ(losses.first_too_large, -1);
    values(read(npy_of<double>("<f8", "(3, 1)", {INFINITY, 1e39, 1e40})), losses);
    EXPECT_EQ(losses.first_too_large, 1);
}

TEST_F(ReadNpy, TakesLaterVersionsAndPython2) {
    std::string bytes = npy_of("<f4", "(1L, 2L)", counted<float>(2));
    EXPECT_EQ(read(bytes).shape(), (std::vector<std::int64_t>{1, 2}));
    bytes.insert(10, 2, '\0');  // a length of 4 bytes
    bytes[6] = 2;
    EXPECT_EQ(read(bytes).shape(), (std::vector<std::int64_t>{1, 2}));
}

TEST_F(ReadNpy, TakesWhatStandsBehindTheArray) {
    EXPECT_EQ(values(npy_of("<f4", "(1, 2)", counted<float>(2)) + "more"), counted<float>(2));
}

struct BrokenArray {
    const char* name;
    std::string bytes;
    std::string why;
};
void PrintTo(const BrokenArray& broken, std::ostream* out) {
    *out << broken.name;
}

const std::string kSave = "; save it with numpy.save(path, array.astype('float32'))";
const std::string kAgain = "; save or copy it again";

std::string headed(const std::string& header) {
    return npy_bytes(header, std::string(24, '\0'));
}

class BrokenNpy : public ReadNpy, public testing::WithParamInterface<BrokenArray> {};
INSTANTIATE_TEST_SUITE_P(
    Npy, BrokenNpy,
    testing::Values(
        BrokenArray{"Empty", "", "it is not a .npy file" + kSave},
        BrokenArray{"Text", "hello", "it is not a .npy file" + kSave},
        BrokenArray{"MagicAlone", "\x93NUMPY", "it is cut in its header" + kAgain},
        BrokenArray{"CutInItsLength", std::string("\x93NUMPY\x02\x00\x10\x00", 10),
                    "it is cut in its header" + kAgain},
        BrokenArray{"CutInItsHeader", headed(npy_header("<f4", "(2, 3)")).substr(0, 40),
                    "it is cut in its header" + kAgain},
        BrokenArray{"OfALaterVersion", std::string("\x93NUMPY\x09\x00\x10\x00", 10),
                    "it is of version 9, not 1 to 3" + kSave},
        BrokenArray{"AHugeHeader",
                    std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12) + std::string(100, ' '),
                    "its header is said to have 4294967295 bytes, and NumPy's have some hundred" + kSave},
        BrokenArray{"CutInItsData", npy_bytes(npy_header("<f8", "(2, 3)"), std::string(47, '\0')),
                    "it is cut: its shape needs 48 bytes and it has 47" + kAgain},
        BrokenArray{"AShapeThatWrapsAround", headed(npy_header("<f4", "(4611686018427387904, 4)")),
                    "its shape needs more bytes than there are numbers for" + kAgain},
        BrokenArray{"AShapeOfTwentyDigits", headed(npy_header("<f4", "(99999999999999999999, 4)")),
                    "its shape needs more bytes than there are numbers for" + kAgain},
        BrokenArray{"AnAbsurdShape", headed(npy_header("<f4", "(1000000000, 1000)")),
                    "it is cut: its shape needs 4000000000000 bytes and it has 24" + kAgain},
        BrokenArray{"NoRows", headed(npy_header("<f4", "(0, 3)")), "it is empty"},
        BrokenArray{"ANegativeShape", headed(npy_header("<f4", "(-2, 3)")),
                    "its header is not one that NumPy writes" + kSave},
        BrokenArray{"NestedDeeply", headed("{'descr': " + std::string(50'000, '[') + "'<f4'"),
                    "it holds records of several fields, not numbers; save one field: numpy.save(path, "
                    "array['field'])"},
        BrokenArray{"AShapeNestedDeeply",
                    headed("{'descr': '<f4', 'fortran_order': False, 'shape': " + std::string(50'000, '(')),
                    "its header is not one that NumPy writes" + kSave},
        BrokenArray{"Records", headed("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }"),
                    "it holds records of several fields, not numbers; save one field: numpy.save(path, "
                    "array['field'])"},
        BrokenArray{"Objects", headed(npy_header("|O", "(2,)")),
                    "it holds pickled Python objects, which are not read; make one array of numbers of them: "
                    "numpy.save(path, numpy.stack(list(array)).astype('float32'))"},
        BrokenArray{"Bfloat16", headed(npy_header("<V2", "(2, 3)")),
                    "it holds bytes without a type (<V2), as bfloat16 is saved" + kSave},
        BrokenArray{"Complex", headed(npy_header("<c8", "(1, 3)")),
                    "it holds complex numbers; save the real or the imaginary part"},
        BrokenArray{"Strings", headed(npy_header("<U3", "(2,)")),
                    "it holds text, not numbers; save the vectors; labels go into a CSV"},
        BrokenArray{"AnotherType", headed(npy_header("<M8[s]", "(2,)")),
                    "it holds <M8[s], which is no number that is read" + kSave},
        BrokenArray{"NoType", headed(npy_header("", "(2, 3)")),
                    "it holds , which is no number that is read" + kSave},
        BrokenArray{"NoShape", headed("{'descr': '<f4', 'fortran_order': False, }"),
                    "its header lacks one of descr, fortran_order and shape" + kSave},
        BrokenArray{"NoDictionary", headed("('descr', '<f4')"),
                    "its header is not one that NumPy writes" + kSave},
        BrokenArray{"AShapeTwice",
                    headed("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'shape': (2, 3)}"),
                    "its header has an entry 'shape' too many" + kSave},
        BrokenArray{"AnUnknownEntry", headed("{'\x1b[31m': 1}"),
                    "its header has an entry '\\x1b[31m' too many" + kSave}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(BrokenNpy, SaysWhy) {
    EXPECT_EQ(error(GetParam().bytes), GetParam().why);
}

}  // namespace
}  // namespace tomograph
