#include "tomograph/select/experts.h"

#include <gtest/gtest.h>

#include <vector>

namespace tomograph {
namespace {

TEST(PreferredExpert, HasTheLargestGate) {
    EXPECT_EQ(preferred_expert(std::vector<float>{0.1f, 0.2f, 0.6f, 0.1f}), 2);
    EXPECT_EQ(preferred_expert(std::vector<float>{-3, -1, -2}), 1);
}

TEST(PreferredExpert, IsTheFirstOfEqualOnes) {
    EXPECT_EQ(preferred_expert(std::vector<float>{0.2f, 0.4f, 0.4f}), 1);
    EXPECT_EQ(preferred_expert(std::vector<float>{0, 0}), 0);
}

}  // namespace
}  // namespace tomograph
