// Folders that change while they are shown, folders of strangers, and many who ask at once.
#include "tomograph/serve/catalog.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <future>
#include <vector>

#include "served_run.h"
#include "support/errors.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

using namespace test;
namespace fs = std::filesystem;
using TheRun = tomograph::Run;

Projection made(const TheRun& run, const std::string& name, Component component, int dims = 6) {
    ProjectionOptions options{.dims = dims};
    options.selection.components = {component};
    return project_pca(run, name, options);
}

float first_value(const ColumnSet& set) {
    float value = 0;
    std::memcpy(&value, set.columns.at("axis0")->bytes.data(), sizeof value);
    return value;
}

Json request(const std::string& name) {
    return {{"run", 0},
            {"name", name},
            {"method", "pca"},
            {"dims", 3},
            {"selection", {{"components", {"mlp_out"}}}}};
}

Json wait(const Jobs& jobs, int id) {
    while (jobs.busy()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return jobs.status(id);
}

class Changing : public testing::Test {
  protected:
    Changing() { fs::copy(ServedRun::instance().path(), path(), fs::copy_options::recursive); }
    fs::path path() const { return folder_ / "run"; }
    /// Another text through the same model, in place of the run.
    void capture_anew(int sequences) {
        const Model model = Model::open("bytes-gpt2");
        CaptureOptions options;
        options.begin = Begin::replace;
        capture(model, text_prompts(model.vocabulary(), {.sequences = sequences, .length = 32}), path(),
                options, no_progress());
        const TheRun run = TheRun::open(path());
        save_projection(run, made(run, "pair", Component::attn_out));
    }
    TempFolder folder_;
};

// --- versions

TEST_F(Changing, AProjectionMadeAnewShowsAnew) {
    Catalog catalog({path()});
    const auto before = catalog.projection(0, "pair");
    const std::string version = catalog.manifest()["runs"][0]["projections"][0]["version"];
    EXPECT_EQ(before->header["version"], version);
    EXPECT_EQ(catalog.projection(0, "pair"), before) << "kept while nothing changes";
    const TheRun run = TheRun::open(path());
    save_projection(run, made(run, "pair", Component::resid_post));
    const auto after = catalog.projection(0, "pair");
    EXPECT_NE(first_value(*after), first_value(*before));
    EXPECT_NE(after->header["version"], version);
    EXPECT_EQ(catalog.manifest()["runs"][0]["projections"][0]["version"], after->header["version"]);
}

TEST_F(Changing, AProjectionKeptAnewShowsAnew) {
    Catalog catalog({path()});
    const auto run = catalog.run(0);
    catalog.keep(0, std::make_shared<const Projection>(made(*run, "kept", Component::attn_out)));
    const auto before = catalog.projection(0, "kept");
    catalog.keep(0, std::make_shared<const Projection>(made(*run, "kept", Component::resid_post)));
    EXPECT_NE(first_value(*catalog.projection(0, "kept")), first_value(*before));
}

TEST_F(Changing, ARunCapturedAnewShowsAnew) {
    Catalog catalog({path()});
    const Json before = catalog.manifest()["runs"][0];
    const auto points = catalog.projection(0, "pair"), tokens = catalog.tokens(0);
    const auto words = catalog.vocabulary(0), norms = catalog.norms(0, Component::mlp_out);
    const auto old = catalog.run(0);
    catalog.keep(0, std::make_shared<const Projection>(made(*old, "kept", Component::attn_out)));
    capture_anew(3);
    EXPECT_EQ(catalog.run(0)->n_tokens(), 3 * 32);
    EXPECT_EQ(catalog.tokens(0)->header["n"], 3 * 32);
    EXPECT_EQ(catalog.projection(0, "pair")->header["n"], 3 * 32 * 4);
    EXPECT_NE(catalog.norms(0, Component::mlp_out)->etag, norms->etag);
    EXPECT_NE(catalog.vocabulary(0), words);
    EXPECT_NE(error_of([&] { catalog.projection(0, "kept"); }).find("no projection 'kept'"),
              std::string::npos)
        << "its rows are gone";
    const Json after = catalog.manifest()["runs"][0];
    EXPECT_NE(after["version"], before["version"]);
    EXPECT_EQ(after["n_tokens"], 3 * 32);
    EXPECT_EQ(old->n_tokens(), 4 * 32) << "those who still read the old one may";
}

TEST_F(Changing, WhatIsKeptOutlivesTheRunsGrowth) {
    const auto projection =
        std::make_shared<const Projection>(made(TheRun::open(path()), "kept", Component::attn_out));
    Json json = read_json(path() / "run.json");
    json["status"] = "incomplete";
    write_json(path() / "run.json", json);
    fs::rename(path() / "shards/000000.json", folder_ / "aside");
    Catalog catalog({path()});
    const Json before = catalog.manifest()["runs"][0];
    EXPECT_EQ(before["complete"], false);
    catalog.keep(0, projection);
    fs::rename(folder_ / "aside", path() / "shards/000000.json");
    const Json after = catalog.manifest()["runs"][0];
    EXPECT_EQ(after["complete"], true);
    EXPECT_NE(after["version"], before["version"]);
    EXPECT_EQ(catalog.projection(0, "kept")->header["n"], 4 * 128);
    fs::remove(path() / "run.json");
    EXPECT_EQ(catalog.tokens(0)->header["n"], 128) << "its plan and manifests say as much";
}

TEST_F(Changing, AJobDoesNotWriteIntoAnotherRun) {
    Catalog catalog({path()});
    Jobs jobs(catalog, {});
    // As large as it gets here; should it be done first, nothing was tried.
    Json large = request("late");
    large["method"] = "umap", large["dims"] = 2;
    large["selection"]["components"] = Json::array();
    const int id = jobs.start(large);
    capture_anew(3);
    const Json job = wait(jobs, id);
    EXPECT_TRUE(job["state"] == "done" || job["error"] == "the run was captured anew meanwhile; ask again")
        << job.dump();
    const auto names = projection_names(TheRun::open(path()));
    EXPECT_EQ(std::count(names.begin(), names.end(), "late"), 0);
}

TEST_F(Changing, AStudyGrowsWhileItIsShown) {
    fs::create_directories(folder_ / "study");
    fs::copy(path(), folder_ / "study/text", fs::copy_options::recursive);
    Json study = {{"model", {{"name", "tiny"}}}, {"runs", {"text"}}, {"figures", Json::array()}};
    write_json(folder_ / "study/study.json", study);
    Catalog catalog({folder_ / "study"});
    EXPECT_EQ(catalog.manifest()["runs"].size(), 1u);
    fs::copy(path(), folder_ / "study/repeat", fs::copy_options::recursive);
    study["runs"].push_back("repeat");
    study["numbers"] = {{"first_token_norm_ratio", 2}};
    write_json(folder_ / "study/study.json", study);
    const Json manifest = catalog.manifest();
    ASSERT_EQ(manifest["runs"].size(), 2u);
    EXPECT_EQ(manifest["runs"][1]["name"], "repeat");
    EXPECT_EQ(manifest["study"]["numbers"]["first_token_norm_ratio"], 2);
    EXPECT_EQ(catalog.tokens(1)->header["n"], 128);
}

TEST_F(Changing, TheServerGivesNoMixtureOfVersions) {
    const Server server({path()});
    const auto version =
        server.json("/api/manifest")["runs"][0]["projections"][0]["version"].get<std::string>();
    const auto status = [&](const std::string& what) {
        return server.client().Get("/api/runs/0/projections/pair" + what)->status;
    };
    for (const std::string part : {"?v=", "/axis0?v=", "/norm?v=", "/nearest?row=1&v="})
        EXPECT_EQ(status(part + version), 200) << part;
    const TheRun run = TheRun::open(path());
    save_projection(run, made(run, "pair", Component::resid_post));
    for (const std::string part : {"?v=", "/axis0?v=", "/norm?v=", "/nearest?row=1&v="})
        EXPECT_EQ(status(part + version), 412) << part;
    EXPECT_EQ(status("/axis0"), 200);
}

TEST_F(Changing, EveryAnswerSaysHowLongItHolds) {
    fs::create_directories(folder_ / "study/figures");
    fs::copy(path(), folder_ / "study/text", fs::copy_options::recursive);
    folder_.write("study/figures/a.png", "png");
    write_json(folder_ / "study/study.json",
               {{"model", {{"name", "tiny"}}},
                {"runs", {"text"}},
                {"figures", {{{"file", "figures/a.png"}, {"group", "g"}, {"caption", "c"}}}}});
    const Server server({folder_ / "study"});
    auto client = server.client();
    for (const char* what : {"/api/runs/0/vocabulary", "/api/runs/0/norms/mlp_out", "/api/figures/a.png",
                             "/api/runs/0/tokens/token_id", "/api/runs/0/projections/pair/axis0"}) {
        const auto first = client.Get(what);
        ASSERT_EQ(first->status, 200) << what;
        EXPECT_EQ(first->get_header_value("Cache-Control"), "no-cache") << what;
        const auto again =
            client.Get(what, httplib::Headers{{"If-None-Match", first->get_header_value("ETag")}});
        EXPECT_EQ(again->status, 304) << what;
    }
    for (const char* what : {"/api/manifest", "/api/runs/0/tokens", "/api/runs/0/projections/pair"})
        EXPECT_EQ(client.Get(what)->get_header_value("Cache-Control"), "no-store") << what;
    folder_.write("study/figures/a.png", "another");
    EXPECT_EQ(client.Get("/api/figures/a.png")->body, "another");
}

// --- layers under other numbers

TEST(ViewLayerOrder, ExpertsAndCounterpartsGoByTheLayersThemselves) {
    TempFolder folder;
    const Model model = Model::open(std::string(TOMOGRAPH_TEST_DATA) + "/models/mixtral.gguf");
    capture(model, vocabulary_prompts(model.vocabulary(), {.rows = 20}), folder / "a", {}, no_progress());
    const TheRun run = TheRun::open(folder / "a");
    ProjectionOptions options;
    options.selection.components = {Component::mlp_out};
    save_projection(run, project_pca(run, "given", options));
    options.selection.layer_order = LayerOrder::reversed;
    save_projection(run, project_pca(run, "reversed", options));
    fs::copy(folder / "a", folder / "b", fs::copy_options::recursive);

    Catalog catalog({folder / "a", folder / "b"});
    const auto given = catalog.projection(0, "given"), reversed = catalog.projection(0, "reversed");
    EXPECT_FALSE(given->header.contains("layer_of"));
    std::vector<int> expected;
    for (int layer = run.n_layers() - 1; layer >= 0; --layer) expected.push_back(layer);
    EXPECT_EQ(reversed->header["layer_of"].get<std::vector<int>>(), expected);
    // The rows are the same in the same order; only their numbers differ. So must their experts not.
    EXPECT_EQ(reversed->columns.at("expert")->bytes, given->columns.at("expert")->bytes);
    const auto& bytes = given->columns.at("expert")->bytes;
    EXPECT_NE(bytes, std::string(bytes.rbegin(), bytes.rend())) << "or this test could not fail";
    EXPECT_EQ(catalog.counterpart("reversed")->header["n_matched"], reversed->header["n"]);
    EXPECT_EQ(catalog.counterpart("reversed")->columns.at("axis0")->bytes,
              reversed->columns.at("axis0")->bytes);
}

// --- strangers

TEST_F(Changing, NothingOutsideTheFolderIsServed) {
    TempFolder other;
    write_json(other / "secret.json", {{"key", "s3cret"}, {"findings", {{{"name", "s3cret"}}}}});
    fs::create_directories(path() / "measures");
    fs::create_symlink(other / "secret.json", path() / "measures/findings.json");
    fs::create_symlink(other / "secret.json", path() / "projections/linked.json");
    fs::copy(path() / "projections/pair.safetensors", path() / "projections/linked.safetensors");
    Catalog catalog({path()});
    EXPECT_EQ(catalog.manifest().dump().find("s3cret"), std::string::npos);
    EXPECT_NE(error_of([&] { catalog.projection(0, "linked"); }).find("it leads out of"), std::string::npos);
    fs::remove(path() / "run.json");
    fs::create_symlink(ServedRun::instance().path() / "run.json", path() / "run.json");
    EXPECT_NE(error_of([&] { Catalog again({path()}); }).find("it leads out of"), std::string::npos);
}

TEST_F(Changing, AStudyNamesOnlyItsOwnRunsAndFigures) {
    fs::create_directories(folder_ / "study/figures");
    fs::copy(path(), folder_ / "study/text", fs::copy_options::recursive);
    folder_.write("secret.png", "s3cret");
    fs::create_symlink(folder_ / "secret.png", folder_ / "study/figures/linked.png");
    fs::create_directory_symlink(path(), folder_ / "study/linked");
    Json study = {{"model", {{"name", "tiny"}}}, {"runs", {"text"}}};
    for (const char* file : {"figures/linked.png", "figures/../text/run.json", "figures/../../secret.png"})
        study["figures"].push_back({{"file", file}, {"group", ""}, {"caption", ""}});
    write_json(folder_ / "study/study.json", study);
    const Catalog catalog({folder_ / "study"});
    for (const char* file : {"linked.png", "../text/run.json", "../../secret.png"})
        EXPECT_NE(error_of([&] { catalog.figure(file); }).find("it leads out of"), std::string::npos) << file;
    EXPECT_EQ(error_of([&] { catalog.figure("other.png"); }), "no such figure");
    for (const std::string& run :
         {std::string("linked"), std::string(".."), std::string("../run"), path().string()}) {
        study["runs"] = {run};
        write_json(folder_ / "study/study.json", study);
        EXPECT_NE(error_of([&] { Catalog again({folder_ / "study"}); }).find("it leads out of"),
                  std::string::npos)
            << run;
    }
    study["runs"] = 7;
    write_json(folder_ / "study/study.json", study);
    EXPECT_NE(error_of([&] { Catalog again({folder_ / "study"}); }).find("is not what tomograph wrote"),
              std::string::npos);
}

TEST_F(Changing, PipesAreNotWaitedFor) {
    for (const char* name :
         {"tokens.jsonl", "vectors/pipe", "measures/findings.json", "projections/p.json", "run.json"}) {
        fs::create_directories((path() / name).parent_path());
        const fs::path aside = folder_ / "aside";
        if (fs::exists(path() / name)) fs::rename(path() / name, aside);
        ASSERT_EQ(::mkfifo((path() / name).c_str(), 0600), 0) << name;
        EXPECT_NE(error_of([&] { Catalog again({path()}); }).find("file"), std::string::npos) << name;
        fs::remove(path() / name);
        if (fs::exists(aside)) fs::rename(aside, path() / name);
    }
    // Laid there later: what reads it then refuses it.
    Catalog catalog({path()});
    fs::create_directories(path() / "measures");
    ASSERT_EQ(::mkfifo((path() / "measures/findings.json").c_str(), 0600), 0);
    EXPECT_FALSE(catalog.manifest()["runs"][0].contains("findings"));
}

// --- jobs

TEST_F(Changing, AThreadThatCannotStartLeavesNobodyBusy) {
    Catalog catalog({path()});
    Jobs jobs(catalog, {});
    pthread_attr_t usual, absurd;
    ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
    ASSERT_EQ(::pthread_attr_init(&absurd), 0);
    ASSERT_EQ(::pthread_attr_setstacksize(&absurd, std::size_t{1} << 50),
              0);  // more than there are addresses
    ASSERT_EQ(::pthread_setattr_default_np(&absurd), 0);
    const std::string line = error_of([&] { jobs.start(request("never")); });
    ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
    ::pthread_attr_destroy(&absurd);
    ::pthread_attr_destroy(&usual);
    EXPECT_NE(line.find("the projection cannot be started"), std::string::npos) << line;
    EXPECT_FALSE(jobs.busy());
    const int id = jobs.start(request("then"));
    EXPECT_EQ(wait(jobs, id)["state"], "done");
}

TEST_F(Changing, KeptNamesAreTaken) {
    Catalog catalog({path()});
    Jobs jobs(catalog, {});
    catalog.keep(0, std::make_shared<const Projection>(made(*catalog.run(0), "kept", Component::attn_out)));
    for (const char* name : {"kept", "pair"})
        EXPECT_NE(error_of([&] { jobs.start(request(name)); }).find("already"), std::string::npos) << name;
}

TEST_F(Changing, AUmapNamesItsLastPhases) {
    const TheRun run = TheRun::open(path());
    struct Tasks final : Progress {
        std::vector<std::string> names;
        void begin(const std::string& task, std::int64_t, const std::string&) override {
            names.push_back(task);
        }
    } tasks;
    const Json json = {{"name", "map"}, {"method", "umap"}, {"selection", {{"components", {"mlp_out"}}}}};
    make_projection(run, parse_request(json, {}), 1, tasks);
    EXPECT_EQ(tasks.names.back(), "measuring how far to believe the map");
}

TEST(UmapDefaults, AreTheCommandLines) {
    const UmapOptions line = UmapProjectionOptions{}.umap;
    const Json page = umap_defaults();
    EXPECT_EQ(page["metric"], metric_name(line.metric));
    EXPECT_EQ(page["n_neighbors"], line.n_neighbors);
    EXPECT_EQ(page["min_dist"], line.min_dist);
    const ProjectionRequest plain = parse_request({{"name", "x"}, {"method", "umap"}}, {});
    EXPECT_EQ(plain.umap.metric, line.metric);
    EXPECT_EQ(plain.umap.n_neighbors, line.n_neighbors);
    for (const auto& metric : page["metrics"])
        EXPECT_EQ(metric_name(
                      parse_request({{"name", "x"}, {"method", "umap"}, {"metric", metric}}, {}).umap.metric),
                  metric.get<std::string>());
}

// --- many at once

TEST_F(Changing, ManyAskAtOnceWhileJobsRunAndTheRunIsReplaced) {
    const Server server({path()});
    std::atomic<bool> over{false};
    std::atomic<int> broken{0}, answered{0};
    const std::vector<std::string> paths{"/api/manifest",
                                         "/api/runs/0/tokens",
                                         "/api/runs/0/vocabulary",
                                         "/api/runs/0/norms/mlp_out",
                                         "/api/runs/0/projections/pair",
                                         "/api/runs/0/projections/pair/axis0",
                                         "/api/runs/0/projections/pair/nearest?row=5",
                                         "/api/jobs/1",
                                         "/api/runs/0/projections/job-0/axis1"};
    std::vector<std::thread> readers;
    for (std::size_t r = 0; r < 6; ++r) {
        readers.emplace_back([&, r] {
            auto client = server.client();
            for (std::size_t i = r; !over; ++i) {
                const auto answer = client.Get(paths[i % paths.size()]);
                ++answered;
                if (!answer || answer->status >= 500) ++broken;
            }
        });
    }
    auto client = server.client();
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3; ++i) {
            const auto accepted = client.Post(
                "/api/jobs", request("job-" + std::to_string(3 * round + i)).dump(), "application/json");
            ASSERT_TRUE(accepted);
            ASSERT_TRUE(accepted->status == 202 || accepted->status == 409) << accepted->body;
            if (accepted->status == 202 && i == 1) {
                EXPECT_EQ(client.Delete("/api/jobs/" + Json::parse(accepted->body)["id"].dump())->status,
                          200);
            }
        }
        capture_anew(3 + round);
    }
    over = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(broken, 0);
    EXPECT_GT(answered, 50);
    EXPECT_EQ(server.json("/api/runs/0/tokens")["n"], 5 * 32);
}

}  // namespace
}  // namespace tomograph
