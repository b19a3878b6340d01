// What a page is told of tokens.
#include "tomograph/serve/columns.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/run_folder.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

using namespace test;

class ToldTokens : public testing::Test {
  protected:
    ToldTokens() {
        sketch_.lengths = {5};
        sketch_.pieces = {" a", "b", " a", "", "b"};
    }
    std::vector<std::int32_t> kinds() {
        sketch_.write(folder_ / "run");
        run_.emplace(tomograph::Run::open(folder_ / "run"));
        const ColumnPtr column = token_columns(*run_).columns.at("token_id");
        EXPECT_EQ(column->dtype, "i32");
        std::vector<std::int32_t> values(column->bytes.size() / sizeof(std::int32_t));
        std::memcpy(values.data(), column->bytes.data(), column->bytes.size());
        return values;
    }

    RunSketch sketch_;
    TempFolder folder_;
    std::optional<tomograph::Run> run_;
};

TEST_F(ToldTokens, WithoutIdsAreToldApartByTheirText) {
    sketch_.token_ids = {-1, -1, -1, -1, -1};
    EXPECT_EQ(kinds(), (std::vector<std::int32_t>{-2, -3, -2, -1, -3}));
    EXPECT_EQ(vocabulary_of(*run_), (Json{{-3, "b"}, {-2, " a"}}));
}

TEST_F(ToldTokens, KeepTheIdsThatTheyHave) {
    sketch_.token_ids = {7, -1, 7, -1, 70000};
    EXPECT_EQ(kinds(), (std::vector<std::int32_t>{7, -2, 7, -1, 70000}));
    EXPECT_EQ(vocabulary_of(*run_), (Json{{-2, "b"}, {7, " a"}, {70000, "b"}}));
}

}  // namespace
}  // namespace tomograph
