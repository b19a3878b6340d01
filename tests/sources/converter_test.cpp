#include "tomograph/sources/converter.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

constexpr const char* kConfig = R"({"architectures":["LlamaForCausalLM"]})";
constexpr const char* kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";

class ModelFolder : public testing::Test {
  protected:
    std::string error() const {
        return error_of([&] { check_model_folder(folder_.path()); });
    }
    std::string cannot(const std::string& why) const {
        return "cannot convert " + folder_.path().string() + ": " + why;
    }
    TempFolder folder_;
};

TEST_F(ModelFolder, NamesItsArchitecture) {
    folder_.write("config.json", kConfig);
    folder_.write("model.safetensors", "x");
    EXPECT_EQ(check_model_folder(folder_.path()), "LlamaForCausalLM");
}

TEST_F(ModelFolder, MustBeThere) {
    EXPECT_EQ(error_of([] { check_model_folder("/nowhere"); }), "cannot convert /nowhere: no such folder");
}

TEST_F(ModelFolder, IsNoFile) {
    const auto file = folder_.write("m.gguf", "GGUF");
    EXPECT_EQ(error_of([&] { check_model_folder(file); }),
              "cannot convert " + file.string() + ": it is a file; a GGUF file is read as it is");
}

TEST_F(ModelFolder, MustHaveAConfig) {
    EXPECT_EQ(error(), cannot("it has no config.json; give a model folder of Hugging Face"));
}

TEST_F(ModelFolder, IsNoAdapter) {
    folder_.write("adapter_config.json", "{}");
    EXPECT_NE(error().find("it is an adapter (LoRA)"), std::string::npos);
}

TEST_F(ModelFolder, NeedsNoConversionWhereItHoldsAGguf) {
    folder_.write("m.gguf", "GGUF");
    EXPECT_NE(error().find("which need no conversion"), std::string::npos);
}

TEST_F(ModelFolder, MustNameAnArchitecture) {
    folder_.write("config.json", "{}");
    EXPECT_NE(error().find("names no architecture"), std::string::npos);
}

TEST_F(ModelFolder, MustHaveWeights) {
    folder_.write("config.json", kConfig);
    EXPECT_EQ(error(),
              cannot("it has no weights: no .safetensors file and no pytorch_model.bin; download the whole "
                     "folder"));
}

TEST_F(ModelFolder, MustHaveWeightsThatAreNoPointers) {
    folder_.write("config.json", kConfig);
    folder_.write("model.safetensors", kPointer);
    EXPECT_EQ(error(),
              cannot("model.safetensors is Git LFS's pointer to a file, some lines of text; fetch the files "
                     "themselves with: git lfs pull"));
}

TEST_F(ModelFolder, MustHaveEveryPartOfTheWeights) {
    folder_.write("config.json", kConfig);
    folder_.write("model-1.safetensors", "x");
    folder_.write("model.safetensors.index.json",
                  R"({"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
    EXPECT_EQ(error(),
              cannot("model-2.safetensors is missing, which model.safetensors.index.json names; download the "
                     "whole folder"));
}

}  // namespace
}  // namespace tomograph
