#include "tomograph/exchange/csv.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/errors.h"

namespace tomograph {
namespace {

using namespace test;
using Strings = std::vector<std::string>;

Csv parse(std::string_view text) {
    return parse_csv(text, "x.csv");
}

TEST(Csv, ReadsColumns) {
    const Csv csv = parse("a,b\n1,2\n3,4\n");
    EXPECT_EQ(csv.header, (Strings{"a", "b"}));
    EXPECT_EQ(csv.columns.at(0), (Strings{"1", "3"}));
    EXPECT_EQ(csv.columns.at(1), (Strings{"2", "4"}));
    EXPECT_EQ(csv.lines, (std::vector<std::size_t>{2, 3}));
}

TEST(Csv, KeepsColumnsOfOneName) {
    const Csv csv = parse("a,a\n1,2\n");
    EXPECT_EQ(csv.header, (Strings{"a", "a"}));
    EXPECT_EQ(csv.columns.at(1), (Strings{"2"}));
}

TEST(Csv, NeedsNoLastLineBreak) {
    EXPECT_EQ(parse("a\n1").columns.at(0), (Strings{"1"}));
    EXPECT_EQ(parse("a,b\n1,").columns.at(1), (Strings{""}));
}

TEST(Csv, EndsLinesAsAnySystemDoes) {
    for (const char* text : {"a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\r1,2\r"}) {
        const Csv csv = parse(text);
        EXPECT_EQ(csv.header, (Strings{"a", "b"}));
        EXPECT_EQ(csv.columns.at(1), (Strings{"2"}));
    }
}

TEST(Csv, ReadsQuotes) {
    const Csv csv = parse("\"a\",b\n\"x, \"\"y\"\"\nz\",\"\"\n\"\r\n\",2\n");
    EXPECT_EQ(csv.columns.at(0), (Strings{"x, \"y\"\nz", "\r\n"}));
    EXPECT_EQ(csv.columns.at(1), (Strings{"", "2"}));
    EXPECT_EQ(csv.lines, (std::vector<std::size_t>{2, 4}));
}

TEST(Csv, KeepsAQuoteInsideAField) {
    EXPECT_EQ(parse("a\n5\" disk\n").columns.at(0), (Strings{"5\" disk"}));
}

TEST(Csv, PassesOverEmptyLines) {
    const Csv csv = parse("\n\na\n\n1\n\n\"\"\n\n");
    EXPECT_EQ(csv.columns.at(0), (Strings{"1", ""}));
    EXPECT_EQ(csv.lines, (std::vector<std::size_t>{5, 7}));
}

TEST(Csv, PassesOverAByteOrderMark) {
    EXPECT_EQ(parse("\xef\xbb\xbf"
                    "a\n1\n")
                  .header,
              Strings{"a"});
}

TEST(Csv, TakesWhatStandsBetweenTheHeadingsInPlaceOfCommas) {
    EXPECT_EQ(parse("a;b\n1;2,5\n").columns.at(1), (Strings{"2,5"}));
    EXPECT_EQ(parse("a\tb\n1\t2\n").columns.at(1), (Strings{"2"}));
    EXPECT_EQ(parse("a,b;c\n1,2;3\n").columns.at(1), (Strings{"2;3"}));
    EXPECT_EQ(parse("\"a;b\",c\n1,2\n").header, (Strings{"a;b", "c"}));
}

TEST(Csv, KeepsAnyByte) {
    EXPECT_EQ(parse(std::string_view("a\n\0\xff\n", 5)).columns.at(0), (Strings{std::string("\0\xff", 2)}));
}

struct BrokenTable {
    const char* name;
    std::string_view text;
    const char* line;
};
void PrintTo(const BrokenTable& broken, std::ostream* out) {
    *out << broken.name;
}
class BrokenCsv : public testing::TestWithParam<BrokenTable> {};
INSTANTIATE_TEST_SUITE_P(
    Csv, BrokenCsv,
    testing::Values(
        BrokenTable{"Empty", "", "x.csv is empty; its first line names the columns"},
        BrokenTable{"OnlyLineBreaks", "\r\n\n", "x.csv is empty; its first line names the columns"},
        BrokenTable{"TooFewFields", "a,b\n1,2\n3\n", "line 3 of x.csv has 1 field: the header has 2"},
        BrokenTable{"TooManyFields", "a\n\"x\ny\"\n3,4\n", "line 4 of x.csv has 2 fields: the header has 1"},
        BrokenTable{"OpenQuote", "a\n1\n\"2\n3\n",
                    "x.csv is no CSV file: the quote that line 3 opens is never closed"},
        BrokenTable{"OpenQuoteAtTheEnd", "a\n\"",
                    "x.csv is no CSV file: the quote that line 2 opens is never closed"},
        BrokenTable{
            "TextBehindAQuote", "a\n\"1\"2\n",
            "line 2 of x.csv has text behind a closing quote; double the quotes that belong to a field"},
        BrokenTable{"Utf16",
                    "\xff\xfe"
                    "a",
                    "x.csv is UTF-16; save it as UTF-8"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(BrokenCsv, IsNamed) {
    EXPECT_EQ(error_of([] { parse(GetParam().text); }), GetParam().line);
}

}  // namespace
}  // namespace tomograph
