#include "tomograph/base/html.h"

#include <gtest/gtest.h>

namespace tomograph {
namespace {

TEST(Html, LeavesNoMarkupInText) {
    EXPECT_EQ(html_escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;'");
}

struct Encoding {
    const char* bytes;
    const char* base64;
};

class Base64 : public testing::TestWithParam<Encoding> {};
INSTANTIATE_TEST_SUITE_P(Html, Base64,  // RFC 4648, section 10, and bytes above 127
                         testing::Values(Encoding{"", ""}, Encoding{"f", "Zg=="}, Encoding{"fo", "Zm8="},
                                         Encoding{"foo", "Zm9v"}, Encoding{"foob", "Zm9vYg=="},
                                         Encoding{"fooba", "Zm9vYmE="}, Encoding{"foobar", "Zm9vYmFy"},
                                         Encoding{"\xff\xfe\xfb", "//77"}));
TEST_P(Base64, EncodesAsTheStandardSays) {
    EXPECT_EQ(base64(GetParam().bytes), GetParam().base64);
}

}  // namespace
}  // namespace tomograph
