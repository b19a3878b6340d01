// Help, usage errors and exit codes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/program.h"
#include "tomograph/base/version.h"

namespace tomograph {
namespace {

using namespace test;

class Command : public testing::TestWithParam<const char*> {
  protected:
    Program program_;
};
INSTANTIATE_TEST_SUITE_P(Cli, Command,
                         testing::Values("run", "capture", "project", "plot", "info", "verify", "measure",
                                         "compare", "export", "import", "quantize", "randomize", "remove",
                                         "rename"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Command, HasHelp) {
    const Outcome outcome = program_.run({GetParam(), "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("--help"), std::string::npos);
    EXPECT_EQ(outcome.err, "");
}

TEST_P(Command, IsListedInTheHelp) {
    EXPECT_NE(program_.run({"--help"}).out.find(std::string("\n  ") + GetParam() + " "), std::string::npos);
}

TEST_P(Command, PointsToItsHelpWithoutArguments) {
    const Outcome outcome = program_.run({GetParam()});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(outcome.err.ends_with(std::string("is required (see tomograph ") + GetParam() + " --help)\n"))
        << outcome.err;
}

TEST_P(Command, RefusesAFlagThatItHasNot) {
    const Outcome outcome = program_.run({GetParam(), "a", "b", "--out", "x.png", "--format", "csv", "--type",
                                          "f32", "--name", "n", "--bogus"});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_TRUE(outcome.err.ends_with(std::string("(see tomograph ") + GetParam() + " --help)\n"))
        << outcome.err;
    EXPECT_TRUE(program_.files().empty());
}

TEST(Usage, ANumberThatIsNoneIsSaidWithoutTheLargestDouble) {
    for (const char* value : {"x", "0"}) {
        const Outcome outcome = Program().run({"capture", "bytes-gpt2", "--out", "r", "--sequences", value});
        EXPECT_EQ(outcome.code, 2);
        EXPECT_EQ(outcome.err,
                  fmt::format("tomograph: --sequences: {} is no positive number (see tomograph capture "
                              "--help)\n",
                              value));
    }
}

TEST(Usage, PrintsTheVersion) {
    const Outcome outcome = Program().run({"--version"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_TRUE(outcome.out.starts_with(std::string("tomograph ") + kVersion + "\nllama.cpp of "))
        << outcome.out;
    EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 6) << outcome.out;
    const Outcome capped = Program().run({"--version"}, {"TOMOGRAPH_SIMD=plain"});
    EXPECT_NE(capped.out.find("kernels of tomograph: plain\n"), std::string::npos) << capped.out;
}

// libgomp itself says what it has read: the program's own choice, unless the user made one.
TEST(Usage, ThreadsThatWaitSoonSleep) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "under a sanitizer the program is not started again";
#endif
    const auto spins = [](const std::vector<std::string>& environment) {
        std::vector<std::string> all = environment;
        all.emplace_back("OMP_DISPLAY_ENV=verbose");
        const std::string said = Program().run({"--version"}, all).err;
        const auto at = said.find("GOMP_SPINCOUNT = '");
        return at == std::string::npos ? "" : said.substr(at + 18, said.find('\'', at + 18) - at - 18);
    };
    if (spins({"GOMP_SPINCOUNT=77"}) != "77") GTEST_SKIP() << "not built with GCC's OpenMP";
    EXPECT_EQ(spins({}), "1500");
}

/// What the hand types at first, and what it gets.
class FirstWords : public testing::TestWithParam<std::pair<Arguments, Arguments>> {};
INSTANTIATE_TEST_SUITE_P(Cli, FirstWords,
                         testing::Values(std::pair(Arguments{}, Arguments{"--help"}),
                                         std::pair(Arguments{"help"}, Arguments{"--help"}),
                                         std::pair(Arguments{"help", "capture"},
                                                   Arguments{"capture", "--help"}),
                                         std::pair(Arguments{"version"}, Arguments{"--version"}),
                                         std::pair(Arguments{"-V"}, Arguments{"--version"})));

TEST_P(FirstWords, DoWhatIsExpected) {
    const Outcome typed = Program().run(GetParam().first), meant = Program().run(GetParam().second);
    EXPECT_EQ(typed.code, 0);
    EXPECT_EQ(typed.out, meant.out);
    EXPECT_EQ(typed.err, "");
}

class UnknownWords : public testing::TestWithParam<std::pair<Arguments, std::string>> {};
INSTANTIATE_TEST_SUITE_P(
    Cli, UnknownWords,
    testing::Values(
        std::pair(Arguments{"draw", "bytes-gpt2"}, "no command 'draw' (see tomograph --help)"),
        std::pair(Arguments{"captre"}, "no command 'captre'; did you mean capture? (see tomograph --help)"),
        std::pair(Arguments{"no-such", "--help"}, "no command 'no-such' (see tomograph --help)"),
        // Said before what is missing.
        std::pair(Arguments{"capture", "--lenght", "3"},
                  "no flag --lenght; did you mean --length? (see tomograph capture --help)"),
        std::pair(Arguments{"capture", "--bogus=1"}, "no flag --bogus (see tomograph capture --help)"),
        std::pair(Arguments{"info", "-x", "run"}, "no flag -x (see tomograph info --help)"),
        std::pair(Arguments{"--verbose"}, "no flag --verbose (see tomograph --help)")));

TEST_P(UnknownWords, AreNamedWithWhatWasMeant) {
    const Outcome outcome = Program().run(GetParam().first);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "tomograph: " + GetParam().second + "\n");
}

TEST(Usage, ATextIsGivenWithItsFlag) {
    const Program program;
    program.folder().write("book.txt", "Call me");
    EXPECT_EQ(
        program.run({"run", "bytes-gpt2", "book.txt"}).err,
        "tomograph: The following argument was not expected: book.txt; a text is given with --text (see "
        "tomograph run --help)\n");
    EXPECT_EQ(program.run({"run", "bytes-gpt2", "none.txt"}).err,
              "tomograph: The following argument was not expected: none.txt (see tomograph run --help)\n");
}

TEST(Usage, ABrokenSelectionIsAUsageError) {
    const Program program;
    ASSERT_EQ(program.run({"capture", "bytes-gpt2", "--sequences", "1", "--length", "8", "--out", "r"}).code,
              0);
    for (const Arguments& flags : {Arguments{"--layers", "a:b"}, Arguments{"--components", "mlp"},
                                   Arguments{"--normalize", "yes"}, Arguments{"--mean", "tokens"}}) {
        Arguments arguments{"project", "r"};
        arguments.insert(arguments.end(), flags.begin(), flags.end());
        const Outcome outcome = program.run(arguments);
        EXPECT_EQ(outcome.code, 2) << outcome.err;
        EXPECT_TRUE(outcome.err.ends_with("(see tomograph project --help)\n")) << outcome.err;
    }
}

TEST(Usage, RefusesWhatNoOptionMeans) {
    const Program program;
    for (const Arguments& flags :
         {Arguments{"capture", "bytes-gpt2", "--out", "r", "--seed", "-1"},
          Arguments{"capture", "bytes-gpt2", "--out", "r", "--components", ""},
          Arguments{"capture", "bytes-gpt2", "--out", "r", "--text", ""},
          Arguments{"capture", "bytes-gpt2", "--out", ""},
          Arguments{"capture", "bytes-gpt2", "--out", "r", "--sample", "nan"},
          Arguments{"project", "r", "--name", "n", "--method", "umap", "--min-dist", "nan"},
          Arguments{"project", "r", "--name", "n", "--method", "umap", "--repulsion-strength", "inf"},
          Arguments{"project", "r", "--name", "n", "--labels", ""}}) {
        const Outcome outcome = program.run(flags);
        EXPECT_EQ(outcome.code, 2) << flags[flags.size() - 2] << " " << outcome.err;
    }
    EXPECT_FALSE(std::filesystem::exists(program / "r"));
}

/// Flags of `capture bytes-gpt2 --out x` that make no sense.
struct Flags {
    const char* name;
    Arguments arguments;
    std::string line;
};
void PrintTo(const Flags& flags, std::ostream* out) {
    *out << flags.name;
}

class CaptureUsage : public testing::TestWithParam<Flags> {};
INSTANTIATE_TEST_SUITE_P(
    Cli, CaptureUsage,
    testing::Values(Flags{"TextForRepeat",
                          {"--prompts", "repeat", "--token", "1", "--text", "/dev/null"},
                          "--text has no meaning with --prompts repeat"},
                    Flags{"TokenForText", {"--token", "1"}, "--token has no meaning with --prompts text"},
                    Flags{"WordForText", {"--word", "a"}, "--word has no meaning with --prompts text"},
                    Flags{
                        "PrefixForText", {"--prefix", "none"}, "--prefix has no meaning with --prompts text"},
                    Flags{"RowsForText", {"--rows", "3"}, "--rows has no meaning with --prompts text"},
                    Flags{"StartForRepeat",
                          {"--prompts", "repeat", "--token", "1", "--start", "no"},
                          "--start has no meaning with --prompts repeat"},
                    Flags{"SequencesForVocabulary",
                          {"--prompts", "vocabulary", "--sequences", "3"},
                          "--sequences has no meaning with --prompts vocabulary"},
                    Flags{"LengthForVocabulary",
                          {"--prompts", "vocabulary", "--length", "3"},
                          "--length has no meaning with --prompts vocabulary"},
                    Flags{"JsonlWithoutAFile", {"--prompts", "jsonl"}, "--prompts jsonl needs --jsonl FILE"},
                    Flags{"RepeatWithoutAToken",
                          {"--prompts", "repeat"},
                          "--prompts repeat needs --token ID or --word TEXT"},
                    Flags{"WordForAPrefix",
                          {"--prompts", "repeat", "--token", "1", "--prefix", "that"},
                          "--prefix is start, none or a token's id"}),
    [](const auto& test) { return test.param.name; });

TEST_P(CaptureUsage, IsPointedOut) {
    const Program program;
    Arguments arguments{"capture", "bytes-gpt2", "--out", "x"};
    arguments.insert(arguments.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    const Outcome outcome = program.run(arguments);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err, "tomograph: " + GetParam().line + " (see tomograph capture --help)\n");
    EXPECT_TRUE(program.files().empty());
}

class BadValue : public testing::TestWithParam<Arguments> {};
INSTANTIATE_TEST_SUITE_P(Cli, BadValue,
                         testing::Values(Arguments{"--prompts", "poem"}, Arguments{"--dtype", "f64"},
                                         Arguments{"--start", "maybe"}, Arguments{"--sequences", "0"},
                                         Arguments{"--sequences", "-3"}, Arguments{"--sequences", "many"},
                                         Arguments{"--length", "0"}, Arguments{"--threads", "0"},
                                         Arguments{"--sample", "half"},
                                         Arguments{"--prompts", "repeat", "--token", "x"},
                                         Arguments{"--prompts", "repeat", "--token", "1", "--word", "a"}));

TEST_P(BadValue, IsAUsageError) {
    const Program program;
    Arguments arguments{"capture", "bytes-gpt2", "--out", "x"};
    arguments.insert(arguments.end(), GetParam().begin(), GetParam().end());
    const Outcome outcome = program.run(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_TRUE(program.files().empty());
}

}  // namespace
}  // namespace tomograph
