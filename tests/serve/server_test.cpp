#include "tomograph/serve/server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numeric>
#include <vector>

#include "served_run.h"
#include "support/errors.h"

namespace tomograph {
namespace {

using namespace test;

class View : public testing::Test {
  protected:
    Server server_{{ServedRun::instance().path()}};

    int status(const std::string& path, const httplib::Headers& headers = {}) const {
        const auto answer = server_.client().Get(path, headers);
        return answer ? answer->status : -1;
    }
    static Json request(const std::string& name) {
        return {{"run", 0},
                {"name", name},
                {"method", "pca"},
                {"dims", 3},
                {"selection", {{"components", {"mlp_out"}}}}};
    }
    Json wait(int id) const {
        for (int i = 0; i < 600; ++i) {
            const Json job = server_.json("/api/jobs/" + std::to_string(id));
            if (job.value("state", "") != "running") return job;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return {};
    }
};

// What is answered

TEST_F(View, ManifestListsRunAndProjection) {
    const Json manifest = server_.json("/api/manifest");
    ASSERT_EQ(manifest.at("runs").size(), 1u);
    const Json& run = manifest["runs"][0];
    EXPECT_EQ(run["n_tokens"], 128);
    EXPECT_EQ(run["projections"][0]["name"], "pair");
    EXPECT_EQ(run["complete"], true);
    EXPECT_FALSE(run["model"].contains("path")) << "the page needs no path of this machine";
}

TEST_F(View, AxisIsTheProjectionsColumn) {
    const auto answer = server_.client().Get("/api/runs/0/projections/pair/axis1");
    ASSERT_TRUE(answer);
    const Projection projection = load_projection(tomograph::Run::open(ServedRun::instance().path()), "pair");
    const auto n = static_cast<std::size_t>(projection.points.rows());
    ASSERT_EQ(answer->body.size(), 4 * n);
    std::vector<float> values(n);
    std::memcpy(values.data(), answer->body.data(), answer->body.size());
    for (std::size_t i = 0; i < n; ++i)
        ASSERT_EQ(values[i], projection.points(static_cast<Eigen::Index>(i), 1));
    EXPECT_EQ(answer->get_header_value("Content-Type"), "application/octet-stream");
}

TEST_F(View, SegmentsAndStepsGiveBackEveryRowsLabels) {
    const Json header = server_.json("/api/runs/0/projections/pair");
    const auto steps = server_.client().Get("/api/runs/0/projections/pair/token");
    ASSERT_TRUE(steps);
    const Projection projection = load_projection(tomograph::Run::open(ServedRun::instance().path()), "pair");
    std::size_t row = 0;
    for (const Json& segment : header.at("segments")) {
        std::int32_t token = segment[3];
        for (int i = 0; i < segment[2].get<int>(); ++i, ++row) {
            std::uint16_t step;
            std::memcpy(&step, steps->body.data() + 2 * row, 2);
            token += step;
            ASSERT_EQ(token, projection.labels.token[row]);
            ASSERT_EQ(segment[0].get<std::string>(), component_name(projection.labels.component[row]));
            ASSERT_EQ(segment[1], projection.labels.layer[row]);
        }
    }
    EXPECT_EQ(row, projection.labels.token.size());
}

TEST_F(View, NormsSurviveTheirCodes) {
    const Json header = server_.json("/api/runs/0/projections/pair");
    const auto codes = server_.client().Get("/api/runs/0/projections/pair/norm");
    ASSERT_TRUE(codes);
    const Projection projection = load_projection(tomograph::Run::open(ServedRun::instance().path()), "pair");
    const double low = header["norm"]["low"], high = header["norm"]["high"];
    for (std::size_t i = 0; i < projection.labels.norm.size(); ++i) {
        std::uint16_t code;
        std::memcpy(&code, codes->body.data() + 2 * i, 2);
        ASSERT_NEAR(low * std::pow(high / low, code / 65534.0) / projection.labels.norm[i], 1, 3e-4);
    }
}

TEST_F(View, PointsCostAtMost32BytesWithTwoPositionSets) {
    const Json header = server_.json("/api/runs/0/projections/pair");
    const double n = header["n"];
    double bytes = 2 * 12 * n;
    for (const auto& [name, column] : header["columns"].items())
        if (!name.starts_with("axis")) bytes += column["bytes"].get<double>();
    const Json tokens = server_.json("/api/runs/0/tokens");
    for (const auto& [name, column] : tokens["columns"].items()) bytes += column["bytes"].get<double>();
    EXPECT_LE(bytes / n, 32);
}

TEST_F(View, RangesAnswerWithTheirPart) {
    const auto whole = server_.client().Get("/api/runs/0/projections/pair/axis0");
    const auto part =
        server_.client().Get("/api/runs/0/projections/pair/axis0", httplib::Headers{{"Range", "bytes=8-23"}});
    ASSERT_TRUE(whole && part);
    EXPECT_EQ(part->status, 206);
    EXPECT_EQ(part->body, whole->body.substr(8, 16));
    EXPECT_EQ(status("/api/runs/0/projections/pair/axis0", {{"Range", "bytes=999999999-"}}), 416);
}

TEST_F(View, EtagSavesTheSecondTransfer) {
    const auto first = server_.client().Get("/api/runs/0/projections/pair/axis0");
    ASSERT_TRUE(first);
    const std::string etag = first->get_header_value("ETag");
    ASSERT_FALSE(etag.empty());
    const auto again =
        server_.client().Get("/api/runs/0/projections/pair/axis0", httplib::Headers{{"If-None-Match", etag}});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->status, 304);
    EXPECT_TRUE(again->body.empty());
    EXPECT_NE(etag, server_.client().Get("/api/runs/0/projections/pair/axis1")->get_header_value("ETag"));
}

TEST_F(View, NormMapHasLayersTimesLength) {
    const auto map = server_.client().Get("/api/runs/0/norms/mlp_out");
    ASSERT_TRUE(map);
    EXPECT_EQ(map->body.size(), 4u * 4u * 32u);
}

TEST_F(View, NearestAgreesWithComparingAll) {
    const Json answer = server_.json("/api/runs/0/projections/pair/nearest?row=100&k=5");
    const tomograph::Run run = tomograph::Run::open(ServedRun::instance().path());
    Selection selection;
    selection.components = {Component::attn_out, Component::mlp_out};
    const SelectedRows rows = select(run, selection);
    Matrix all(rows.n_rows(), rows.dim());
    rows.read(0, rows.n_rows(), all.data());
    const Vector distances = (all.rowwise() - all.row(100)).rowwise().norm();
    std::vector<std::int64_t> order(static_cast<std::size_t>(rows.n_rows()));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return distances[a] < distances[b]; });
    std::erase(order, 100);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(answer["rows"][i], order[i]);
    EXPECT_EQ(answer["n_searched"], rows.n_rows());
}

// What is refused

TEST_F(View, OtherHostNamesAreRefused) {
    const std::string port = std::to_string(server_.port());
    EXPECT_EQ(status("/api/manifest", {{"Host", "127.0.0.1:" + port}}), 200);
    EXPECT_EQ(status("/api/manifest", {{"Host", "localhost:" + port}}), 200);
    EXPECT_EQ(status("/api/manifest", {{"Host", "evil.example:" + port}}), 403);
    EXPECT_EQ(status("/api/manifest", {{"Host", "127.0.0.1.evil.example:" + port}}), 403);
    EXPECT_EQ(status("/api/manifest", {{"Host", "localhost:1"}}), 403);
    EXPECT_EQ(status("/", {{"Host", "evil.example"}}), 403);
}

TEST_F(View, NothingOutsideTheListedFilesIsReachable) {
    for (const char* path :
         {"/../run.json", "/api/../../run.json", "/api/figures/..%2frun.json",
          "/api/figures/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/api/runs/0/projections/..%2f..%2frun",
          "/api/runs/0/projections/..%5c..%5crun", "/api/runs/0/projections/.hidden",
          "/api/runs/0/projections/pair%00.json", "/etc/passwd", "//etc/passwd"}) {
        const auto answer = server_.client().Get(path);
        ASSERT_TRUE(answer) << path;
        EXPECT_GE(answer->status, 400) << path;
        EXPECT_EQ(answer->body.find("root:"), std::string::npos) << path;
        EXPECT_EQ(answer->body.find("\"format\""), std::string::npos) << path;
    }
}

TEST_F(View, PolicyAllowsNoInlineScriptAndNoOtherSite) {
    for (const char* path : {"/", "/api/manifest", "/nothing"}) {
        const auto answer = server_.client().Get(path, httplib::Headers{{"Origin", "http://evil.example"}});
        ASSERT_TRUE(answer);
        const std::string policy = answer->get_header_value("Content-Security-Policy");
        EXPECT_NE(policy.find("script-src 'self';"), std::string::npos) << path;
        EXPECT_EQ(policy.find("unsafe"), std::string::npos) << path;
        EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos) << path;
        EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff") << path;
        EXPECT_FALSE(answer->has_header("Access-Control-Allow-Origin")) << path;
    }
}

TEST_F(View, BodiesAndQueriesHaveLimits) {
    auto client = server_.client();
    const auto body = client.Post("/api/jobs", std::string(1 << 20, ' '), "application/json");
    EXPECT_TRUE(!body || body->status == 413) << "refused by closing or by saying so";
    EXPECT_EQ(status("/api/manifest?" + std::string(3000, 'a')), 414);
    EXPECT_NE(status("/" + std::string(20'000, 'a')), 200);
    EXPECT_EQ(status("/api/runs/0/projections/pair/nearest?row=1&k=1000000"), 400);
    EXPECT_EQ(status("/api/runs/0/projections/pair/nearest?row=x"), 400);
    EXPECT_EQ(status("/api/runs/0/projections/pair/nearest?row=99999999"), 422);
    EXPECT_EQ(status("/api/runs/7/tokens"), 404);
    EXPECT_EQ(status("/api/runs/0/projections/none"), 422);
}

TEST_F(View, OtherSitesCannotStartWork) {
    auto client = server_.client();
    const std::string body = request("stolen").dump();
    EXPECT_EQ(client.Post("/api/jobs", body, "text/plain")->status, 415);
    EXPECT_EQ(
        client
            .Post("/api/jobs", httplib::Headers{{"Origin", "http://evil.example"}}, body, "application/json")
            ->status,
        403);
    EXPECT_EQ(
        client
            .Post("/api/jobs", httplib::Headers{{"Sec-Fetch-Site", "cross-site"}}, body, "application/json")
            ->status,
        403);
    EXPECT_EQ(client.Get("/api/manifest", httplib::Headers{{"Sec-Fetch-Site", "cross-site"}})->status, 403)
        << "nor reading, which costs time";
    EXPECT_EQ(client.Get("/", httplib::Headers{{"Sec-Fetch-Site", "cross-site"}})->status, 200)
        << "a link to the page may stand anywhere";
    EXPECT_EQ(client.Options("/api/jobs")->status, 405);
}

TEST(ViewToken, IsAskedForElsewhereThanLoopback) {
    const Server server({ServedRun::instance().path()}, {.host = "0.0.0.0"});
    const std::string url = server.url();
    const std::size_t at = url.find("?token=");
    ASSERT_NE(at, std::string::npos);
    const std::string token = url.substr(at + 7);
    EXPECT_GE(token.size(), 32u);
    auto client = server.client();
    EXPECT_EQ(client.Get("/api/manifest")->status, 403);
    EXPECT_EQ(client.Get("/api/manifest?token=" + token.substr(1))->status, 403);
    const auto page = client.Get("/api/manifest?token=" + token);
    ASSERT_EQ(page->status, 200);
    const std::string cookie = page->get_header_value("Set-Cookie");
    EXPECT_NE(cookie.find("HttpOnly"), std::string::npos);
    EXPECT_NE(cookie.find("SameSite=Strict"), std::string::npos);
    EXPECT_EQ(
        client
            .Get("/api/manifest", httplib::Headers{{"Cookie", "a=b; " + cookie.substr(0, cookie.find(';'))}})
            ->status,
        200);
    EXPECT_EQ(client.Get("/api/manifest?token=" + token, httplib::Headers{{"Host", "evil.example"}})->status,
              403);
}

TEST(ViewPort, InUseIsSaid) {
    const Server server({ServedRun::instance().path()});
    Catalog catalog({ServedRun::instance().path()});
    ViewServer second(catalog, {.port = server.port()});
    EXPECT_NE(error_of([&] { second.bind(); }).find("the port is in use"), std::string::npos);
}

// Work that a page asks for

TEST_F(View, ProjectionIsMadeAndListed) {
    auto client = server_.client();
    const auto accepted = client.Post("/api/jobs", request("asked").dump(), "application/json");
    ASSERT_EQ(accepted->status, 202) << accepted->body;
    const Json job = wait(Json::parse(accepted->body)["id"]);
    EXPECT_EQ(job["state"], "done") << job.dump();
    EXPECT_EQ(job["saved"], true);
    EXPECT_EQ(server_.json("/api/runs/0/projections/asked")["n"], 4 * 128);
    EXPECT_EQ(client.Post("/api/jobs", request("asked").dump(), "application/json")->status, 422)
        << "the name is taken";
}

TEST_F(View, UmapSaysHowFarToBelieveIt) {
    Json umap = request("map");
    umap["method"] = "umap";
    umap["selection"]["rows"] = 200;
    const auto accepted = server_.client().Post("/api/jobs", umap.dump(), "application/json");
    ASSERT_EQ(accepted->status, 202) << accepted->body;
    EXPECT_EQ(wait(Json::parse(accepted->body)["id"])["state"], "done");
    const Json manifest = server_.json("/api/manifest");
    for (const Json& projection : manifest["runs"][0]["projections"]) {
        if (projection["name"] != "map") continue;
        EXPECT_GT(projection["info"]["trustworthiness"], 0.5);
        EXPECT_GT(projection["info"]["knn_recall"], 0);
        EXPECT_EQ(projection["info"]["umap"]["n_neighbors"], 15);
        EXPECT_EQ(projection["info"]["n_rows"], 200);
        EXPECT_EQ(projection["info"]["n_candidates"], 512);
    }
}

TEST_F(View, BrokenRequestsStartNothing) {
    auto client = server_.client();
    const auto post = [&](const std::string& body) {
        return client.Post("/api/jobs", body, "application/json")->status;
    };
    EXPECT_EQ(post("{"), 400);
    EXPECT_EQ(post("[]"), 422);
    EXPECT_EQ(post(R"({"name":"../x"})"), 422);
    EXPECT_EQ(post(R"({"name":"x","method":"tsne"})"), 422);
    EXPECT_EQ(post(R"({"name":"x","dims":100000})"), 422);
    EXPECT_EQ(post(R"({"name":"x","dims":"many"})"), 422);
    EXPECT_EQ(post(R"({"name":"x","method":"umap","n_neighbors":5000})"), 422);
    EXPECT_EQ(post(R"({"name":"x","selection":{"components":["nose"]}})"), 422);
    EXPECT_EQ(status("/api/jobs/1"), 422);
}

TEST(ViewLimits, RowsAreCappedByTheServer) {
    const ProjectionRequest request = parse_request(
        {{"name", "x"}, {"method", "umap"}, {"selection", {{"rows", 1'000'000'000}}}}, {.umap_rows = 5000});
    EXPECT_EQ(request.selection.rows, 5000);
    EXPECT_EQ(parse_request({{"name", "x"}}, {.pca_rows = 777}).selection.rows, 777);
}

// Folders that are not whole

TEST(ViewFolder, DeletedWhileOpenIsSaid) {
    TempFolder folder;
    std::filesystem::copy(ServedRun::instance().path(), folder / "gone",
                          std::filesystem::copy_options::recursive);
    const Server server({folder / "gone"});
    std::filesystem::remove_all(folder / "gone");
    const auto answer = server.client().Get("/api/runs/0/projections/pair");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 422);
    EXPECT_NE(answer->body.find("folder is gone"), std::string::npos);
    EXPECT_EQ(server.json("/api/manifest")["runs"][0]["present"], false);
}

TEST(ViewFolder, ARunUnderWayIsLookedAtAnew) {
    TempFolder folder;
    const auto path = folder / "run";
    std::filesystem::copy(ServedRun::instance().path(), path, std::filesystem::copy_options::recursive);
    Json json = read_json(path / "run.json");
    json["status"] = "incomplete";
    write_json(path / "run.json", json);
    std::filesystem::rename(path / "shards/000000.json", path / "later");
    const Server server({path});
    EXPECT_EQ(server.json("/api/manifest")["runs"][0]["complete"], false);
    std::filesystem::rename(path / "later", path / "shards/000000.json");
    EXPECT_EQ(server.json("/api/manifest")["runs"][0]["complete"], true);
}

TEST(ViewFolder, WhatIsNoRunIsSaid) {
    TempFolder folder;
    EXPECT_FALSE(error_of([&] { Catalog({folder.path()}); }).empty());
    EXPECT_FALSE(error_of([&] { Catalog({folder / "nowhere"}); }).empty());
}

TEST(ViewTokens, TextsTravelAsJsonStrings) {
    TempFolder folder;
    const auto path = folder / "hostile";
    std::filesystem::copy(ServedRun::instance().path(), path, std::filesystem::copy_options::recursive);
    // The same tokens, but the first one's text is markup.
    std::ifstream in(path / "tokens.jsonl");
    std::string line, lines;
    for (bool first = true; std::getline(in, line); first = false) {
        Json sequence = Json::parse(line);
        if (first) sequence["pieces"][0] = "<img src=x onerror=alert(1)>";
        lines += sequence.dump() + "\n";
    }
    in.close();
    std::ofstream(path / "tokens.jsonl") << lines;
    const Server server({path});
    const auto answer = server.client().Get("/api/runs/0/vocabulary");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->get_header_value("Content-Type"), "application/json");
    EXPECT_NE(Json::parse(answer->body).dump().find("<img"), std::string::npos);
}

// One token's way

TEST_F(View, AWayHasAllLayersOfTheRunOnTheMapOrNot) {
    const tomograph::Run run = tomograph::Run::open(ServedRun::instance().path());
    ProjectionOptions options;
    options.selection.components = {Component::attn_out};
    options.selection.layers = {1, 3};
    options.selection.rows = 40;
    const Projection map = project_pca(run, "some-layers", options);
    save_projection(run, map);
    const std::string asked = "/api/runs/0/projections/some-layers/way?component=attn_out&token=";
    const std::int32_t on_map = map.labels.token[3];
    const Json way = server_.json(asked + std::to_string(on_map));
    ASSERT_EQ(way["layers"], Json::parse("[0, 1, 2, 3]"));
    for (std::size_t row = 0; row < map.labels.token.size(); ++row) {
        if (map.labels.token[row] != on_map) continue;
        const Json& point = way["points"][static_cast<std::size_t>(map.labels.layer[row])];
        for (std::size_t k = 0; k < 6; ++k)
            EXPECT_NEAR(point[k].get<double>(),
                        map.points(static_cast<Eigen::Index>(row), static_cast<Eigen::Index>(k)), 1e-4);
    }
    std::int32_t off_map = 0;
    while (std::ranges::find(map.labels.token, off_map) != map.labels.token.end()) ++off_map;
    EXPECT_EQ(server_.json(asked + std::to_string(off_map))["points"].size(), 4u);
    EXPECT_EQ(status(asked + "100000"), 422);
    EXPECT_EQ(status(asked + "x"), 400);
    EXPECT_EQ(status("/api/runs/0/projections/pair/way?component=soul&token=1"), 404);
    remove_projection(run, "some-layers");
}

// Two runs

TEST(ViewMixture, TheRoutersFirstChoiceIsAColumn) {
    TempFolder folder;
    const Model model = Model::open(std::string(TOMOGRAPH_TEST_DATA) + "/models/mixtral.gguf");
    capture(model, vocabulary_prompts(model.vocabulary(), {.rows = 20}), folder / "run", {}, no_progress());
    const tomograph::Run run = tomograph::Run::open(folder / "run");
    ProjectionOptions options;
    options.selection.components = {Component::mlp_out};
    save_projection(run, project_pca(run, "out", options));
    const Server server({folder / "run"});
    const Json header = server.json("/api/runs/0/projections/out");
    ASSERT_EQ(header["columns"]["expert"]["dtype"], "u8");
    const std::string experts = server.client().Get("/api/runs/0/projections/out/expert")->body;
    const Projection projection = load_projection(run, "out");
    ASSERT_EQ(experts.size(), static_cast<std::size_t>(projection.points.rows()));
    for (std::size_t i = 0; i < experts.size(); ++i) {
        const Site router{Component::router, projection.labels.layer[i]};
        std::vector<float> gates(static_cast<std::size_t>(run.site(router).width()));
        const auto row =
            std::find(run.rows().begin(), run.rows().end(), projection.labels.token[i]) - run.rows().begin();
        run.read_rows(router, row, row + 1, gates.data());
        EXPECT_EQ(experts[i], std::max_element(gates.begin(), gates.end()) - gates.begin()) << i;
    }
}

TEST(ViewTwoRuns, ARunInItsOwnBasisDoesNotMove) {
    TempFolder folder;
    std::filesystem::copy(ServedRun::instance().path(), folder / "b",
                          std::filesystem::copy_options::recursive);
    const Server server({ServedRun::instance().path(), folder / "b"});
    EXPECT_EQ(server.json("/api/manifest")["compare"], true);
    const Json header = server.json("/api/counterpart/pair");
    EXPECT_EQ(header["n_matched"], header["n"]);
    EXPECT_EQ(server.client().Get("/api/counterpart/pair/axis2")->body,
              server.client().Get("/api/runs/0/projections/pair/axis2")->body);
}

}  // namespace
}  // namespace tomograph
