#include "tomograph/base/error.h"

#include <gtest/gtest.h>

namespace tomograph {
namespace {

TEST(Error, SaysWhatFailedWhyAndHowToMendIt) {
    EXPECT_STREQ(Error("no layer 7", "it has layers 0 to 5", "use --layers 0:6").what(),
                 "no layer 7: it has layers 0 to 5; use --layers 0:6");
}

TEST(Error, LeavesOutAnEmptyReason) {
    EXPECT_STREQ(Error("no type", "", "use f16").what(), "no type; use f16");
}

TEST(Error, LeavesOutAnEmptyMend) {
    EXPECT_STREQ(Error("no type", "it is x", "").what(), "no type: it is x");
}

TEST(Error, StaysOneLineThatSteersNoTerminal) {
    EXPECT_STREQ(Error("no site 'a\nb\x1b[2J'", "\xff\u009b", "").what(),
                 "no site 'a\\nb\\x1b[2J': \\xff\\u009b");
}

TEST(Error, CutsWhatIsLongerThanALineHasUseFor) {
    const std::string line =
        Error(std::string(3000, 'a'), "\u00e9" + std::string(1'000'000, 'b'), "c").what();
    EXPECT_LT(line.size(), 5000u);
    EXPECT_TRUE(line.ends_with("b…; c")) << line.substr(line.size() - 20);
}

TEST(Stopped, SaysWhatIsKept) {
    EXPECT_STREQ(Stopped("3 shards are kept").what(), "stopped: 3 shards are kept");
}

TEST(Stopped, IsNotCaughtAsAnError) {
    EXPECT_FALSE((std::is_base_of_v<Error, Stopped>));
}

}  // namespace
}  // namespace tomograph
