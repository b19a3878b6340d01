// Other rows of a run on the axes of one of its maps.
#include "tomograph/serve/other_rows.h"

#include <gtest/gtest.h>

#include <cstring>

#include "served_run.h"
#include "support/errors.h"

namespace tomograph {
namespace {

using namespace test;

class Others : public testing::Test {
  protected:
    using Run = tomograph::Run;  // and not gtest's
    Run run_ = Run::open(ServedRun::instance().path());
    Placer placer_;

    Projection lay_out(const Projection& map, const std::string& name) {
        return lay_out_others(run_, map, name, *parse_other_rows(name), placer_, name);
    }
};

TEST(OtherRowsNamed, SaysWhoseAxesAndWhichRows) {
    EXPECT_FALSE(parse_other_rows("pair"));
    const auto others = parse_other_rows("pair@attn_out,resid_post@1:3");
    ASSERT_TRUE(others);
    EXPECT_EQ(others->map, "pair");
    EXPECT_EQ(others->components, (std::vector{Component::attn_out, Component::resid_post}));
    EXPECT_EQ(others->layers, (Range{1, 3}));
    EXPECT_EQ(map_of("pair@mlp_out@1"), "pair");
    EXPECT_EQ(map_of("pair"), "pair");
    for (const char* bad : {"pair@", "pair@mlp_out", "@mlp_out@1", "../up@mlp_out@1", "pair@nope@1",
                            "pair@mlp_out@x", "pair@mlp_out@1@2", "a/b"})
        EXPECT_FALSE(error_of([&] { map_of(bad); }).empty()) << bad;
}

TEST_F(Others, LieWhereTheFittedBasisPutsThem) {
    const Projection map = load_projection(run_, "pair"), others = lay_out(map, "pair@resid_post@2");
    ASSERT_EQ(others.points.rows(), run_.n_rows());
    ASSERT_EQ(others.points.cols(), map.points.cols());
    Matrix rows(run_.n_rows(), run_.d_model());
    run_.read_rows({Component::resid_post, 2}, 0, run_.n_rows(), rows.data());
    const MatrixD wanted = (rows.rowwise() - map.pca->mean.transpose()).cast<double>() *
                           map.pca->components.cast<double>().transpose();
    EXPECT_LT((others.points.cast<double>() - wanted).cwiseAbs().maxCoeff(),
              1e-4 * wanted.cwiseAbs().maxCoeff());
    EXPECT_EQ(others.info.at("basis_of"), "pair");
    EXPECT_EQ(others.info.at("fitted_variance_ratio"), map.info.at("explained_variance_ratio"));
    // Of these rows' own variance, and not of those that were fitted.
    const double total = (rows.rowwise() - rows.colwise().mean()).cast<double>().squaredNorm();
    const VectorD first = wanted.col(0).array() - wanted.col(0).mean();
    EXPECT_NEAR(others.info["explained_variance_ratio"][0].get<double>(), first.squaredNorm() / total, 1e-4);
}

TEST_F(Others, OwnRowsFallOnTheirOwnPoints) {
    const Projection map = load_projection(run_, "pair"), others = lay_out(map, "pair@attn_out@1");
    std::int64_t row = 0;
    for (std::size_t i = 0; i < map.labels.token.size(); ++i) {
        if (map.labels.site(static_cast<std::int64_t>(i)) != Site{Component::attn_out, 1}) continue;
        ASSERT_EQ(others.labels.token[static_cast<std::size_t>(row)], map.labels.token[i]);
        EXPECT_LT((others.points.row(row++) - map.points.row(static_cast<Eigen::Index>(i))).norm(), 1e-3);
    }
    EXPECT_EQ(row, others.points.rows());
}

TEST_F(Others, AreOfTheMapsOwnTokens) {
    ProjectionOptions options;
    options.selection = {
        .components = {Component::attn_out, Component::mlp_out}, .positions = {1, {}}, .rows = 170};
    const Projection map = project_pca(run_, "some", options), others = lay_out(map, "some@resid_post@:");
    const auto tokens = [](const Projection& of) {
        return std::set(of.labels.token.begin(), of.labels.token.end());
    };
    EXPECT_EQ(tokens(map).size(), 21u);
    EXPECT_EQ(tokens(others), tokens(map));
    EXPECT_EQ(others.points.rows(), 21 * 4);
    EXPECT_FALSE(others.info.contains("notes"));
}

TEST_F(Others, OfAveragesAreAverages) {
    ProjectionOptions options;
    options.selection.components = {Component::resid_post};
    options.selection.mean_samples = true;
    const Projection map = project_pca(run_, "mean", options), others = lay_out(map, "mean@mlp_out@3");
    EXPECT_EQ(others.points.rows(), 32);
    EXPECT_EQ(others.labels.token.front(), -1);
}

TEST_F(Others, OnAUmapStandWhereTheirNeighboursDo) {
    UmapProjectionOptions options;
    options.selection.components = {Component::mlp_out};
    options.umap.n_epochs = 20;
    const Projection map = project_umap(run_, "near", options), others = lay_out(map, "near@attn_out@0:2");
    EXPECT_EQ(others.points.rows(), 2 * run_.n_rows());
    EXPECT_TRUE(others.points.allFinite());
    EXPECT_LE(others.points.cwiseAbs().maxCoeff(), map.points.cwiseAbs().maxCoeff());
    EXPECT_NE(others.info.at("notes").dump().find("5 nearest of the map"), std::string::npos);
}

TEST_F(Others, WhatTheRunLacksIsRefused) {
    const Projection map = load_projection(run_, "pair");
    EXPECT_NE(error_of([&] { lay_out(map, "pair@attn_out@9"); }), "");
    EXPECT_NE(error_of([&] { lay_out(map, "pair@router@:"); }), "");
}

TEST(OtherRowsServed, AreAProjectionLikeAnyOther) {
    const Server server({ServedRun::instance().path()});
    const Json header = server.json("/api/runs/0/projections/pair@resid_post@2");
    EXPECT_EQ(header.at("n"), 128);
    EXPECT_EQ(header.at("segments"), Json::parse(R"([["resid_post", 2, 128, 0]])"));
    EXPECT_EQ(header.at("info").at("basis_of"), "pair");
    EXPECT_EQ(header.at("version"), server.json("/api/runs/0/projections/pair").at("version"));
    EXPECT_FALSE(server.json("/api/runs/0/projections/pair").contains("info"));
    const std::string path = "/api/runs/0/projections/pair@resid_post@2";
    const auto axis = server.client().Get(path + "/axis1");
    ASSERT_TRUE(axis);
    EXPECT_EQ(axis->body.size(), 4u * 128);
    const Json near = server.json(path + "/nearest?row=5&k=3");
    EXPECT_EQ(near.at("n_searched"), 128);
    EXPECT_EQ(server.json(path + "/way?token=7&component=mlp_out").at("layers").size(), 4u);
    EXPECT_EQ(server.json("/api/manifest")["runs"][0]["projections"].size(), 1u) << "nothing is kept of it";
    EXPECT_EQ(server.json("/api/manifest")["runs"][0]["layers"], Json::parse("[0, 1, 2, 3]"));
    for (const char* bad : {"pair@resid_post@7", "pair@nothing@1", "gone@resid_post@1", "pair@resid_post"})
        EXPECT_EQ(server.client().Get(std::string("/api/runs/0/projections/") + bad)->status, 422) << bad;
}

}  // namespace
}  // namespace tomograph
