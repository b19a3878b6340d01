#include "tomograph/exchange/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/npy.h"
#include "support/open_run.h"
#include "support/temp_folder.h"
#include "tomograph/exchange/export.h"
#include "tomograph/exchange/token_rows.h"
#include "tomograph/store/run.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;
using Strings = std::vector<std::string>;

/// A safetensors file of any element types, by hand.
struct ForeignTensor {
    std::string name, dtype;
    std::vector<std::int64_t> shape;
    std::string bytes;
};
std::string safetensors_bytes(const std::vector<ForeignTensor>& tensors) {
    Json header = Json::object();
    std::string data;
    for (const ForeignTensor& tensor : tensors) {
        header[tensor.name] = {{"dtype", tensor.dtype},
                               {"shape", tensor.shape},
                               {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
        data += tensor.bytes;
    }
    const std::string text = header.dump();
    return bytes_of(std::vector<std::uint64_t>{text.size()}) + text + data;
}
ForeignTensor floats(const std::string& name, const std::vector<std::int64_t>& shape, float first = 0) {
    std::size_t n = 1;
    for (const std::int64_t extent : shape) n *= static_cast<std::size_t>(extent);
    auto values = counted<float>(n);
    for (float& value : values) value += first;
    return {name, "F32", shape, bytes_of(values)};
}

class Import : public testing::Test {
  protected:
    fs::path write(std::string_view name, const std::string& bytes) { return folder_.write(name, bytes); }
    ImportSummary import(ImportOptions options) {
        options.force = true;
        Progress progress;
        return import_vectors(options, folder_ / "run", progress);
    }
    ImportSummary import_one(const std::string& bytes, std::string_view name = "x.npy") {
        return import({.files = {write(name, bytes)}});
    }
    ImportSummary import_labelled(const std::string& csv, const std::string& shape = "(3, 1)") {
        write("labels.csv", csv);
        return import({.files = {write("x.npy", npy_of("<f4", shape, counted<float>(6)))},
                       .labels = folder_ / "labels.csv"});
    }
    /// The line of an import that fails, with the folder's path left out.
    std::string error(ImportOptions options) {
        return without_folder(error_of([&] { import(std::move(options)); }));
    }
    std::string labels_error(const std::string& csv) {
        return without_folder(error_of([&] { import_labelled(csv); }));
    }
    std::string without_folder(std::string line) const {
        const std::string folder = folder_.path().string() + "/";
        for (std::size_t at; (at = line.find(folder)) != std::string::npos;) line.erase(at, folder.size());
        return line;
    }
    tomograph::Run run() { return open_run(folder_ / "run"); }
    std::vector<float> rows(const std::string& site = "blocks.0.resid_post") {
        const auto run = this->run();
        const Site its_site = *parse_site(site);
        std::vector<float> values(static_cast<std::size_t>(run.n_rows() * run.site(its_site).width()));
        run.read_rows(its_site, 0, run.n_rows(), values.data());
        return values;
    }
    Strings sites() {
        Strings names;
        const auto run = this->run();
        for (const SiteShape& site : run.sites()) names.push_back(site.site.name());
        return names;
    }
    TempFolder folder_;
};

// One matrix
// -------------------------------------------------------------------------------------------------------------

TEST_F(Import, KeepsAMatrix) {
    const auto summary = import_one(npy_of("<f4", "(2, 3)", counted<float>(6)));
    EXPECT_EQ(summary.n_rows, 2);
    EXPECT_TRUE(summary.notes.empty());
    EXPECT_EQ(rows(), counted<float>(6));
    const auto run = this->run();
    EXPECT_TRUE(run.complete());
    EXPECT_EQ(run.d_model(), 3);
    EXPECT_EQ(run.model_name(), "x");
    EXPECT_EQ(run.prompts(), "import");
    EXPECT_EQ(run.tokens().position, (std::vector<std::int32_t>{0, 1}));
}

TEST_F(Import, KeepsNormsAndMeans) {
    import_one(npy_of<float>("<f4", "(2, 1, 2)", {3, 4, 0, 6}));
    const Site site{Component::resid_post, 0};
    EXPECT_EQ(run().norms(site), (std::vector<float>{5, 6}));
    EXPECT_EQ(run().means(site), (Matrix(1, 2) << 1.5f, 5.f).finished());
}

TEST_F(Import, SaysWhatBecameFloat32) {
    EXPECT_EQ(import_one(npy_of("<f8", "(2, 3)", counted<double>(6))).notes,
              Strings{"float64 became float32"});
    EXPECT_EQ(rows(), counted<float>(6));
    EXPECT_EQ(import_one(npy_of<std::int32_t>("<i4", "(1, 2)", {1, 16777217})).notes,
              Strings{"int32 became float32, 1 numbers of blocks.0.resid_post rounded"});
}

TEST_F(Import, KeepsFloat16AsItIs) {
    EXPECT_TRUE(import_one(npy_of<std::uint16_t>("<f2", "(1, 2)", {0x3c00, 0x0001})).notes.empty());
    EXPECT_EQ(rows(), (std::vector<float>{1.f, std::ldexp(1.f, -24)}));
    EXPECT_EQ(run().json().at("capture").at("dtype"), "F16");
}

TEST_F(Import, TakesSequencesOfPositions) {
    const auto summary = import_one(npy_of("<f4", "(2, 3, 2)", counted<float>(12)));
    EXPECT_EQ(summary.n_sequences, 2);
    EXPECT_EQ(run().tokens().sequence, (std::vector<std::int32_t>{0, 0, 0, 1, 1, 1}));
    EXPECT_EQ(run().tokens().position, (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(rows(), counted<float>(12));
}

TEST_F(Import, TakesFortranOrder) {
    import_one(npy_of<float>("<f4", "(2, 3)", {0, 3, 1, 4, 2, 5}, true));
    EXPECT_EQ(rows(), counted<float>(6));
}

TEST_F(Import, TakesMoreRowsThanABlock) {
    const std::size_t n = 9 * 200'000;  // five rows are a block
    import_one(npy_of("<f8", "(9, 200000)", counted<double>(n)));
    EXPECT_EQ(rows(), counted<float>(n));
}

TEST_F(Import, NamesTheRowsThatAreNotFinite) {
    EXPECT_EQ(import_one(npy_of<float>("<f4", "(3, 1)", {NAN, 1, INFINITY})).notes,
              Strings{"2 rows of blocks.0.resid_post hold numbers that are not finite"});
}

TEST_F(Import, RefusesNumbersBeyondFloat32) {
    EXPECT_EQ(error({.files = {write("x.npy", npy_of<double>("<f8", "(2, 1)", {0, 1e39}))}}),
              "row 1 of x.npy holds a number beyond float32; scale the vectors, or leave the row out");
    EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Import, RefusesOtherShapes) {
    for (const auto& [shape, shown] :
         {std::pair("(6,)", "[6]"), std::pair("(1, 2, 3, 1)", "[1, 2, 3, 1]"), std::pair("()", "[]")}) {
        EXPECT_EQ(error({.files = {write("x.npy", npy_of("<f4", shape, counted<float>(6)))}}),
                  std::string("x.npy cannot be imported: it has the shape ") + shown +
                      "; give [n, d] or [sequence, position, d]");
    }
}

TEST_F(Import, TakesHeadsForZ) {
    const auto file = write("z.npy", npy_of("<f4", "(2, 3, 2)", counted<float>(12)));
    import({.files = {file}, .site = Site { Component::z, 4 }});
    EXPECT_EQ(run().site({Component::z, 4}).shape, (std::vector<std::int64_t>{3, 2}));
    EXPECT_EQ(run().n_rows(), 2);
    EXPECT_EQ(run().n_layers(), 5);
    import({.files = {write("z.npy", npy_of("<f4", "(1, 2, 3, 2)", counted<float>(12)))}, .site = Site {
                Component::z,
                4
            }});
    EXPECT_EQ(rows("blocks.4.z"), counted<float>(12));
}

TEST_F(Import, TakesWhatExportWrote) {
    import_one(npy_of("<f4", "(2, 3)", counted<float>(6)));
    export_rows(run(), "blocks.0.resid_post", ExportFormat::npy, folder_ / "y.npy");
    import({.files = { folder_ / "y.npy" }});
    EXPECT_EQ(rows(), counted<float>(6));
}

// Several sites and files
// -------------------------------------------------------------------------------------------------------------

TEST_F(Import, TakesATensorASite) {
    const auto summary = import_one(
        safetensors_bytes({floats("blocks.1.hook_resid_post", {1, 2, 3}, 100),
                           floats("blocks.0.attn.hook_z", {1, 2, 2, 2}), floats("hook_embed", {1, 2, 3}),
                           floats("blocks.0.attn.hook_pattern", {1, 2, 2, 2})}),
        "cache.safetensors");
    EXPECT_EQ(sites(), (Strings{"embed", "blocks.0.z", "blocks.1.resid_post"}));
    EXPECT_EQ(summary.n_sites, 3u);
    EXPECT_EQ(rows("blocks.1.resid_post"), (std::vector<float>{100, 101, 102, 103, 104, 105}));
    EXPECT_EQ(run().d_model(), 3);
    EXPECT_EQ(run().n_layers(), 2);
    EXPECT_EQ(
        summary.notes,
        (Strings{
            "'blocks.0.attn.hook_z' in cache.safetensors is read as blocks.0.z, and 2 more by such names",
            "not read from cache.safetensors, since no site is known by the name: "
            "blocks.0.attn.hook_pattern"}));
}

TEST_F(Import, TakesHiddenStatesByTheirNumbers) {
    import_one(safetensors_bytes({floats("hidden_states.0", {2, 3}), floats("hidden_states.2", {2, 3})}),
               "h.safetensors");
    EXPECT_EQ(sites(), (Strings{"blocks.0.resid_pre", "blocks.1.resid_post"}));
}

TEST_F(Import, TakesAllLayersInOneTensorBesideItsTokens) {
    const std::string bytes =
        safetensors_bytes({floats("hidden_states", {2, 3, 2}),
                           {"token_ids", "I64", {2}, bytes_of(std::vector<std::int64_t>{7, 9})}});
    const auto summary = import_one(bytes, "v.safetensors");
    EXPECT_EQ(sites(), (Strings{"blocks.0.resid_post", "blocks.1.resid_post", "blocks.2.resid_post"}));
    EXPECT_EQ(rows("blocks.1.resid_post"), (std::vector<float>{2, 3, 8, 9}));
    EXPECT_EQ(run().tokens().token_id, (std::vector<std::int32_t>{7, 9}));
    ASSERT_EQ(summary.notes.size(), 1u);
    EXPECT_NE(summary.notes[0].find("--layers names others"), std::string::npos);
    import({.files = {folder_ / "v.safetensors"}, .layers = { 2, 16, 30 }});
    EXPECT_EQ(sites(), (Strings{"blocks.1.resid_post", "blocks.15.resid_post", "blocks.29.resid_post"}));
    EXPECT_EQ(error({.files = {folder_ / "v.safetensors"}, .layers = {2}}),
              "'hidden_states' in v.safetensors holds 3 layers: --layers names 1");
}

TEST_F(Import, TakesOtherTypesOfTensors) {
    const auto summary = import_one(
        safetensors_bytes(
            {{"blocks.0.resid_post", "F64", {2, 2}, bytes_of(counted<double>(4))},
             {"blocks.1.resid_post", "BF16", {2, 2}, bytes_of(std::vector<std::uint16_t>{0x3f80, 0, 0, 0})},
             {"blocks.2.resid_post", "F8_E4M3", {2, 2}, "abcd"}}),
        "x.safetensors");
    EXPECT_EQ(rows("blocks.0.resid_post"), counted<float>(4));
    EXPECT_EQ(rows("blocks.1.resid_post"), (std::vector<float>{1, 0, 0, 0}));
    EXPECT_EQ(summary.notes, (Strings{"float64 became float32",
                                      "not read from x.safetensors, since no site is known by the name: "
                                      "blocks.2.resid_post (of type F8_E4M3)"}));
}

TEST_F(Import, TakesFilesAsSequencesOneAfterAnother) {
    const auto a = write("a.npy", npy_of("<f4", "(2, 1)", counted<float>(2)));
    const auto b = write("b.npy", npy_of<float>("<f4", "(2, 1, 1)", {10, 20}));
    const auto summary = import({.files = {a, b}});
    EXPECT_EQ(summary.n_sequences, 3);
    EXPECT_EQ(rows(), (std::vector<float>{0, 1, 10, 20}));
    EXPECT_EQ(run().tokens().sequence, (std::vector<std::int32_t>{0, 0, 1, 2}));
    EXPECT_EQ(run().tokens().position, (std::vector<std::int32_t>{0, 1, 0, 0}));
}

TEST_F(Import, TakesAFileASite) {
    const auto a = write("a.npy", npy_of("<f4", "(2, 2)", counted<float>(4)));
    const auto b = write("b.safetensors", safetensors_bytes({floats("x", {2, 2}, 10)}));
    import({.sites = { {{Component::resid_post, 3}, a}, { {Component::resid_pre, 0}, b } }});
    EXPECT_EQ(sites(), (Strings{"blocks.0.resid_pre", "blocks.3.resid_post"}));
    EXPECT_EQ(rows("blocks.0.resid_pre"), (std::vector<float>{10, 11, 12, 13}));
}

TEST_F(Import, RefusesSitesThatDoNotFit) {
    const auto two = write("two.npy", npy_of("<f4", "(2, 2)", counted<float>(4)));
    const auto three = write("three.npy", npy_of("<f4", "(3, 2)", counted<float>(6)));
    const auto wide = write("wide.npy", npy_of("<f4", "(2, 3)", counted<float>(6)));
    const Site a{Component::resid_post, 0}, b{Component::resid_post, 1};
    EXPECT_EQ(error({.sites = {{a, two}, {b, three}}}),
              "three.npy has 3 rows: two.npy has 2; every site needs a vector for each of the same tokens");
    EXPECT_EQ(error({.sites = {{a, two}, {b, wide}}}),
              "blocks.1.resid_post is 3 wide: blocks.0.resid_post is 2 wide; the vectors of one model's "
              "stream have "
              "one width");
    EXPECT_EQ(
        error({.sites = {{a, two}, {a, two}}}),
        "two.npy and two.npy are both blocks.0.resid_post; leave one out, or name the site that it is with "
        "--site NAME=FILE");
    EXPECT_EQ(error({.files = {two, wide}}),
              "wide.npy has rows of another shape: two.npy has 2 numbers a row");
    EXPECT_EQ(error({.files = {two}, .sites = {{a, two}}}),
              "files that name their site, and others; give --site NAME=FILE for each");
    EXPECT_EQ(error({}), "nothing to import; name a file, or --site NAME=FILE");
}

TEST_F(Import, RefusesTensorsThatItDoesNotUnderstand) {
    EXPECT_EQ(error({.files = {write("x.safetensors",
                                     safetensors_bytes({floats("a", {2}), floats("b", {2, 2})}))}}),
              "x.safetensors cannot be imported: none of its tensors has a name that is understood: a, b; "
              "name them as "
              "sites (blocks.3.resid_post), or save each alone and give --site NAME=FILE");
    EXPECT_EQ(
        error({.files = {write("x.safetensors", safetensors_bytes({}))}}),
        "x.safetensors cannot be imported: it holds no tensors; name them as sites (blocks.3.resid_post), or "
        "save each alone and give --site NAME=FILE");
    EXPECT_EQ(
        error({.files = {write("x.safetensors", safetensors_bytes({{"embed", "F64", {2, 2}, "short"}}))}}),
        "x.safetensors is not a readable safetensors file: 'embed' has 5 bytes, its shape needs 32; it was "
        "cut or "
        "damaged; save it again");
    EXPECT_EQ(error({.files = {write("x.safetensors",
                                     safetensors_bytes({floats("blocks.2147483640.resid_post", {2, 2})}))}}),
              "'blocks.2147483640.resid_post' in x.safetensors is said to be blocks.2147483640.resid_post: "
              "no model has "
              "so many layers");
}

// Labels
// -------------------------------------------------------------------------------------------------------------

TEST_F(Import, ReadsLabels) {
    import_labelled("sequence,position,token,label\n1,5, the,noun\n0,0,\"a,\"\"b\"\"\n\",verb\n0,1,,noun\n");
    const auto run = this->run();
    EXPECT_EQ(run.tokens().sequence, (std::vector<std::int32_t>{1, 0, 0}));
    EXPECT_EQ(run.tokens().position, (std::vector<std::int32_t>{5, 0, 1}));
    EXPECT_EQ(run.tokens().label, (std::vector<std::int32_t>{0, 1, 0}));
    EXPECT_EQ(run.labels(), (Strings{"noun", "verb"}));
    EXPECT_EQ(run.pieces(), (Strings{" the", "a,\"b\"\n", ""}));
    EXPECT_EQ(run.n_sequences(), 2);
    EXPECT_EQ(run.length(), 6);
}

TEST_F(Import, CountsPositionsInEachSequence) {
    import_labelled("sequence\n0\n7\n0\n");
    EXPECT_EQ(run().tokens().position, (std::vector<std::int32_t>{0, 0, 1}));
}

class Heading : public Import, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Import, Heading,
                         testing::Values("label,sequence", " Label , SEQUENCE ", "label;sequence",
                                         "label\tsequence",
                                         "\xef\xbb\xbf"
                                         "label,sequence",
                                         "\"label\",\"sequence\"", "label,sequence\r"));
TEST_P(Heading, IsUnderstood) {
    const std::string heading = GetParam();
    const char separator = heading.find(';') != heading.npos    ? ';'
                           : heading.find('\t') != heading.npos ? '\t'
                                                                : ',';
    const std::string line = std::string("x") + separator + "2\n";
    EXPECT_TRUE(import_labelled(heading + "\n" + line + line + line).notes.empty());
    EXPECT_EQ(run().tokens().sequence, (std::vector<std::int32_t>{2, 2, 2}));
    EXPECT_EQ(run().labels(), Strings{"x"});
}

TEST_F(Import, NamesColumnsThatDoNotCount) {
    EXPECT_EQ(import_labelled("label,colour,\x1b[31m\na,b,c\na,b,c\na,b,c\n").notes,
              Strings{"labels.csv: 'colour', '\\x1b[31m' not used; sequence, position, token and label are"});
}

TEST_F(Import, TakesTheLargestPositionThatIsRead) {
    import_labelled("position,sequence\n16777215,16777215\n0,0\n1,0\n");
    EXPECT_EQ(run().length(), kMostImported);
    EXPECT_EQ(run().n_sequences(), kMostImported);
}

struct BrokenLabels {
    const char* name;
    std::string csv, line;
};
void PrintTo(const BrokenLabels& broken, std::ostream* out) {
    *out << broken.name;
}
class ImportOfBroken : public Import, public testing::WithParamInterface<BrokenLabels> {};
INSTANTIATE_TEST_SUITE_P(
    ImportLabels, ImportOfBroken,
    testing::Values(
        BrokenLabels{"TooFewLines", "label\na\n",
                     "labels.csv has 1 lines below its header: there are 3 rows; give one line a row"},
        BrokenLabels{"OnlyAHeader", "label\n",
                     "labels.csv has 0 lines below its header: there are 3 rows; give one line a row"},
        BrokenLabels{"AColumnTwice", "label,label\na,b\na,b\na,b\n",
                     "labels.csv has two columns 'label'; leave one out"},
        BrokenLabels{"AColumnTwiceInOtherLetters", "label, Label\na,b\na,b\na,b\n",
                     "labels.csv has two columns 'label'; leave one out"},
        BrokenLabels{"AMisspeltColumn", "sequnce\n0\n0\n0\n",
                     "labels.csv has a column 'sequnce': the column that counts is 'sequence'; rename it"},
        BrokenLabels{"APlural", "label,Positions\n0,0\n0,0\n0,0\n",
                     "labels.csv has a column 'Positions': the column that counts is 'position'; rename it"},
        BrokenLabels{
            "NoColumnThatCounts", "a,b\n0,0\n0,0\n0,0\n",
            "labels.csv has no column that counts: its first line has 'a', 'b'; name one sequence, position, "
            "token or label"},
        BrokenLabels{
            "ALargePosition", "position\n0\n16777216\n0\n",
            "line 3 of labels.csv has 16777216 under 'position': at most 16777215 is read; count from 0"},
        BrokenLabels{
            "TheLargestPosition", "position\n0\n2147483647\n0\n",
            "line 3 of labels.csv has 2147483647 under 'position': at most 16777215 is read; count from 0"},
        BrokenLabels{
            "TheLargestSequenceButOne", "sequence\n0\n0\n2147483646\n",
            "line 4 of labels.csv has 2147483646 under 'sequence': at most 16777215 is read; count from 0"},
        BrokenLabels{"ANumberOfAHundredDigits", "sequence\n" + std::string(100, '9') + "\n0\n0\n",
                     "line 2 of labels.csv has " + std::string(100, '9') +
                         " under 'sequence': at most 16777215 is read; count from 0"},
        BrokenLabels{"ANegativeNumber", "sequence\n-99999999999999999999\n0\n0\n",
                     "line 2 of labels.csv has no number under 'sequence': it says '-99999999999999999999'; "
                     "write a whole "
                     "number from 0"},
        BrokenLabels{"AFraction", "position\n0\n1.0\n2\n",
                     "line 3 of labels.csv has no number under 'position': it says '1.0'; write a whole "
                     "number from 0"},
        BrokenLabels{
            "NoNumber", "position\n0\n\"\"\n2\n",
            "line 3 of labels.csv has no number under 'position': it says ''; write a whole number from 0"},
        BrokenLabels{
            "ALabelOfAnotherEncoding", "label\na\ncaf\xe9\nb\n",
            "line 3 of labels.csv has a label that is not UTF-8: 'caf\\xe9'; save the file as UTF-8"}),
    [](const auto& test) { return std::string(test.param.name); });
TEST_P(ImportOfBroken, AreRefused) {
    EXPECT_EQ(labels_error(GetParam().csv), GetParam().line);
    EXPECT_FALSE(fs::exists(folder_ / "run"));
}

}  // namespace
}  // namespace tomograph
