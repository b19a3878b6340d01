#include "tomograph/exchange/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

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

}  // namespace
}  // namespace tomograph
