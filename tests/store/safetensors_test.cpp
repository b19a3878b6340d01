#include "tomograph/store/safetensors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/temp_folder.h"
#include "tomograph/base/json.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// Length, header, data: whatever a test wants them to be.
std::string file_of(std::uint64_t length, const std::string& header, const std::string& data) {
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    return bytes + header + data;
}
std::string file_of(const std::string& header, const std::string& data = "") {
    return file_of(header.size(), header, data);
}

/// Why the file is refused, without what every refusal says.
std::string refusal(const std::string& bytes) {
    const TempFolder folder;
    const fs::path path = folder.write("x.safetensors", bytes);
    std::string error = error_of([&] { Safetensors file(path); });
    const std::string before = path.string() + " is not a readable safetensors file: ";
    const std::string after = "; it was cut or damaged; capture it again";
    if (!error.starts_with(before) || !error.ends_with(after)) return "not a refusal: " + error;
    return error.substr(before.size(), error.size() - before.size() - after.size());
}

// Writing and reading again
// -------------------------------------------------------------------------------------------------------------

class RoundTrip : public testing::Test {
  protected:
    RoundTrip() {
        write_safetensors(folder_ / "x",
                          {{{"a", Dtype::f32, {2, 3}}, floats_.data()},
                           {{"b", Dtype::i32, {3}}, integers_.data()},
                           {{"c", Dtype::f16, {2, 2, 1}}, halves_.data()},
                           {{"none", Dtype::f32, {0, 5}}, nullptr}},
                          {{"what", "a test"}});
    }
    TempFolder folder_;
    std::vector<float> floats_{1, 2, 3, 4, 5, 6};
    std::vector<std::int32_t> integers_{-1, 0, 1 << 30};
    std::vector<std::uint16_t> halves_{0x3c00, 0x4000, 0x4200, 0x4400};
};

TEST_F(RoundTrip, KeepsShapes) {
    EXPECT_EQ(Safetensors(folder_ / "x").at("c").shape, (std::vector<std::int64_t>{2, 2, 1}));
}

TEST_F(RoundTrip, KeepsTypes) {
    EXPECT_EQ(Safetensors(folder_ / "x").at("c").dtype, Dtype::f16);
}

TEST_F(RoundTrip, KeepsFloats) {
    const Safetensors file(folder_ / "x");
    std::vector<float> out(6);
    file.at("a").read_rows(0, 2, out.data());
    EXPECT_EQ(out, floats_);
}

TEST_F(RoundTrip, ReadsSomeRowsOnly) {
    const Safetensors file(folder_ / "x");
    std::vector<float> out(3);
    file.at("a").read_rows(1, 2, out.data());
    EXPECT_EQ(out, (std::vector<float>{4, 5, 6}));
}

TEST_F(RoundTrip, WidensHalves) {
    const Safetensors file(folder_ / "x");
    std::vector<float> out(2);
    file.at("c").read_rows(1, 2, out.data());
    EXPECT_EQ(out, (std::vector<float>{3, 4}));
}

TEST_F(RoundTrip, KeepsIntegers) {
    EXPECT_EQ(Safetensors(folder_ / "x").integers("b"), integers_);
}

TEST_F(RoundTrip, KeepsAnEmptyTensor) {
    EXPECT_EQ(Safetensors(folder_ / "x").at("none").n_rows(), 0);
}

TEST_F(RoundTrip, KeepsMetadata) {
    EXPECT_EQ(Safetensors(folder_ / "x").metadata().at("what"), "a test");
}

TEST_F(RoundTrip, SaysWhatItHas) {
    EXPECT_TRUE(Safetensors(folder_ / "x").contains("a"));
    EXPECT_FALSE(Safetensors(folder_ / "x").contains("A"));
}

TEST_F(RoundTrip, NamesATensorThatIsMissing) {
    EXPECT_EQ(error_of([&] { Safetensors(folder_ / "x").at("d"); }),
              "no tensor 'd' in " + (folder_ / "x").string());
}

TEST_F(RoundTrip, GivesNoFloatsForIntegers) {
    EXPECT_EQ(error_of([&] { Safetensors(folder_ / "x").integers("a"); }),
              "'a' in " + (folder_ / "x").string() + " is not I32");
}

TEST_F(RoundTrip, MakesTheSameBytesTwice) {
    write_safetensors(folder_ / "y",
                      {{{"a", Dtype::f32, {2, 3}}, floats_.data()},
                       {{"b", Dtype::i32, {3}}, integers_.data()},
                       {{"c", Dtype::f16, {2, 2, 1}}, halves_.data()},
                       {{"none", Dtype::f32, {0, 5}}, nullptr}},
                      {{"what", "a test"}});
    EXPECT_EQ(read_file(folder_ / "y"), read_file(folder_ / "x"));
}

// The first eight bytes and the spaces are what other readers expect.
TEST_F(RoundTrip, BeginsItsDataAtAMultipleOfSixtyFour) {
    const std::string bytes = read_file(folder_ / "x");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ((8 + length) % 64, 0u);
}

TEST_F(RoundTrip, ListsOffsetsWithoutAGap) {
    const std::string bytes = read_file(folder_ / "x");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    std::uint64_t at = 0;
    const Json header = Json::parse(bytes.substr(8, length));
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        EXPECT_EQ(entry.at("data_offsets").at(0), at) << name;
        at = entry.at("data_offsets").at(1).get<std::uint64_t>();
    }
    EXPECT_EQ(8 + length + at, bytes.size());
}

TEST(SafetensorsWriter, WritesInAnyOrder) {
    const TempFolder folder;
    SafetensorsWriter writer(folder / "x", {{"a", Dtype::i32, {2}}, {"b", Dtype::i32, {1}}});
    const std::int32_t values[] = {1, 2, 3};
    writer.write(1, 0, &values[2], 4);
    writer.write(0, 4, &values[1], 4);
    writer.write(0, 0, &values[0], 4);
    writer.finish();
    EXPECT_EQ(Safetensors(folder / "x").integers("a"), (std::vector<std::int32_t>{1, 2}));
    EXPECT_EQ(Safetensors(folder / "x").integers("b"), (std::vector<std::int32_t>{3}));
}

TEST(SafetensorsWriter, TakesSeveralThreads) {
    const TempFolder folder;
    SafetensorsWriter writer(folder / "x", {{"a", Dtype::i32, {400}}});
    std::vector<std::thread> threads;
    for (std::int32_t t = 0; t < 4; ++t) {
        threads.emplace_back([&writer, t] {
            for (std::int32_t i = t; i < 400; i += 4)
                writer.write(0, static_cast<std::uint64_t>(4 * i), &i, 4);
        });
    }
    for (std::thread& thread : threads) thread.join();
    writer.finish();
    const auto values = Safetensors(folder / "x").integers("a");
    for (std::int32_t i = 0; i < 400; ++i) ASSERT_EQ(values[static_cast<std::size_t>(i)], i);
}

TEST(SafetensorsWriter, KnowsTheSizeBeforehand) {
    const TempFolder folder;
    SafetensorsWriter writer(folder / "x", {{"a", Dtype::f16, {7, 3}}});
    const std::uint64_t size = writer.file_bytes();
    writer.finish();
    EXPECT_EQ(fs::file_size(folder / "x"), size);
}

TEST(SafetensorsWriter, LeavesNothingUnfinished) {
    const TempFolder folder;
    { SafetensorsWriter writer(folder / "x", {{"a", Dtype::f16, {7, 3}}}); }
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(SafetensorsWriter, FindsAFullDiskBeforeTheWork) {
    const TempFolder folder;
    const FileSizeLimit limit(10'000);
    EXPECT_EQ(error_of([&] {
                  SafetensorsWriter writer(folder / "x", {{"a", Dtype::f32, {10'000}}});
              }),
              "cannot reserve room for " + (folder / "x").string() + ": File too large");
}

TEST(SafetensorsWriter, EscapesNames) {
    const TempFolder folder;
    const std::int32_t value = 5;
    write_safetensors(folder / "x", {{{"a\"b\\\n", Dtype::i32, {1}}, &value}});
    EXPECT_EQ(Safetensors(folder / "x").integers("a\"b\\\n"), std::vector<std::int32_t>{5});
}

// What other writers may do
// -------------------------------------------------------------------------------------------------------------

TEST(Safetensors, ReadsDataThatIsNotAligned) {
    const TempFolder folder;
    std::string header = R"({"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}})";
    if (header.size() % 2 == 0) header += ' ';
    folder.write("x", file_of(header, std::string("\x00\x3c\x00\x40\x00\x42", 6)));
    std::vector<float> out(3);
    Safetensors(folder / "x").at("h").read_rows(0, 3, out.data());
    EXPECT_EQ(out, (std::vector<float>{1, 2, 3}));
}

TEST(Safetensors, ReadsAScalar) {
    const TempFolder folder;
    folder.write("x", file_of(R"({"s":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})", {"\x07\0\0\0", 4}));
    EXPECT_EQ(Safetensors(folder / "x").integers("s"), std::vector<std::int32_t>{7});
}

TEST(Safetensors, ReadsNoTensors) {
    const TempFolder folder;
    folder.write("x", file_of("{}"));
    EXPECT_TRUE(Safetensors(folder / "x").tensors().empty());
}

TEST(Safetensors, ReadsAnEmptyTensorThatWouldBeWide) {
    const TempFolder folder;
    folder.write("x", file_of(R"({"e":{"dtype":"F32","shape":[0,4096],"data_offsets":[0,0]}})"));
    EXPECT_EQ(Safetensors(folder / "x").at("e").width(), 4096);
}

TEST(Safetensors, NamesAFileThatIsMissing) {
    const TempFolder folder;
    EXPECT_EQ(error_of([&] { Safetensors file(folder / "x"); }),
              "cannot open " + (folder / "x").string() + ": No such file or directory");
}

// Truncated, corrupt, hostile
// -------------------------------------------------------------------------------------------------------------

struct Broken {
    const char* name;
    std::string bytes;
    std::string why;
};
void PrintTo(const Broken& broken, std::ostream* out) {
    *out << broken.name;
}

std::string tensor(const std::string& shape, const std::string& offsets,
                   const std::string& dtype = "\"F32\"") {
    return R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

class BrokenSafetensors : public testing::TestWithParam<Broken> {};
INSTANTIATE_TEST_SUITE_P(
    Safetensors, BrokenSafetensors,
    testing::Values(
        Broken{"Empty", "", "it has no header"}, Broken{"SevenBytes", "1234567", "it has no header"},
        Broken{"OnlyALength", file_of(2, "", ""), "its header is longer than the file"},
        Broken{"CutHeader", file_of(60, "{\"x\":", ""), "its header is longer than the file"},
        Broken{"HugeLength", file_of(~std::uint64_t{0}, "{}", ""), "its header is longer than the file"},
        Broken{"LengthThatWraps", file_of(~std::uint64_t{0} - 7, "{}", ""),
               "its header is longer than the file"},
        Broken{"ArrayForAHeader", file_of("[1,2]"), "its header is no JSON object"},
        Broken{"NumberForAHeader", file_of("7"), "its header is no JSON object"},
        Broken{"NullForAHeader", file_of("null"), "its header is no JSON object"},
        Broken{"NegativeExtent", file_of(tensor("[-1]", "[0,4]"), "1234"),
               "'x' has -1 for an extent or an offset"},
        Broken{"TwoNegativeExtents", file_of(tensor("[-1,-1]", "[0,4]"), "1234"),
               "'x' has -1 for an extent or an offset"},
        Broken{"FractionForAnExtent", file_of(tensor("[1.5]", "[0,4]"), "1234"),
               "'x' has 1.5 for an extent or an offset"},
        Broken{"ExtentPastSixtyFourBits", file_of(tensor("[1e300]", "[0,4]"), "1234"),
               "'x' has 1e+300 for an extent or an offset"},
        Broken{"WordForAnExtent", file_of(tensor("[\"1\"]", "[0,4]"), "1234"),
               "'x' has \"1\" for an extent or an offset"},
        Broken{"NumberForAShape", file_of(tensor("1", "[0,4]"), "1234"), "'x' has the shape 1"},
        Broken{"ShapeThatWrapsToOne", file_of(tensor("[4294967297,4294967297]", "[0,4]"), "1234"),
               "'x' is larger than any file"},
        Broken{"ShapeThatWrapsToNothing", file_of(tensor("[4294967296,4294967296]", "[0,0]")),
               "'x' is larger than any file"},
        Broken{"EmptyButWild", file_of(tensor("[0,4611686018427387904,4611686018427387904]", "[0,0]")),
               "'x' is larger than any file"},
        Broken{"LargestExtent", file_of(tensor("[18446744073709551615]", "[0,4]"), "1234"),
               "'x' is larger than any file"},
        Broken{"EndPastTheFile", file_of(tensor("[2]", "[0,8]"), "1234"), "'x' ends after the file"},
        Broken{"BeginPastTheFile", file_of(tensor("[0]", "[9,9]"), "1234"), "'x' ends after the file"},
        Broken{"BeginAfterEnd", file_of(tensor("[1]", "[4,0]"), "1234"), "'x' ends after the file"},
        Broken{"NegativeOffset", file_of(tensor("[1]", "[-4,0]"), "1234"),
               "'x' has -4 for an extent or an offset"},
        Broken{"TooFewBytes", file_of(tensor("[2]", "[0,4]"), "1234"), "'x' has 4 bytes, its shape needs 8"},
        Broken{"TooManyBytes", file_of(tensor("[1]", "[0,8]"), "12345678"),
               "'x' has 8 bytes, its shape needs 4"},
        Broken{"UnknownType", file_of(tensor("[1]", "[0,8]", "\"F64\""), "12345678"),
               "'x' has the type \"F64\""}),
    [](const auto& test) { return test.param.name; });

TEST_P(BrokenSafetensors, IsRefused) {
    EXPECT_EQ(refusal(GetParam().bytes), GetParam().why);
}

class BadHeader : public testing::TestWithParam<Broken> {};
INSTANTIATE_TEST_SUITE_P(
    Safetensors, BadHeader,
    testing::Values(Broken{"NotJson", file_of("hello"), ""}, Broken{"CutJson", file_of("{\"x\":{"), ""},
                    Broken{"NotUtf8", file_of("{\"\xff\":1}"), ""},
                    Broken{"NoShape", file_of(R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", "1234"), ""},
                    Broken{"NoOffsets", file_of(R"({"x":{"dtype":"F32","shape":[1]}})", "1234"), ""},
                    Broken{"NoType", file_of(R"({"x":{"shape":[1],"data_offsets":[0,4]}})", "1234"), ""},
                    Broken{"NumberForAType", file_of(tensor("[1]", "[0,4]", "7"), "1234"), ""},
                    Broken{"OneOffset", file_of(tensor("[1]", "[0]"), "1234"), ""},
                    Broken{"NumberForOffsets", file_of(tensor("[1]", "4"), "1234"), ""},
                    Broken{"NumberForATensor", file_of(R"({"x":7})"), ""},
                    Broken{"NumberForMetadata", file_of(R"({"__metadata__":7})"), ""},
                    Broken{"NumberInMetadata", file_of(R"({"__metadata__":{"a":7}})"), ""},
                    Broken{"DeepBrackets", file_of(std::string(200'000, '[')), ""}),
    [](const auto& test) { return test.param.name; });

TEST_P(BadHeader, IsCalledInvalid) {
    const std::string why = refusal(GetParam().bytes);
    EXPECT_TRUE(why.starts_with("its header is not valid: ")) << why;
    EXPECT_EQ(why.find('\n'), std::string::npos) << why;
}

TEST(Safetensors, SurvivesEveryCut) {
    const TempFolder folder;
    const std::vector<float> values(6);
    write_safetensors(folder / "x", {{{"a", Dtype::f32, {6}}, values.data()}});
    const std::string whole = read_file(folder / "x");
    for (std::size_t size = 0; size < whole.size(); ++size)
        ASSERT_FALSE(refusal(whole.substr(0, size)).starts_with("not a refusal")) << size;
}

TEST(Safetensors, SurvivesEveryFlippedByteOfItsHeader) {
    const TempFolder folder;
    const std::vector<float> values(6);
    write_safetensors(folder / "x", {{{"a", Dtype::f32, {2, 3}}, values.data()}});
    const std::string whole = read_file(folder / "x");
    for (std::size_t at = 0; at + sizeof(float) * 6 < whole.size(); ++at) {
        for (const char flip : {'\x01', '\x10', '\x80'}) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ flip);
            folder.write("y", bytes);
            // Whatever it is now, it is read inside the file or refused.
            const std::string error = error_of([&] {
                const Safetensors file(folder / "y");
                for (const auto& [name, tensor] : file.tensors()) {
                    std::vector<float> out(static_cast<std::size_t>(tensor.n_rows() * tensor.width()));
                    tensor.read_rows(0, tensor.n_rows(), out.data());
                }
            });
            EXPECT_EQ(error.find('\n'), std::string::npos) << at;
        }
    }
}

}  // namespace
}  // namespace tomograph
