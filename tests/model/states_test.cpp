// What recurrent mixers carry from token to token.
#include "tomograph/model/states.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine_support.h"
#include "support/errors.h"
#include "support/golden.h"

namespace tomograph {
namespace {

using namespace test;

EngineOptions with_states() {
    EngineOptions options = exact();
    options.states = true;
    return options;
}

std::vector<std::size_t> state_sites(const Engine& engine) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < engine.sites().size(); ++i) {
        if (engine.sites()[i].site.component == Component::state) found.push_back(i);
    }
    return found;
}

Recording states_of(Engine& engine, const Sequences& sequences) {
    return record(engine, sequences, state_sites(engine));
}

class RecurrentFamily : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(States, RecurrentFamily, testing::Values("mamba", "mamba2", "qwen35"));

TEST_P(RecurrentFamily, CarriesOnWhatTransformersKeeps) {
    const Golden golden = read_golden("families/" + GetParam());
    const Model model = Model::open(golden_model("families/" + GetParam()));
    const auto engine = model.make_engine(with_states());
    Sequence sequence;
    sequence.tokens = golden.tokens;
    const Recording got = states_of(*engine, {sequence});
    const Safetensors file(golden_path("families/" + GetParam() + "-states.safetensors"));
    ASSERT_EQ(got.size(), file.tensors().size());
    for (const auto& [name, tensor] : file.tensors()) {
        const auto rows = static_cast<Eigen::Index>(tensor.n_rows()),
                   width = static_cast<Eigen::Index>(tensor.width());
        Matrix want(rows, width);
        tensor.read_rows(0, rows, want.data());
        const Matrix& all = got.at(name);
        ASSERT_EQ(all.cols(), want.size()) << name;
        // transformers has keys before values, the graph of a gated delta net values before keys, 8 of each.
        // And llama.cpp's converter deals the value heads of each key head out in turn: 0, 2, 1, 3.
        if (GetParam() == "qwen35") {
            ASSERT_EQ(rows, 4);
            want.row(1).swap(want.row(2));
            for (Eigen::Index head = 0; head < rows; ++head) {
                for (Eigen::Index i = 0; i < 8; ++i) {
                    for (Eigen::Index j = 0; j < i; ++j)
                        std::swap(want(head, 8 * i + j), want(head, 8 * j + i));
                }
            }
        }
        const Matrix last = all.bottomRows(1);
        EXPECT_LE(row_error(last, want.reshaped<Eigen::RowMajor>(1, want.size())), 1e-5) << name;
        EXPECT_TRUE(all.topRows(all.rows() - 1).isZero(0)) << name;
    }
}

TEST_P(RecurrentFamily, KeepsSequencesApart) {
    const Model model = Model::open(golden_model("families/" + GetParam()));
    const auto engine = model.make_engine(with_states());
    const Sequences sequences = random_sequences({9, 9, 5, 12, 12, 1}, 256);
    const Recording together = states_of(*engine, sequences);
    for (const auto& [name, rows] : together) {
        Eigen::Index end = 0;
        for (const Sequence& sequence : sequences) {
            end += sequence.length();
            const Recording alone = states_of(*engine, {sequence});
            EXPECT_LE(row_error(rows.middleRows(end - 1, 1), alone.at(name).bottomRows(1)), 1e-5)
                << name << " " << end;
        }
    }
}

// A sequence that is longer than a batch: what the earlier pieces leave is not its state.
TEST(States, AreBehindTheLastTokenOfALongSequence) {
    const Model model = Model::open(golden_model("families/mamba"));
    EngineOptions options = with_states();
    options.max_length = 4500;
    const auto engine = model.make_engine(options);
    ASSERT_LT(engine->batch_tokens(), 4500);
    const Sequence sequence = random_sequence(4500, 256, 3);
    for (const auto& [name, rows] : states_of(*engine, {sequence})) {
        EXPECT_TRUE(rows.topRows(rows.rows() - 1).isZero(0)) << name;
        EXPECT_FALSE(rows.bottomRows(1).isZero(0)) << name;
    }
}

TEST(States, AreSitesOnRequestOnly) {
    const Model model = Model::open(golden_model("families/mamba"));
    EXPECT_TRUE(state_sites(*model.make_engine(exact())).empty());
    const auto engine = model.make_engine(with_states());
    const std::vector<std::size_t> states = state_sites(*engine);
    ASSERT_EQ(states.size(), 2U);
    EXPECT_EQ(engine->sites()[states[1]].shape, std::vector<std::int64_t>{64 * 8});
    const Sequence sequence = random_sequence(4, 256, 1);
    RecordingTap tap(*engine, {}, 4);
    EXPECT_EQ(error_of([&] {
                  engine->run(std::span(&sequence, 1), {.writes = {{states[0], [](const WriteBatch&) {}}}},
                              tap);
              }),
              "cannot write blocks.0.state of Golden: it is one a sequence, and is carried on elsewhere; "
              "write another "
              "site");
}

// Attention has keys and values, a gated convolution its last inputs: neither is a state.
TEST(States, AreNotThereWithoutARecurrence) {
    for (const char* name : {"llama", "lfm2"})
        EXPECT_TRUE(state_sites(*Model::open(golden_model(name)).make_engine(with_states())).empty()) << name;
}

}  // namespace
}  // namespace tomograph
