#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/select/selection.h"

namespace tomograph::test {

inline Matrix read_all(const RowSource& rows) {
    Matrix values(rows.n_rows(), rows.dim());
    rows.read(0, rows.n_rows(), values.data());
    return values;
}

/// A run by hand, and selections of it.
class SelectRows : public testing::Test {
  protected:
    const tomograph::Run& run() {
        if (!run_) {
            sketch_.write(folder_ / "run");
            run_ = open_run(folder_ / "run");
        }
        return *run_;
    }
    std::string path() const { return (folder_ / "run").string(); }
    std::string error(const Selection& selection) {
        return error_of([&] { select(run(), selection); });
    }
    std::vector<std::int32_t> tokens_of(const Selection& selection) {
        return select(run(), selection).labels().token;
    }

    static Selection of(std::vector<Component> components) {
        Selection selection;
        selection.components = std::move(components);
        return selection;
    }
    static Selection attention() { return of({Component::attn_out}); }
    static Selection embeddings() { return of({Component::embed}); }

    TempFolder folder_;
    RunSketch sketch_;
    std::optional<tomograph::Run> run_;
};

}  // namespace tomograph::test
