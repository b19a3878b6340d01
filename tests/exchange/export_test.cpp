#include "tomograph/exchange/export.h"

#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/base/text.h"
#include "tomograph/maps/projection.h"

namespace tomograph {
namespace {

using namespace test;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::vector<std::string> split(const std::string& line, char separator) {
    std::vector<std::string> fields;
    std::string field;
    for (const char c : line + separator) {
        if (c != separator) {
            field += c;
            continue;
        }
        fields.push_back(field);
        field.clear();
    }
    return fields;
}

class Export : public testing::Test {
  protected:
    const tomograph::Run& run() {
        if (!run_) {
            sketch_.write(folder_ / "run");
            run_ = open_run(folder_ / "run");
        }
        return *run_;
    }
    std::string csv(const std::string& name) {
        export_rows(run(), name, ExportFormat::csv, folder_ / "out.csv");
        return read_file(folder_ / "out.csv");
    }
    void project(const Selection& selection, int dims = 2) {
        save_projection(run(), project_pca(run(), "p", {.selection = selection, .dims = dims, .threads = 1}));
    }
    TempFolder folder_;
    RunSketch sketch_;
    std::optional<tomograph::Run> run_;
};

// CSV
// -------------------------------------------------------------------------------------------------------------

TEST_F(Export, NamesTheColumnsOfASite) {
    EXPECT_EQ(lines_of(csv("embed")).at(0),
              "component,layer,position,sequence,token,piece,label,norm,v0,v1,v2,v3,v4,v5");
}

TEST_F(Export, WritesEveryRowOfASite) {
    EXPECT_EQ(lines_of(csv("blocks.1.attn_out")).size(), 1u + 13u);
}

TEST_F(Export, SaysWhoEachRowIs) {
    sketch_.labels = {"context"};
    sketch_.token_labels = {-1, -1, -1, -1, -1, -1, 0};
    const auto fields = split(lines_of(csv("blocks.1.attn_out")).at(7), ',');
    EXPECT_EQ(std::vector(fields.begin(), fields.begin() + 7),
              (std::vector<std::string>{"attn_out", "1", "1", "1", "106", "g", "context"}));
}

TEST_F(Export, LeavesFieldsEmptyThatARowHasNot) {
    const auto fields = split(lines_of(csv("embed")).at(1), ',');
    EXPECT_EQ(std::vector(fields.begin(), fields.begin() + 7),
              (std::vector<std::string>{"embed", "", "0", "0", "100", "a", ""}));
}

TEST_F(Export, WritesNumbersThatReadBackExactly) {
    const auto fields = split(lines_of(csv("blocks.1.attn_out")).at(5), ',');
    ASSERT_EQ(fields.size(), 8u + 6u);
    const Vector want = sketch_.vector("blocks.1.attn_out", 4);
    for (std::size_t i = 0; i < 6; ++i)
        EXPECT_EQ(std::stof(fields[8 + i]), want[static_cast<Eigen::Index>(i)]);
}

struct Field {
    const char* name;
    std::string piece;
    std::string shown;
};
void PrintTo(const Field& field, std::ostream* out) {
    *out << field.name;
}

class CsvPiece : public Export, public testing::WithParamInterface<Field> {};
INSTANTIATE_TEST_SUITE_P(
    Export, CsvPiece,
    testing::Values(Field{"Comma", ",", "\",\""}, Field{"Quote", "\"", "\"\"\"\""},
                    Field{"QuotedWord", "a\"b\"", "\"a\"\"b\"\"\""}, Field{"LineBreak", "\n", "\\n"},
                    Field{"CarriageReturn", "\r", "\\x0d"}, Field{"Tab", "\t", "\\t"},
                    Field{"Backslash", "\\n", "\\\\n"}, Field{"NextLine", "\u0085", "\\u0085"},
                    Field{"LineSeparator", "\u2028", "\\u2028"}, Field{"LeadingSpace", " the", "\" the\""},
                    Field{"Space", " ", "\" \""}, Field{"ZeroByte", std::string("\0", 1), "\\x00"},
                    Field{"HalfACharacter", "\xc3", "\\xc3"}, Field{"Utf8", "caf\xc3\xa9", "caf\xc3\xa9"},
                    Field{"Nothing", "", ""}),
    [](const auto& test) { return test.param.name; });

TEST_P(CsvPiece, KeepsToItsField) {
    sketch_.lengths = {1};
    sketch_.pieces = {GetParam().piece};
    const std::string text = csv("embed");
    EXPECT_EQ(lines_of(text).size(), 2u);
    EXPECT_TRUE(lines_of(text).at(1).starts_with("embed,,0,0,100," + GetParam().shown + ",,")) << text;
}

TEST_F(Export, QuotesALabel) {
    sketch_.lengths = {1};
    sketch_.labels = {"a, \"b\"\nc"};
    sketch_.token_labels = {0};
    EXPECT_NE(csv("embed").find(",a,\"a, \"\"b\"\"\\nc\","), std::string::npos);
}

TEST_F(Export, WritesAProjection) {
    Selection selection;
    selection.components = {Component::attn_out};
    project(selection);
    const auto lines = lines_of(csv("p"));
    EXPECT_EQ(lines.at(0), "component,layer,position,sequence,token,piece,label,norm,x0,x1");
    EXPECT_EQ(lines.size(), 1u + 39u);
}

TEST_F(Export, LeavesTokensOfAveragesEmpty) {
    Selection selection;
    selection.components = {Component::attn_out};
    selection.mean_samples = true;
    project(selection);
    const auto fields = split(lines_of(csv("p")).at(1), ',');
    EXPECT_EQ(std::vector(fields.begin(), fields.begin() + 7),
              (std::vector<std::string>{"attn_out", "0", "0", "", "", "", ""}));
}

// The other formats
// -------------------------------------------------------------------------------------------------------------

TEST_F(Export, WritesHeadsAsAnAxisOfTheirOwn) {
    export_rows(run(), "blocks.2.z", ExportFormat::npy, folder_ / "z.npy");
    EXPECT_NE(read_file(folder_ / "z.npy").find("'shape': (13, 2, 3, )"), std::string::npos);
}

TEST_F(Export, WritesVectorsToNumPyAsTheyAre) {
    export_rows(run(), "embed", ExportFormat::npy, folder_ / "x.npy");
    const std::string bytes = read_file(folder_ / "x.npy");
    Matrix values(13, 6);
    ASSERT_EQ(bytes.size() % 64, (13u * 6 * 4) % 64);
    std::memcpy(values.data(), bytes.data() + bytes.size() - 13 * 6 * 4, 13 * 6 * 4);
    for (std::int64_t row = 0; row < 13; ++row)
        EXPECT_EQ(Vector(values.row(row)), sketch_.vector("embed", row));
}

class ExportProjector : public Export {
  protected:
    std::vector<std::string> lines(const char* file) {
        export_rows(run(), "embed", ExportFormat::projector, folder_ / "tb");
        return lines_of(read_file(folder_ / "tb" / file));
    }
};

TEST_F(ExportProjector, WritesALineARow) {
    EXPECT_EQ(lines("tensors.tsv").size(), 13u);
}

TEST_F(ExportProjector, WritesOneLineMoreOfMetadata) {
    EXPECT_EQ(lines("metadata.tsv").size(), 14u);
}

TEST_F(ExportProjector, WritesAColumnANumber) {
    for (const std::string& line : lines("tensors.tsv")) EXPECT_EQ(split(line, '\t').size(), 6u);
}

TEST_F(ExportProjector, KeepsEveryColumnWhateverAPieceOrALabelHolds) {
    sketch_.lengths = {4};
    sketch_.pieces = {"\t", "\n", "\xff", "\"a\tb\""};
    sketch_.labels = {"a\tb\nc"};
    sketch_.token_labels = {0, 0, 0, 0};
    const auto metadata = lines("metadata.tsv");
    ASSERT_EQ(metadata.size(), 5u);
    EXPECT_EQ(split(metadata[4], '\t')[5], "\\\"a\\tb\\\"");  // begins with a quote for no reader
    for (const std::string& line : metadata) EXPECT_EQ(split(line, '\t').size(), 8u) << line;
    EXPECT_EQ(split(metadata[1], '\t')[6], "a\\tb\\nc");
}

/// Lines as Python's str.splitlines() counts them.
std::size_t split_lines(const std::string& text) {
    std::size_t n = 0;
    bool open = false;
    std::u32string points = code_points(text);
    for (const char32_t point : points) {
        const bool ends = (point >= 0x0a && point <= 0x0d) || (point >= 0x1c && point <= 0x1e) ||
                          point == 0x85 || point == 0x2028 || point == 0x2029;
        n += ends;
        open = !ends;
    }
    return n + open;
}

/// Lines as a reader of quoted fields counts them.
std::size_t quoted_lines(const std::string& text, char separator) {
    std::size_t n = 0;
    bool quoted = false, begins = true;
    for (const char c : text) {
        if (quoted || begins) quoted ^= c == '"';
        n += c == '\n' && !quoted;
        begins = (c == separator || c == '\n' || c == '"') && !quoted;
    }
    return n;
}

TEST_F(Export, HasALineARowForEveryReader) {
    sketch_.lengths = {256 + 8};
    for (int byte = 0; byte < 256; ++byte) sketch_.pieces.emplace_back(1, static_cast<char>(byte));
    for (const char* piece : {"\u0085", "\u2028", "\u2029", "\"\n", "\"\t\"", "\\n", "\r\n", "\"a"})
        sketch_.pieces.emplace_back(piece);
    sketch_.labels = {"\"a\u2028b\nc\u0085\""};
    sketch_.token_labels = std::vector<std::int32_t>(256 + 8, 0);
    export_rows(run(), "embed", ExportFormat::projector, folder_ / "tb");
    for (const auto& [text, separator] :
         {std::pair(csv("embed"), ','), std::pair(read_file(folder_ / "tb" / "metadata.tsv"), '\t')}) {
        EXPECT_EQ(lines_of(text).size(), 256u + 9);
        EXPECT_EQ(split_lines(text), 256u + 9);
        EXPECT_EQ(quoted_lines(text, separator), 256u + 9);
    }
}

// What is refused
// -------------------------------------------------------------------------------------------------------------

TEST(ParseExportFormat, KnowsItsWords) {
    EXPECT_EQ(parse_export_format("csv"), ExportFormat::csv);
    EXPECT_EQ(parse_export_format("npy"), ExportFormat::npy);
    EXPECT_EQ(parse_export_format("projector"), ExportFormat::projector);
}
TEST(ParseExportFormat, NamesThemToAnyOther) {
    EXPECT_EQ(error_of([] { parse_export_format("xlsx"); }),
              "no export format 'xlsx'; use csv, npy or projector");
}

TEST_F(Export, NamesWhatThereIs) {
    EXPECT_EQ(error_of([&] { csv("nothing"); }),
              (folder_ / "run").string() +
                  " holds neither a projection nor a site 'nothing': it has no projections; "
                  "see its sites with: tomograph info " +
                  (folder_ / "run").string());
}

TEST_F(Export, NamesTheProjectionsThereAre) {
    project({});
    const std::string error = error_of([&] { csv("blocks.9.attn_out"); });
    EXPECT_NE(error.find("'blocks.9.attn_out': its projections are p;"), std::string::npos) << error;
}

TEST_F(Export, HasNoVectorsOfARunWithoutThem) {
    sketch_.vectors = false;
    EXPECT_TRUE(
        error_of([&] { csv("embed"); }).starts_with((folder_ / "run").string() + " keeps no vectors"));
}

TEST_F(Export, LeavesNothingOnAFullDisk) {
    run();
    const FileSizeLimit limit(500);
    EXPECT_EQ(error_of([&] { csv("embed"); }),
              "cannot write " + (folder_ / "out.csv").string() + ": File too large");
    EXPECT_EQ(folder_.n_files(), 1u);  // the run
}

TEST_F(Export, CannotWriteAFolderOverAFile) {
    folder_.write("file", "");
    EXPECT_TRUE(error_of([&] {
                    export_rows(run(), "embed", ExportFormat::projector, folder_ / "file");
                }).starts_with("cannot create " + (folder_ / "file").string() + ": "));
}

}  // namespace
}  // namespace tomograph
