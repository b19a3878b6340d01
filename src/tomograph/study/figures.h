#pragma once
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/base/threads.h"
#include "tomograph/store/run.h"
#include "tomograph/study/study.h"

namespace tomograph {

/// "figures/NAME.png".
inline std::string study_figure(const std::string& name) {
    return "figures/" + name + ".png";
}

/// Draws a study's figures (figures.cpp; those of norms and tokens in norm_figures.cpp). A figure
/// that a model cannot have (no learned positions, one layer only) is left out; one whose data are constant
/// is replaced by a caption that says so; one that cannot be drawn costs no other.
class StudyFigures {
  public:
    StudyFigures(std::filesystem::path study, int threads, std::uint64_t seed, Progress& progress)
        : study_(std::move(study)), threads_(thread_count(threads)), seed_(seed), progress_(progress) {}

    /// Attention against MLP, paths, position structure, norms; `twin`: an untrained one's, or null.
    void text(const Run& run, const Run* twin);
    void repeat(const Run& run);     ///< norms and position structure of one repeated token
    void positions(const Run& run);  ///< position table, or what rotary positions leave
    /// Token embeddings, histogram of norms; `other`: the same tokens read with a start token where `run`
    /// has none, or without one, or null.
    void vocabulary(const Run& run, const Run* other);

    /// Waits until all have been drawn. Before it the two below are not final.
    void finish();
    const std::vector<Figure>& figures() const { return figures_; }
    /// "figures/NAME.png was not drawn: why".
    const std::vector<std::string>& failed() const { return failed_; }
    /// Variance explained by the first two components of the raw attention-against-MLP projection.
    std::optional<double> variance_explained() const { return variance_explained_; }
    /// Numbers of the pictures, for study.json: an object a figure.
    const Json& numbers() const { return numbers_; }

  private:
    void attention_against_mlp(const Run& run);
    void attention_against_mlp_umap(const Run& run);
    void layer_paths(const Run& run);
    void layerwise(const Run& run);
    void position_structure(const Run& run, const std::string& prefix, const std::string& group,
                            const std::string& label = "");
    /// The same averaged over the states after attention's and the MLP's addition, where a block has both.
    void pooled_positions(const Run& run, const std::string& prefix, const std::string& group);
    void draw_positions(const Run& run, const std::vector<Component>& components, const std::string& prefix,
                        const std::string& group, const std::string& label);
    void norm_by_layer(const Run& run, const Run* twin);
    void norm_by_position(const Run& run, const std::string& file, const std::string& group,
                          const std::string& what);
    /// A figure that `draw` makes, which owns what it needs: on another thread, while what comes next is
    /// computed. One that it cannot make is kept among the failed.
    void add(const std::string& file, const std::string& group, const std::string& caption,
             std::function<void(const std::filesystem::path& file)> draw);
    void collect();
    /// What stands in a figure's place.
    void say(const std::string& group, const std::string& text);

    std::filesystem::path study_;
    int threads_;
    std::uint64_t seed_;
    Progress& progress_;
    struct Drawing {
        std::size_t figure;  ///< index into figures_
        std::future<void> done;
    };
    std::vector<Figure> figures_;
    std::deque<Drawing> drawing_;
    std::vector<std::string> failed_;
    std::optional<double> variance_explained_;
    Json numbers_ = Json::object();
};

}  // namespace tomograph
