// Models in several files, and files that are no models.
#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/model/model.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/randomize.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::string part_name(int part, int count) {
    char name[64];
    std::snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", part + 1, count);
    return name;
}

/// Cut a golden model as llama-gguf-split does: the header in the first part, tensor t in part part_of(t).
void split(const std::string& model, const fs::path& folder, int count,
           const std::function<int(const std::string& tensor)>& part_of) {
    ggml_context* raw = nullptr;
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> whole(
        gguf_init_from_file(golden_model(model).c_str(), {.no_alloc = false, .ctx = &raw}), &gguf_free);
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> tensors(raw, &ggml_free);
    for (int part = 0; part < count; ++part) {
        const std::unique_ptr<gguf_context, decltype(&gguf_free)> out(gguf_init_empty(), &gguf_free);
        if (part == 0) gguf_set_kv(out.get(), whole.get());
        gguf_set_val_u16(out.get(), "split.no", static_cast<std::uint16_t>(part));
        gguf_set_val_u16(out.get(), "split.count", static_cast<std::uint16_t>(count));
        gguf_set_val_i32(out.get(), "split.tensors.count",
                         static_cast<std::int32_t>(gguf_get_n_tensors(whole.get())));
        for (ggml_tensor* t = ggml_get_first_tensor(raw); t != nullptr; t = ggml_get_next_tensor(raw, t)) {
            if (gguf_find_tensor(whole.get(), t->name) >= 0 && part_of(t->name) == part)
                gguf_add_tensor(out.get(), t);
        }
        ASSERT_TRUE(gguf_write_to_file(out.get(), (folder / part_name(part, count)).c_str(), false));
    }
}

class SplitModel : public testing::Test {
  protected:
    std::string first() const { return folder_ / part_name(0, 3); }
    static std::string opening_error(const fs::path& path) {
        return error_of([&] { Model::open(path.string()); });
    }
    TempFolder folder_;
};

// Positions in part 3 and the token table in part 2: neither is in the file that was named.
TEST_F(SplitModel, IsTheModelThatWasCut) {
    split("gpt2", folder_.path(), 3, [](const std::string& tensor) {
        return tensor == "position_embd.weight" ? 2 : tensor.starts_with("blk.1") ? 2 : 1;
    });
    const Model model = Model::open(first()), whole = Model::open(golden_model("gpt2"));
    EXPECT_TRUE(model.info().learned_positions);
    EXPECT_EQ(model.info().n_files, 3);
    std::uintmax_t bytes = 0;
    for (int part = 0; part < 3; ++part) bytes += fs::file_size(folder_ / part_name(part, 3));
    EXPECT_EQ(model.info().file_bytes, bytes);
    EXPECT_EQ(model.info().n_parameters, whole.info().n_parameters);
    EXPECT_TRUE(model.token_embeddings({0, 7, 255}).isApprox(whole.token_embeddings({0, 7, 255}), 0));
    EXPECT_TRUE(model.mean_token_embedding().isApprox(whole.mean_token_embedding(), 0));
    const std::vector<Sequence> read{{.tokens = {1, 2, 3, 4}}};
    const auto split_engine = model.make_engine({.max_length = 4, .threads = 1});
    const auto engine = whole.make_engine({.max_length = 4, .threads = 1});
    const Recording a = record(*split_engine, read), b = record(*engine, read);
    EXPECT_EQ(a.size(), b.size());
    for (const auto& [site, values] : a) EXPECT_TRUE(values.isApprox(b.at(site), 0)) << site;
    EXPECT_NE(model.checksum(), whole.checksum());
}

TEST_F(SplitModel, HasATwinInOneFile) {
    split("llama", folder_.path(), 3, [](const std::string& t) { return t.starts_with("blk") ? 2 : 1; });
    randomize(first(), folder_ / "twin.gguf", {.threads = 1});
    randomize(golden_model("llama"), folder_ / "other.gguf", {.threads = 1});
    const Model twin = Model::open(folder_ / "twin.gguf"), other = Model::open(folder_ / "other.gguf");
    EXPECT_EQ(twin.info().n_files, 1);
    EXPECT_TRUE(twin.token_embeddings({0, 9}).isApprox(other.token_embeddings({0, 9}), 0));
}

TEST_F(SplitModel, IsQuantizedIntoOneFile) {
    split("llama", folder_.path(), 3, [](const std::string& t) { return t.starts_with("blk") ? 2 : 1; });
    quantize(first(), folder_ / "q.gguf", "f16", 1);
    EXPECT_EQ(Model::open(folder_ / "q.gguf").info().n_files, 1);
}

TEST_F(SplitModel, IsOpenedByItsFirstPart) {
    split("llama", folder_.path(), 3, [](const std::string& t) { return t.starts_with("blk") ? 2 : 1; });
    const std::string second = folder_ / part_name(1, 3);
    EXPECT_EQ(
        opening_error(second),
        second + " is part 2 of a model in 3 parts: a model is opened by its first part; give " + first());
    fs::rename(second, folder_ / "b.gguf");
    EXPECT_NE(opening_error(folder_ / "b.gguf").find("give the file whose name ends in -00001-of-00003.gguf"),
              std::string::npos);
    EXPECT_NE(opening_error(first()).find("part 2 of 3 of " + first() + " is missing"), std::string::npos);
}

TEST_F(SplitModel, IsFoundByItsNames) {
    split("llama", folder_.path(), 3, [](const std::string& t) { return t.starts_with("blk") ? 2 : 1; });
    fs::rename(first(), folder_ / "a.gguf");
    EXPECT_NE(opening_error(folder_ / "a.gguf").find("is part 1 of a model in 3 parts, and was renamed"),
              std::string::npos);
    fs::copy_file(folder_ / part_name(1, 3), folder_ / part_name(2, 3), fs::copy_options::overwrite_existing);
    fs::rename(folder_ / "a.gguf", first());
    EXPECT_NE(opening_error(first()).find("is another part than its name says"), std::string::npos);
}

TEST_F(SplitModel, IsNotItsPartsLaidEndToEnd) {
    split("llama", folder_.path(), 3, [](const std::string& t) { return t.starts_with("blk") ? 2 : 1; });
    const fs::path joined = folder_.write(
        "joined.gguf", read_file(folder_ / part_name(1, 3)) + read_file(folder_ / part_name(2, 3)));
    EXPECT_NE(opening_error(joined).find("is several GGUF files laid end to end"), std::string::npos);
    // The first part has no tensors of its own.
    const fs::path all = folder_.write("all.gguf", read_file(first()) + read_file(joined));
    EXPECT_NE(opening_error(all), "");
}

// What is no model
// -------------------------------------------------------------------------------------------------------------

class NoModel : public SplitModel {
  protected:
    std::string error_of_gguf(const std::function<void(gguf_context*)>& fill) const {
        const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(gguf_init_empty(), &gguf_free);
        fill(file.get());
        const std::string path = folder_ / "x.gguf";
        gguf_write_to_file(file.get(), path.c_str(), false);
        std::string error = opening_error(path);
        return error.starts_with(path + " ") ? error.substr(path.size() + 1) : error;
    }
    std::string error_of_bytes(const std::string& bytes) const {
        const std::string path = folder_.write("x.bin", bytes);
        std::string error = opening_error(path);
        return error.starts_with(path + " ") ? error.substr(path.size() + 1) : error;
    }
};

TEST_F(NoModel, IsAnAdapter) {
    EXPECT_TRUE(error_of_gguf([](gguf_context* file) {
                    gguf_set_val_str(file, "general.type", "adapter");
                    gguf_set_val_str(file, "general.architecture", "llama");
                }).starts_with("is not a language model: it is an adapter (LoRA)"));
}

TEST_F(NoModel, IsAnImportanceMatrix) {
    EXPECT_TRUE(error_of_gguf([](gguf_context* file) {
                    gguf_set_val_str(file, "general.type", "imatrix");
                }).starts_with("is not a language model: it is an importance matrix"));
}

TEST_F(NoModel, IsAControlVector) {
    EXPECT_TRUE(error_of_gguf([](gguf_context* file) {
                    gguf_set_val_str(file, "general.architecture", "controlvector");
                }).starts_with("is not a language model: it is a control vector"));
}

TEST_F(NoModel, IsADraftHead) {
    EXPECT_EQ(
        error_of_gguf([](gguf_context* file) { gguf_set_val_str(file, "general.architecture", "eagle3"); }),
        "is not a language model: it is a draft head, which guesses on from the states of a larger model; "
        "give that model");
}

TEST_F(NoModel, IsAVocabularyAlone) {
    const auto fill = [](gguf_context* file) {
        const std::vector<const char*> tokens{"a", "b"};
        gguf_set_val_str(file, "general.architecture", "llama");
        gguf_set_arr_str(file, "tokenizer.ggml.tokens", const_cast<const char**>(tokens.data()), 2);
    };
    EXPECT_EQ(error_of_gguf(fill),
              "is not a language model: it holds a vocabulary alone, without weights; give the whole model");
}

TEST_F(NoModel, IsAPointerOfGitLfs) {
    EXPECT_EQ(
        error_of_bytes("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
        "is not a GGUF file: it is Git LFS's pointer to one, some lines of text; fetch the file itself with: "
        "git lfs pull");
}

TEST_F(NoModel, IsAnotherFormat) {
    EXPECT_TRUE(error_of_bytes(std::string("\x10\0\0\0\0\0\0\0{\"a\":1}       ", 22))
                    .starts_with("is not a GGUF file: it is a safetensors file"));
    EXPECT_TRUE(
        error_of_bytes("PK\x03\x04 and so on").starts_with("is not a GGUF file: it is a zip archive"));
    EXPECT_TRUE(
        error_of_bytes("<!DOCTYPE html><html>").starts_with("is not a GGUF file: it is a page of HTML"));
    EXPECT_TRUE(
        error_of_bytes("x").starts_with("is not a GGUF file: it does not begin with the letters GGUF"));
}

TEST_F(NoModel, IsOfANewerVersion) {
    std::string bytes = read_file(golden_model("llama"));
    bytes[4] = 4;
    EXPECT_NE(error_of_bytes(bytes).find("it is newer than this program: update tomograph"),
              std::string::npos);
}

TEST_F(NoModel, IsAFolder) {
    EXPECT_TRUE(opening_error(folder_.path()).ends_with("is not a model: it is a folder; give a .gguf file"));
    folder_.write("m.gguf", "");
    EXPECT_TRUE(opening_error(folder_.path())
                    .ends_with("give a file in it, such as " + (folder_ / "m.gguf").string()));
    folder_.write("config.json", "{}");
    EXPECT_NE(opening_error(folder_.path()).find("it is a model folder of Hugging Face"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
