#include "tomograph/model/randomize.h"

#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <numeric>

#include "support/errors.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/model/model.h"
#include "tomograph/model/quantize.h"

namespace tomograph {
namespace {

using test::error_of;
using test::TempFolder;

TEST(Randomize, KeepsArchitectureTypesAndTokenizer) {
    const TempFolder folder;
    for (const std::string& name : embedded_models()) {
        const RandomizeSummary summary = randomize(name, folder / "twin.gguf");
        const Model original = Model::open(name), twin = Model::open((folder / "twin.gguf").string());
        EXPECT_TRUE(summary.widened.empty());
        EXPECT_EQ(twin.info().architecture, original.info().architecture);
        EXPECT_EQ(twin.info().type, original.info().type);
        EXPECT_EQ(twin.info().n_parameters, original.info().n_parameters);
        EXPECT_EQ(twin.info().name, name + " (random twin)");
        EXPECT_EQ(twin.info().twin, "gaussian");
        EXPECT_EQ(original.info().twin, "");
        EXPECT_FALSE(model_json(original.info()).contains("twin"));
        EXPECT_EQ(twin.vocabulary().tokenize("Call me"), original.vocabulary().tokenize("Call me"));
        const Matrix a = original.token_embeddings({0, 65, 97, 200}),
                     b = twin.token_embeddings({0, 65, 97, 200});
        EXPECT_NEAR(b.norm() / a.norm(), 1, 0.3) << "the same scale";
        EXPECT_LT(std::abs(a.cwiseProduct(b).sum()) / (a.norm() * b.norm()), 0.3) << "other values";
    }
}

/// Every row of a model's token table.
Matrix token_table(const std::string& model) {
    const Model opened = Model::open(model);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(opened.info().n_vocab));
    std::iota(ids.begin(), ids.end(), 0);
    return opened.token_embeddings(ids);
}

VectorD singular_values(const Matrix& matrix) {
    return Eigen::JacobiSVD<Eigen::MatrixXd>(matrix.cast<double>()).singularValues();
}

TEST(Randomize, SpectrumKeepsSingularValuesAndNoDirection) {
    const TempFolder folder;
    quantize("bytes-llama", folder / "q8.gguf", "q8_0", 1);
    for (const std::string& name : {std::string("bytes-llama"), (folder / "q8.gguf").string()}) {
        const std::string file = (folder / "twin.gguf").string();
        randomize(name, file, {.keep = TwinKeeps::spectrum});
        EXPECT_EQ(Model::open(file).info().twin, "spectrum");
        const Matrix a = token_table(name), b = token_table(file);
        const VectorD of_a = singular_values(a), of_b = singular_values(b);
        // Rounding to n levels adds noise whose largest singular value is far below a hundredth.
        EXPECT_LT((of_a - of_b).cwiseAbs().maxCoeff(), 0.01 * of_a[0]) << name;
        EXPECT_LT((of_a - of_b).norm(), 0.01 * of_a.norm()) << name;
        // A Gaussian matrix of the same scale has another spectrum: the test can fail.
        const std::string gaussian = (folder / "gaussian.gguf").string();
        randomize(name, gaussian);
        EXPECT_GT((of_a - singular_values(token_table(gaussian))).norm(), 0.1 * of_a.norm()) << name;
        // Neither rows nor columns are where they were, nor their products: |cos| of two random matrices is
        // about 1 / sqrt(entries).
        const auto cosine = [](const MatrixD& x, const MatrixD& y) {
            return std::abs(x.cwiseProduct(y).sum()) / (x.norm() * y.norm());
        };
        const MatrixD x = a.cast<double>(), y = b.cast<double>();
        const auto traceless = [](MatrixD m) {
            m.diagonal().array() -= m.trace() / static_cast<double>(m.rows());
            return m;
        };
        EXPECT_LT(cosine(x, y), 0.03) << name;
        EXPECT_LT(cosine(traceless(x.transpose() * x), traceless(y.transpose() * y)), 0.05) << name;
        EXPECT_LT(cosine(traceless(x * x.transpose()), traceless(y * y.transpose())), 0.05) << name;
    }
}

TEST(Randomize, BytesDependOnTheSeedOnly) {
    const TempFolder folder;
    for (const TwinKeeps keep : {TwinKeeps::scale, TwinKeeps::spectrum}) {
        randomize("bytes-llama", folder / "a.gguf", {.keep = keep, .seed = 1, .threads = 1});
        randomize("bytes-llama", folder / "b.gguf", {.keep = keep, .seed = 1, .threads = 3});
        EXPECT_EQ(read_file(folder / "a.gguf"), read_file(folder / "b.gguf"));
    }
    randomize("bytes-llama", folder / "a.gguf", {.seed = 1, .threads = 1});
    randomize("bytes-llama", folder / "b.gguf", {.seed = 1, .threads = 3});
    randomize("bytes-llama", folder / "c.gguf", {.seed = 2});
    EXPECT_EQ(read_file(folder / "a.gguf"), read_file(folder / "b.gguf"));
    EXPECT_NE(read_file(folder / "a.gguf"), read_file(folder / "c.gguf"));
}

TEST(Randomize, QuantisedTypesAreWrittenAgain) {
    const TempFolder folder;
    quantize("bytes-gpt2", folder / "q4.gguf", "q4_0", 1);
    randomize((folder / "q4.gguf").string(), folder / "twin.gguf");
    EXPECT_EQ(Model::open((folder / "twin.gguf").string()).info().type, "Q4_0");
}

TEST(Randomize, RefusesItsOwnInputAndMissingOnes) {
    const TempFolder folder;
    randomize("bytes-gpt2", folder / "a.gguf");
    EXPECT_NE(
        error_of([&] { randomize((folder / "a.gguf").string(), folder / "a.gguf"); }).find("onto itself"),
        std::string::npos);
    EXPECT_NE(
        error_of([&] { randomize((folder / "none.gguf").string(), folder / "b.gguf"); }).find("no such file"),
        std::string::npos);
    EXPECT_EQ(folder.n_files(), 1u);
}

/// What the first block's attention adds for the last of some tokens.
Matrix last_attention(const Model& model, const std::vector<std::int32_t>& tokens, bool rope_off,
                      double frequency = 1) {
    const auto engine = model.make_engine(
        {.max_length = 16, .exact = true, .rope_off = rope_off, .rope_frequency = frequency, .threads = 1});
    const std::vector<Sequence> batch{{.tokens = tokens}};
    const Matrix attention = test::record(*engine, batch).at("blocks.0.attn_out");
    return attention.bottomRows(1);
}

TEST(RopeOff, MakesTheOrderOfEarlierTokensNoMatter) {
    const Model model = Model::open("bytes-llama");
    const std::vector<std::int32_t> tokens{72, 101, 108, 112, 33}, swapped{108, 72, 112, 101, 33};
    EXPECT_LT(test::row_error(last_attention(model, swapped, true), last_attention(model, tokens, true)),
              1e-5);
    EXPECT_GT(test::row_error(last_attention(model, swapped, false), last_attention(model, tokens, false)),
              1e-2);
}

TEST(RopeOff, IsRefusedWithoutRotation) {
    const Model model = Model::open("bytes-gpt2");
    EXPECT_NE(error_of([&] {
                  model.make_engine({.max_length = 64, .rope_off = true});
              }).find("it has no rotary positions"),
              std::string::npos);
}

TEST(RopeOff, IsRefusedWithSlidingWindows) {
    const Model model = Model::open(test::golden_model("gemma2"));
    EXPECT_NE(error_of([&] {
                  model.make_engine({.max_length = 16, .rope_off = true});
              }).find("its sliding-window layers rotate by a scale of their own"),
              std::string::npos);
}

TEST(RopeFrequency, RunsFromNoRotationToTheModelsOwn) {
    const Model model = Model::open("bytes-llama");
    const std::vector<std::int32_t> tokens{72, 101, 108, 112, 33};
    const Matrix off = last_attention(model, tokens, true), own = last_attention(model, tokens, false);
    EXPECT_LT(test::row_error(last_attention(model, tokens, false, 1e-9), off), 1e-6);
    // Far from the model's own speed angles wrap; near it, nearer is more alike.
    double before = test::row_error(last_attention(model, tokens, false, 0.7), own);
    for (const double frequency : {0.9, 0.97, 0.99}) {
        const double error = test::row_error(last_attention(model, tokens, false, frequency), own);
        EXPECT_LT(error, before) << frequency;
        EXPECT_GT(error, 1e-5) << frequency;
        before = error;
    }
}

TEST(RopeFrequency, IsRefusedWhereItWouldChangeNothing) {
    const auto refused = [](const std::string& name, double frequency) {
        const Model model = Model::open(name);
        return error_of([&] { model.make_engine({.max_length = 16, .rope_frequency = frequency}); });
    };
    EXPECT_NE(refused("bytes-gpt2", 0.7).find("it has no rotary positions"), std::string::npos);
    EXPECT_NE(refused(test::golden_model("gemma2"), 0.7).find("sliding-window layers"), std::string::npos);
    EXPECT_NE(refused("bytes-llama", 0).find("has no meaning"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
