#include <gtest/gtest.h>

#include <string>

#include "cli/two_captures.h"
#include "support/golden.h"
#include "tomograph/base/json.h"

namespace tomograph {
namespace {

using namespace test;

bool has_card(const Program& program) {
    return program.run({"--version"}).out.find("graphics cards: none") == std::string::npos;
}

// A build for processors alone has none; one of -DTOMOGRAPH_GPU=vulkan finds a driver that draws in software,
// too, if GGML_VK_VISIBLE_DEVICES names it.
TEST(CliGraphics, ComputesWhatTheProcessorDoes) {
    if (!has_card(Program())) GTEST_SKIP() << "no graphics card, or a build without kernels for it";
    for (const std::string& model : {std::string("bytes-gpt2"), std::string("bytes-llama"),
                                     golden_model("gemma3"), golden_model("mixtral"), golden_model("lfm2")}) {
        SCOPED_TRACE(model);
        const Program program;
        const Outcome plain = program.run(capture_to(model, "here", {"--gpu-layers", "0"}));
        ASSERT_EQ(plain.code, 0) << plain.err;
        const Outcome outcome = program.run(capture_to(model, "there", {}));
        ASSERT_EQ(outcome.code, 0) << outcome.err;
        const auto here = open_run(program / "here"), there = open_run(program / "there");
        const double apart = largest_difference(here, there);
        EXPECT_GT(apart, 0) << "both ran on the processor";
        EXPECT_LT(apart, 2e-3);
    }
}

TEST(CliGraphics, SaysThatThereIsNoCard) {
    const Program program;
    if (has_card(program)) GTEST_SKIP() << "there is one";
    const Outcome outcome = program.run(capture_to("bytes-llama", "run", {"--gpu-layers", "2"}));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_NE(outcome.err.find("no layer can be laid onto a graphics card"), std::string::npos)
        << outcome.err;
    EXPECT_EQ(program.run(capture_to("bytes-llama", "run", {"--gpu-layers", "-1"})).code, 2);
    EXPECT_EQ(program.run(capture_to("bytes-llama", "run", {"--gpu-layers", "0"})).code, 0);
}

}  // namespace
}  // namespace tomograph
