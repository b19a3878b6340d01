#include "tomograph/figures/gnuplot.h"

#include <fstream>

#include "figures/support.h"

namespace tomograph {
namespace {

using test::Environment;
using test::error_of;
using Gnuplot = test::Figures;

TEST_F(Gnuplot, KnowsTheFormatsByExtensionInAnyCase) {
    EXPECT_EQ(figure_format("a.png"), FigureFormat::png);
    EXPECT_EQ(figure_format("a.b/c.SVG"), FigureFormat::svg);
    EXPECT_EQ(figure_format("a.Pdf"), FigureFormat::pdf);
}

TEST_F(Gnuplot, UnknownExtensionsAreRefusedWithThePossibleOnes) {
    EXPECT_EQ(
        error_of([] { figure_format("x.jpg"); }),
        "cannot draw x.jpg: .jpg is not a format that figures can have; end the name in .png, .svg or .pdf");
    EXPECT_EQ(
        error_of([] { figure_format("x"); }),
        "cannot draw x: its name has no extension to tell the format; end the name in .png, .svg or .pdf");
}

TEST_F(Gnuplot, MissingGnuplotSaysHowToInstallIt) {
    {
        const Environment none("TOMOGRAPH_GNUPLOT", "/nonexistent");
        EXPECT_EQ(
            error_of([] { run_gnuplot("print 1\n"); }),
            "gnuplot cannot be run: TOMOGRAPH_GNUPLOT names /nonexistent, which is no program; correct or unset it");
    }
    const Environment unset("TOMOGRAPH_GNUPLOT", "");
    const Environment path("PATH", file("").c_str());
    EXPECT_NE(error_of([] { run_gnuplot("print 1\n"); }).find("apt install gnuplot-nox"), std::string::npos);
}

TEST_F(Gnuplot, AFailingScriptBecomesAnErrorWithGnuplotsWords) {
    const std::string message = error_of([] { run_gnuplot("set terminal pngcairo\nfrobnicate the plot\n"); });
    EXPECT_NE(message.find("invalid command"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << "one line";
}

// gnuplot stops reading at the error while we have megabytes left to send: no SIGPIPE, no deadlock.
TEST_F(Gnuplot, AFailureBeforeTheEndOfALongScriptIsReported) {
    std::string script = "frobnicate\n";
    while (script.size() < 4 << 20)
        script += "# a comment of which gnuplot will not read the end, nor much before it\n";
    EXPECT_NE(error_of([&] { run_gnuplot(script); }).find("invalid command"), std::string::npos);
}

TEST_F(Gnuplot, AProgramThatWritesNothingOrDiesIsAnError) {
    const Environment silent("TOMOGRAPH_GNUPLOT", "/bin/true");
    EXPECT_NE(error_of([] { run_gnuplot("plot 1\n"); }).find("could not draw"), std::string::npos);
    const auto killer = file("killer");
    std::ofstream(killer) << "#!/bin/sh\nkill -9 $$\n";
    std::filesystem::permissions(killer, std::filesystem::perms::owner_all);
    const Environment dying("TOMOGRAPH_GNUPLOT", killer.c_str());
    EXPECT_NE(error_of([] { run_gnuplot("plot 1\n"); }).find("signal 9"), std::string::npos);
}

TEST_F(Gnuplot, QuotedTextIsPrintedAsItIs) {
    const std::string text = "it's \"x_{1}\" $a @b `echo no` \\n % 10 # é 日";
    EXPECT_EQ(run_gnuplot("set print '-'\nprint " + gnuplot_quote(text) + "\n"), text + "\n");
}

}  // namespace
}  // namespace tomograph
