#include "tomograph/model/held_weights.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"
#include "tomograph/model/quantize.h"

namespace tomograph {
namespace {

using namespace test;

Matrix last_stream(const Model& model) {
    const auto engine = model.make_engine({.max_length = 40, .exact = true, .threads = 1});
    const Sequence sequence{.tokens = model.vocabulary().tokenize("Call me Ishmael. Some years ago, never")};
    return record(*engine, std::span(&sequence, 1)).at("ln_final");
}

double difference(const Matrix& a, const Matrix& b) {
    return (a - b).norm() / b.norm();
}

// The reference is the same file with its weights written out in float32 by quantize().
TEST(HeldWeights, AreThoseThatWereStoredWithoutTheRoundingOfWhatTheyMultiply) {
    const TempFolder folder;
    const std::string quantised = (folder / "q8.gguf").string(), written = (folder / "f32.gguf").string();
    quantize("bytes-llama", quantised, "q8_0", 1);
    quantize(quantised, written, "f32", 1);
    const Matrix want = last_stream(Model::open(written));
    const Model decoded = Model::open(quantised, HeldWeights::f32, 1);
    EXPECT_EQ(decoded.info().type, "Q8_0");
    EXPECT_EQ(decoded.info().held, "F32");
    EXPECT_EQ(last_stream(decoded), want);
    const Model stored = Model::open(quantised);
    EXPECT_EQ(stored.info().held, "");
    const double rounding = difference(last_stream(stored), want);
    EXPECT_GT(rounding, 1e-5);
    EXPECT_LT(rounding, 0.05);
}

TEST(HeldWeights, AutoDecodesWhatIsQuantisedOnly) {
    const TempFolder folder;
    const std::string quantised = (folder / "q8.gguf").string(), written = (folder / "f32.gguf").string();
    quantize("bytes-llama", quantised, "q8_0", 1);
    quantize("bytes-llama", written, "f32", 1);
    EXPECT_EQ(Model::open(quantised, HeldWeights::automatic, 1).info().held, "F32");
    EXPECT_EQ(Model::open(written, HeldWeights::automatic, 1).info().held, "");
    EXPECT_FALSE(decoded_fits(std::uint64_t{1} << 50));
}

/// Bytes of a file that this process has mapped.
std::uint64_t mapped_bytes(const std::string& path) {
    std::ifstream maps("/proc/self/maps");
    std::uint64_t bytes = 0;
    for (std::string line; std::getline(maps, line);) {
        std::uint64_t begin = 0, end = 0;
        if (line.ends_with(path) && std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64, &begin, &end) == 2)
            bytes += end - begin;
    }
    return bytes;
}

TEST(HeldWeights, StandInMemoryOnce) {
    const TempFolder folder;
    for (const char* type : {"q4_0", "q4_1", "f32"}) {
        const std::string path = (folder / std::string(type)).string() + ".gguf";
        quantize("bytes-gpt2", path, type, 1);
        const Model model = Model::open(path);
        if (type != std::string("q4_0")) {
            EXPECT_GE(mapped_bytes(path), std::filesystem::file_size(path) / 2) << type;
            continue;
        }
#if defined(__AVX2__)
        EXPECT_EQ(mapped_bytes(path), 0) << "laid out anew, and mapped as well";
#endif
    }
}

TEST(HeldWeights, SayThatMemoryRanOut) {
    const TempFolder folder;
    const std::string quantised = (folder / "q8.gguf").string();
    quantize("bytes-llama", quantised, "q8_0", 1);
    // After so many bytes writing fails: in the header, and in the tensors, where llama.cpp does not notice.
    for (const rlim_t bytes : {rlim_t{1000}, rlim_t{500'000}}) {
        const FileSizeLimit limit(bytes);
        EXPECT_EQ(error_of([&] { Model::open(quantised, HeldWeights::f32, 1); }),
                  "cannot decode " + quantised + ": memory ran out; use --weights as-stored");
    }
}

TEST(HeldWeights, AreNamedInWords) {
    EXPECT_EQ(parse_held_weights("auto"), HeldWeights::automatic);
    EXPECT_EQ(error_of([] { parse_held_weights("int4"); }),
              "weights cannot be held as 'int4'; use as-stored, f32 or auto");
}

}  // namespace
}  // namespace tomograph
