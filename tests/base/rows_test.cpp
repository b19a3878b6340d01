#include "tomograph/base/rows.h"

#include <gtest/gtest.h>

namespace tomograph {
namespace {

TEST(MatrixRows, ReadsTheRowsAskedFor) {
    Matrix matrix(3, 2);
    matrix << 1, 2, 3, 4, 5, 6;
    Matrix rows(2, 2), expected(2, 2);
    MatrixRows(matrix).read(1, 3, rows.data());
    expected << 3, 4, 5, 6;
    EXPECT_EQ(rows, expected);
}

TEST(MatrixRows, LendsItsMemory) {
    const Matrix matrix(3, 2);
    EXPECT_EQ(MatrixRows(matrix).data(), matrix.data());
}

}  // namespace
}  // namespace tomograph
