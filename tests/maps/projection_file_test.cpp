// Projections as they are stored: what comes back, and what does not fit and is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/open_run.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/maps/projection.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// A PCA of a run on disk, and what happens when its file is changed.
class ProjectionFile : public testing::Test {
  protected:
    void SetUp() override { sketch_.write(folder_ / "run"); }
    tomograph::Run run() const { return open_run(folder_ / "run"); }
    fs::path file() const { return folder_ / "run/projections/map.safetensors"; }
    fs::path described() const { return folder_ / "run/projections/map.json"; }

    Projection save(LayerOrder order = LayerOrder::given) const {
        ProjectionOptions options{.dims = 3};
        options.selection.components = {Component::attn_out, Component::mlp_out};
        options.selection.layer_order = order;
        const auto of = run();
        Projection projection = project_pca(of, "map", options);
        save_projection(of, projection);
        return projection;
    }
    /// Write the file again with tensors or metadata changed.
    struct Contents {
        std::map<std::string, TensorSpec> specs;
        std::map<std::string, std::string> bytes, metadata;
        void set(const std::string& name, const Matrix& values) {
            specs[name] = {name, Dtype::f32, {values.rows(), values.cols()}};
            bytes[name].assign(reinterpret_cast<const char*>(values.data()),
                               sizeof(float) * static_cast<std::size_t>(values.size()));
        }
        void set(const std::string& name, const std::vector<std::int32_t>& values) {
            specs[name] = {name, Dtype::i32, {static_cast<std::int64_t>(values.size())}};
            bytes[name].assign(reinterpret_cast<const char*>(values.data()),
                               sizeof(std::int32_t) * values.size());
        }
    };
    void change(const std::function<void(Contents&)>& edit) const {
        Contents contents;
        {
            const Safetensors old(file());
            contents.metadata = old.metadata();
            for (const auto& [name, tensor] : old.tensors()) {
                contents.specs[name] = {name, tensor.dtype, tensor.shape};
                contents.bytes[name].assign(reinterpret_cast<const char*>(tensor.bytes.data()),
                                            tensor.bytes.size());
            }
        }
        edit(contents);
        std::vector<TensorData> tensors;
        for (const auto& [name, spec] : contents.specs)
            tensors.push_back({spec, contents.bytes[name].data()});
        write_safetensors(file(), tensors, contents.metadata);
    }
    void describe(const std::function<void(Json&)>& edit) const {
        Json json = read_json(described());
        edit(json);
        write_json(described(), json);
    }
    std::string error() const {
        const auto of = run();
        return error_of([&] { load_projection(of, "map"); });
    }
    std::string unfit(const std::string& why) const {
        return file().string() + " does not fit its run: " + why + "; project again";
    }

    TempFolder folder_;
    RunSketch sketch_;
};

TEST_F(ProjectionFile, ComesBackAsItWas) {
    const Projection saved = save(), loaded = load_projection(run(), "map");
    EXPECT_EQ(loaded.points, saved.points);
    EXPECT_EQ(loaded.info, saved.info);
    EXPECT_EQ(loaded.labels.component, saved.labels.component);
    EXPECT_EQ(loaded.labels.layer, saved.labels.layer);
    EXPECT_EQ(loaded.labels.position, saved.labels.position);
    EXPECT_EQ(loaded.labels.token, saved.labels.token);
    EXPECT_EQ(loaded.labels.sequence, saved.labels.sequence);
    EXPECT_EQ(loaded.labels.label, saved.labels.label);
    EXPECT_EQ(loaded.labels.norm, saved.labels.norm);
    EXPECT_FALSE(loaded.labels.renumbered());
    ASSERT_TRUE(loaded.pca.has_value());
    EXPECT_EQ(loaded.pca->components, saved.pca->components);
    EXPECT_EQ(loaded.pca->mean, saved.pca->mean);
    EXPECT_EQ(loaded.pca->explained_variance, saved.pca->explained_variance);
}

TEST_F(ProjectionFile, KeepsTrueLayersBesideAControlsNumbers) {
    save(LayerOrder::reversed);
    const Projection loaded = load_projection(run(), "map");
    ASSERT_TRUE(loaded.labels.renumbered());
    EXPECT_EQ(loaded.labels.layer[0], 2);
    EXPECT_EQ(loaded.labels.site(0), (Site{Component::attn_out, 0}));
    change([](auto& c) { c.set("true_layer", std::vector<std::int32_t>(78, 3)); });
    EXPECT_EQ(error(), unfit("its rows are not ones that the run has"));
}

// A later version with a component more, between those of today.
TEST_F(ProjectionFile, GoesByItsOwnListOfComponents) {
    const Projection saved = save();
    change([](auto& c) { c.metadata["components"] = "mlp_out,gate,attn_out"; });
    change([&](auto& c) {
        std::vector<std::int32_t> indices;
        for (const Component component : saved.labels.component)
            indices.push_back(component == Component::attn_out ? 2 : 0);
        c.set("component", indices);
    });
    EXPECT_EQ(load_projection(run(), "map").labels.component, saved.labels.component);
    change([](auto& c) { c.set("component", std::vector<std::int32_t>(78, 1)); });
    EXPECT_EQ(error(), file().string() + " holds an unknown component, 'gate'; update tomograph");
    change([](auto& c) { c.set("component", std::vector<std::int32_t>(78, 3)); });
    EXPECT_EQ(error(), unfit("a row has component 3, and the file lists 3"));
    change([](auto& c) { c.metadata.clear(); });
    EXPECT_EQ(error(),
              file().string() + " cannot be read: its metadata has no list of components; project again");
}

TEST_F(ProjectionFile, RefusesABasisOfAnotherWidth) {
    save();
    change([](auto& c) { c.set("basis", Matrix::Identity(3, 4000)); });
    EXPECT_EQ(error(), unfit("its basis is of dimension 4000, its mean of dimension 6"));
    change([](auto& c) { c.set("mean", Matrix::Zero(4000, 1)); });
    EXPECT_EQ(error(), unfit("its basis is of dimension 4000, the run's attn_out of dimension 6"));
}

TEST_F(ProjectionFile, RefusesAMeanOfAnotherWidth) {
    save();
    change([](auto& c) { c.set("mean", Matrix::Zero(2, 1)); });
    EXPECT_EQ(error(), unfit("its basis is of dimension 6, its mean of dimension 2"));
}

TEST_F(ProjectionFile, RefusesMoreAxesThanPointsHave) {
    save();
    change([](auto& c) { c.set("basis", Matrix::Identity(5, 6)); });
    EXPECT_EQ(error(), unfit("its basis has 5 axes, its points 3"));
}

TEST_F(ProjectionFile, RefusesFewerVariancesThanAxes) {
    save();
    describe([](Json& json) { json["explained_variance"] = {1.0}; });
    EXPECT_EQ(error(), unfit("it has 3 axes, and says what 1 and 3 of them explain"));
    describe([](Json& json) { json["explained_variance"] = "much"; });
    EXPECT_EQ(error().substr(0, described().string().size() + 16), described().string() + " cannot be read:");
    describe([](Json& json) { json.erase("total_variance"); });
    EXPECT_NE(error().find("cannot be read"), std::string::npos);
    write_json(described(), Json::array());
    EXPECT_EQ(error(), described().string() + " cannot be read: it holds no JSON object");
}

TEST_F(ProjectionFile, RefusesRowsThatTheRunHasNot) {
    for (const auto& [column, most] :
         {std::pair{"row", 13}, {"layer", 3}, {"position", 5}, {"sequence", 3}, {"label", 0}}) {
        save();
        change([&](auto& c) { c.set(column, std::vector<std::int32_t>(78, most)); });
        EXPECT_EQ(error(), unfit("its rows are not ones that the run has")) << column;
        change([&](auto& c) { c.set(column, std::vector<std::int32_t>(78, -2)); });
        EXPECT_EQ(error(), unfit("its rows are not ones that the run has")) << column;
        change([&](auto& c) { c.set(column, std::vector<std::int32_t>(77, 0)); });
        EXPECT_EQ(error(), unfit("its rows are not ones that the run has")) << column;
    }
}

TEST_F(ProjectionFile, RefusesPointsThatAreNotFinite) {
    Projection projection = save();
    projection.points(4, 1) = std::numeric_limits<float>::quiet_NaN();
    const auto of = run();
    EXPECT_EQ(error_of([&] { save_projection(of, projection); }),
              "projection 'map' is not written: its points hold NaN or Inf");
    change([&](auto& c) { c.set("points", projection.points); });
    EXPECT_EQ(error(), unfit("its points hold NaN or Inf"));
}

TEST_F(ProjectionFile, IsFoundUnderPlainNamesOnly) {
    const auto of = run();
    EXPECT_EQ(
        error_of([&] { load_projection(of, "../run/projections/map"); }),
        "'../run/projections/map' cannot name a projection: it becomes a file's name; use letters, digits, "
        "- and _");
    EXPECT_EQ(error_of([&] { load_projection(of, "none"); }),
              "no projection 'none' in " + (folder_ / "run").string() +
                  ": it has none; make one with: tomograph project");
    save();
    EXPECT_EQ(error_of([&] { load_projection(of, "none"); }),
              "no projection 'none' in " + (folder_ / "run").string() +
                  ": it has map; make one with: tomograph project");
}

TEST_F(ProjectionFile, SaysWhyItCannotBeWritten) {
    const auto of = run();
    std::ofstream(folder_ / "run/projections") << "in the way";
    EXPECT_EQ(error_of([&] { save(); }),
              "cannot create " + (folder_ / "run/projections").string() + ": Not a directory");
    fs::remove(folder_ / "run/projections");
    const FileSizeLimit full(100);
    const std::string why = error_of([&] { save(); });
    EXPECT_EQ(why.substr(0, 7), "cannot ") << why;
    EXPECT_TRUE(projection_names(of).empty());
}

TEST_F(ProjectionFile, LendsItsBasis) {
    save();
    ProjectionOptions options{.dims = 2, .basis_of = "map"};
    options.selection.components = {Component::mlp_out};
    const auto of = run();
    const Projection lent = project_pca(of, "lent", options);
    EXPECT_EQ(lent.pca->n_components(), 2);
    const Projection whole = load_projection(of, "map");
    EXPECT_TRUE(lent.points.row(0).isApprox(whole.points.row(13).head(2), 1e-4f));
    save_projection(of, lent);
    EXPECT_EQ(load_projection(of, "lent").points, lent.points);
    options.selection.components = {Component::router};
    EXPECT_EQ(error_of([&] { project_pca(of, "other", options); }),
              "cannot project rows of dimension 4: the PCA was fitted to dimension 6");
}

}  // namespace
}  // namespace tomograph
