#include "tomograph/capture/keep_words.h"

#include <gtest/gtest.h>

#include "support/errors.h"

namespace tomograph {
namespace {

CaptureOptions kept(const std::string& words) {
    CaptureOptions options;
    KeepWords{.keep = words, .budget = {}, .memory = {}, .axes_of = {}}.set(options);
    return options;
}

TEST(KeepWords, SayWhatIsKept) {
    EXPECT_TRUE(kept("").vectors);
    EXPECT_TRUE(kept("").keep.means);
    const CaptureOptions norms = kept("norms");
    EXPECT_FALSE(norms.vectors || norms.keep.means || norms.keep.moments || norms.keep.scores > 0);
    const CaptureOptions sampled = kept("vectors:0.25,moments");
    EXPECT_TRUE(sampled.vectors && sampled.keep.moments && !sampled.keep.means);
    EXPECT_EQ(sampled.sample, 0.25);
    EXPECT_EQ(kept("means,scores:64").keep.scores, 64);
}

TEST(KeepWords, WithoutMeaningAreRefused) {
    for (const char* words : {"spectra", "norms:2", "vectors:", "vectors:0", "vectors:1.5", "vectors:half",
                              "scores", "scores:0", "scores:4x", "vectors,scores:4"})
        EXPECT_THROW(kept(words), Error) << words;
    CaptureOptions options;
    EXPECT_THROW((KeepWords{.keep = {}, .budget = "some", .memory = {}, .axes_of = {}}.set(options)), Error);
}

TEST(KeepWords, SizesHaveUnits) {
    EXPECT_EQ(parse_bytes("8GB"), 8e9);
    EXPECT_EQ(parse_bytes("2.5 kib"), 2560);
    EXPECT_EQ(parse_bytes("1e9"), 1e9);
    for (const char* text : {"", "GB", "0", "-1GB", "8 GB more", "8XB", "inf"})
        EXPECT_THROW(parse_bytes(text), Error) << text;
}

}  // namespace
}  // namespace tomograph
