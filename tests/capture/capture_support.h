#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/capture/capture.h"
#include "tomograph/model/model.h"
#include "tomograph/store/run.h"

namespace tomograph::test {

/// Means by position in float64.
inline Matrix means_by_position(const Matrix& values, const TokenTable& tokens, std::int64_t length,
                                std::int32_t outside) {
    MatrixD sums = MatrixD::Zero(length, values.cols());
    VectorD counts = VectorD::Zero(length);
    for (Eigen::Index t = 0; t < values.rows(); ++t) {
        const auto i = static_cast<std::size_t>(t);
        if (outside >= 0 && tokens.label[i] == outside) continue;
        sums.row(tokens.position[i]) += values.row(t).cast<double>();
        counts[tokens.position[i]] += 1;
    }
    return (counts.cwiseInverse().asDiagonal() * sums).cast<float>();
}

/// Sequences of these lengths, with tokens by seed.
inline PromptSet random_prompts(const std::vector<std::int64_t>& lengths) {
    PromptSet set;
    for (const std::int64_t length : lengths)
        set.sequences.push_back(random_sequence(length, 256, 50 + set.sequences.size()));
    set.description = {
        {"kind", "text"}, {"sequences", lengths.size()}, {"length", *std::ranges::max_element(lengths)}};
    return set;
}

/// Stops as soon as `tokens` are done; never for a negative number.
class StopAfter final : public Progress {
  public:
    explicit StopAfter(std::int64_t tokens) : tokens_(tokens) {}
    void update(std::int64_t done) override { done_ = done; }
    bool stop_requested() const override { return done_ >= tokens_; }

  private:
    std::int64_t tokens_;
    std::int64_t done_ = 0;
};

/// Every file below `folder` and its bytes.
inline std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file())
            files[std::filesystem::relative(entry.path(), folder).string()] = read_file(entry.path());
    }
    return files;
}

inline std::set<std::string> names_of(const std::filesystem::path& folder) {
    std::set<std::string> names;
    for (const auto& [name, bytes] : files_of(folder)) names.insert(name);
    return names;
}

/// A capture of a few sequences by the golden Llama, into a folder of its own.
class Capture : public testing::Test {
  protected:
    // One thread: these models are too small to share, and tests run side by side.
    static CaptureOptions options() {
        CaptureOptions options;
        options.threads = 1;
        options.dtype = Dtype::f32;
        return options;
    }
    tomograph::Run take(const CaptureOptions& how) {
        summary_ = capture(model_, prompts_, out(), how, no_progress());
        return open_run(out());
    }
    std::string error(const CaptureOptions& how) {
        return error_of([&] { capture(model_, prompts_, out(), how, no_progress()); });
    }
    std::filesystem::path out() const { return folder_ / "run"; }

    /// What the engine shows of the same prompts, in batches as the capture makes them.
    Recording tapped() const {
        const auto engine =
            model_.make_engine({.max_length = longest_length(prompts_.sequences), .threads = 1});
        Recording all;
        for (std::span<const Sequence> rest = prompts_.sequences; !rest.empty();) {
            const std::size_t n = engine->next_batch(rest);
            for (const auto& [site, values] : record(*engine, rest.first(n))) {
                Matrix& rows = all[site];
                rows.conservativeResize(rows.rows() + values.rows(), values.cols());
                rows.bottomRows(values.rows()) = values;
            }
            rest = rest.subspan(n);
        }
        return all;
    }

    static Matrix rows_of_site(const tomograph::Run& run, const SiteShape& site) {
        Matrix rows(run.n_rows(), site.width());
        run.read_rows(site.site, 0, run.n_rows(), rows.data());
        return rows;
    }

    TempFolder folder_;
    Model model_ = Model::open(golden_model("llama"));
    PromptSet prompts_ = random_prompts({9, 5, 1, 12, 9});
    CaptureSummary summary_;
};

class CaptureShards : public Capture {
  protected:
    // Batches of 256, 256 and 88 sequences.
    CaptureShards() { prompts_ = random_prompts(std::vector<std::int64_t>(600, 2)); }
    static CaptureOptions one_batch_a_shard() {
        CaptureOptions how = options();
        how.shard_bytes = 1;
        return how;
    }
};

class CaptureStopped : public CaptureShards {
  protected:
    std::string stop_after(std::int64_t tokens, CaptureOptions how) {
        StopAfter progress(tokens);
        try {
            capture(model_, prompts_, out(), how, progress);
        } catch (const Stopped& stopped) {
            return stopped.what();
        }
        return "it was not stopped";
    }
};

}  // namespace tomograph::test
