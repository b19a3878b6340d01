// What a page may ask of a server that has a model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>

#include "served_run.h"
#include "tomograph/live/live_model.h"
#include "tomograph/store/run_acts.h"

namespace tomograph {
namespace {

using namespace test;

/// A model that waits with each prompt until it is told to go on, or the prompt is cancelled.
class Held final : public LiveReader {
  public:
    explicit Held(LiveReader& of) : of_(of) {}
    void go_on() { held_ = false; }

    std::string model_name() const override { return of_.model_name(); }
    std::int64_t most_tokens() const override { return of_.most_tokens(); }
    bool converses() const override { return of_.converses(); }
    std::string check(const Run& run) const override { return of_.check(run); }
    std::vector<std::string> read(const LivePrompt& prompt, const Run& like, const std::filesystem::path& out,
                                  Progress& progress) override {
        while (held_ && !progress.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return of_.read(prompt, like, out, progress);
    }
    std::vector<LayerWords> words(const Run& prompt, std::int64_t token, int n) override {
        return of_.words(prompt, token, n);
    }
    SteeringEffect effect(const LivePrompt& prompt, const Run& like, int n, int n_control) override {
        return of_.effect(prompt, like, n, n_control);
    }

  private:
    LiveReader& of_;
    std::atomic<bool> held_{true};
};

class LiveView : public testing::Test {
  protected:
    using Run = tomograph::Run;  // and not gtest's
    Model model_ = Model::open("bytes-gpt2");
    LiveModel live_{model_, {}};
    Held held_{live_};
    ServeOptions options_{.reader = &held_};
    Server server_{{ServedRun::instance().path()}, options_};

    httplib::Result post(const std::string& path, const Json& json) const {
        return server_.client().Post(path, json.dump(), "application/json");
    }
    int start(const Json& json) const {
        const auto answer = post("/api/live", json);
        EXPECT_TRUE(answer && answer->status == 202) << (answer ? answer->body : "no answer");
        return answer ? Json::parse(answer->body).value("id", -1) : -1;
    }
    std::string line(const httplib::Result& answer, int status) const {
        EXPECT_TRUE(answer);
        if (!answer) return "";
        EXPECT_EQ(answer->status, status) << answer->body;
        return Json::parse(answer->body).value("error", "");
    }
    Json wait(int id) const {
        for (int i = 0; i < 1500; ++i) {
            const Json status = server_.json("/api/live/" + std::to_string(id));
            if (status.value("state", "") != "running") return status;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return {};
    }
    Json read(const std::string& text) {
        held_.go_on();
        return wait(start({{"run", 0}, {"text", text}}));
    }
};

TEST_F(LiveView, ManifestSaysWhatCanBeTyped) {
    const Json live = server_.json("/api/manifest").at("live");
    EXPECT_EQ(live.at("model"), "bytes-gpt2");
    EXPECT_EQ(live.at("tokens"), 128);
    EXPECT_EQ(live.at("chat"), false);
    EXPECT_EQ(live.at("steer"),
              (Json{{"least", kLeastOfGroup}, {"most", kMostOfGroup}, {"strength", 100.0}}));
    EXPECT_EQ(live.at("runs"), Json::array({Json::object()}));
}

TEST_F(LiveView, WithoutAModelThereIsNothing) {
    const Server plain({ServedRun::instance().path()});
    EXPECT_FALSE(plain.json("/api/manifest").contains("live"));
    EXPECT_EQ(plain.client().Get("/api/live/1")->status, 404);
    EXPECT_EQ(plain.client().Post("/api/live", R"({"text": "a"})", "application/json")->status, 404);
}

TEST_F(LiveView, PromptIsReadAndLiesOnTheMap) {
    const Json status = read("The old ship");
    ASSERT_EQ(status.at("state"), "done") << status;
    ASSERT_EQ(status.at("tokens").size(), 12u);
    EXPECT_EQ(status["tokens"][4]["text"], "o");
    EXPECT_TRUE(status["tokens"][0]["logprob"].is_null()) << "nothing predicts the first";
    EXPECT_LT(status["tokens"][5]["logprob"].get<double>(), 0);
    EXPECT_EQ(status["next"].size(), 5u);
    const std::string map = "/api/live/" + std::to_string(status["id"].get<int>()) + "/maps/pair";
    const Json header = server_.json(map);
    EXPECT_EQ(header.at("n"), 12 * 4 * 2);
    const auto axis = server_.client().Get(map + "/axis0");
    ASSERT_TRUE(axis);
    EXPECT_EQ(axis->body.size(), 4u * 96);
    const Json near = server_.json(map + "/nearest?row=5&k=3");
    EXPECT_EQ(near.at("rows").size(), 3u);
    EXPECT_LE(near["distances"][0].get<double>(), near["distances"][1].get<double>());
    const Json words =
        server_.json("/api/live/" + std::to_string(status["id"].get<int>()) + "/words?token=11");
    ASSERT_EQ(words.size(), 4u);
    EXPECT_EQ(words[3]["words"], status["next"]);
    EXPECT_EQ(server_.client().Get(map + "/nearest?row=96")->status, 422);
}

TEST_F(LiveView, TwoPromptsAreComparedByLayer) {
    const int a = read("The old ship").at("id").get<int>(), b = read("The old boat").at("id").get<int>();
    const auto apart = [&](int token, int to) {
        return server_.json(
            fmt::format("/api/live/{}/maps/pair/apart?token={}&from={}&to={}", a, token, b, to));
    };
    const Json same = apart(7, 7), differ = apart(11, 11);
    ASSERT_EQ(differ.size(), 8u);
    for (const Json& site : same) {
        EXPECT_LT(site["distance"].get<double>(), 0.01) << "what came before is equal";
        EXPECT_GT(site["cosine"].get<double>(), 0.999);
    }
    for (const Json& site : differ) EXPECT_GT(site["distance"].get<double>(), 0.1);
    EXPECT_TRUE(apart(12, 0).contains("error"));
}

TEST_F(LiveView, SecondTabIsToldThatOneIsUnderWay) {
    const int id = start({{"run", 0}, {"text", "one"}});
    EXPECT_NE(
        line(post("/api/live", {{"run", 0}, {"text", "two"}}), 409).find("another prompt is being read"),
        std::string::npos);
    EXPECT_EQ(server_.json("/api/live/" + std::to_string(id)).at("state"), "running");
    held_.go_on();
    EXPECT_EQ(wait(id).at("state"), "done");
    EXPECT_EQ(wait(start({{"run", 0}, {"text", "two"}})).at("state"), "done");
}

TEST_F(LiveView, CancelledPromptLeavesNothing) {
    const int id = start({{"run", 0}, {"text", "one"}});
    ASSERT_TRUE(server_.client().Delete("/api/live/" + std::to_string(id)));
    EXPECT_EQ(wait(id).at("state"), "cancelled");
    EXPECT_EQ(server_.client().Get("/api/live/" + std::to_string(id) + "/maps/pair")->status, 422);
    EXPECT_EQ(read("two").at("state"), "done");
}

TEST_F(LiveView, BadInputGetsOneLineAndTheServerLivesOn) {
    held_.go_on();
    EXPECT_EQ(line(post("/api/live", {{"text", " \n"}}), 422), "the prompt is empty; type something");
    EXPECT_EQ(line(post("/api/live", {{"text", "a\x07z"}}), 422),
              "the prompt holds a control character, \\x07: at byte 1; take it out");
    EXPECT_EQ(line(post("/api/live", {{"text", std::string("a\0b", 3)}}), 422),
              "the prompt holds a control character, \\x00: at byte 1; take it out");
    EXPECT_NE(line(post("/api/live", Json::object()), 422).find("either 'text' or 'messages'"),
              std::string::npos);
    EXPECT_NE(line(post("/api/live", {{"text", 7}}), 422).find("cannot be read"), std::string::npos);
    EXPECT_NE(line(post("/api/live", {{"text", "a"}, {"run", 9}}), 422).find("no run 9"), std::string::npos);
    EXPECT_EQ(line(post("/api/live", {{"messages", Json::array()}}), 422),
              "the prompt is empty; type something");
    EXPECT_EQ(line(server_.client().Post("/api/live", R"({"text": "a"})", "text/plain"), 415).empty(), false);
    EXPECT_EQ(line(server_.client().Post("/api/live", httplib::Headers{{"Origin", "http://evil.example"}},
                                         R"({"text": "a"})", "application/json"),
                   403)
                  .empty(),
              false);
    const Json wide = wait(start({{"text", std::string(200, 'a')}}));
    EXPECT_EQ(wide.at("state"), "failed");
    EXPECT_EQ(wide.at("error"), "the prompt has 200 tokens: 128 are read at most; shorten it");
    const auto huge = post("/api/live", {{"text", std::string(3'000'000, 'a')}});
    if (huge) {
        EXPECT_EQ(huge->status, 413);
    }
    EXPECT_EQ(read("still here").at("state"), "done");
}

TEST_F(LiveView, KeptPromptIsAnOrdinaryRunThatReplacesNothing) {
    const Json status = read("keep me");
    const std::string path = "/api/live/" + std::to_string(status["id"].get<int>()) + "/keep";
    const auto kept = post(path, {{"name", "mine"}});
    ASSERT_TRUE(kept && kept->status == 200) << kept->body;
    const std::filesystem::path where = Json::parse(kept->body).at("path").get<std::string>();
    EXPECT_EQ(where, ServedRun::instance().path().parent_path() / "mine");
    const Run run = Run::open(where);
    EXPECT_EQ(run.n_tokens(), 7);
    EXPECT_EQ(run.scores().size(), 3u);
    EXPECT_FALSE(line(post(path, {{"name", "mine"}}), 422).empty());
    for (const char* bad : {"", "../up", ".hidden", "a/b"})
        EXPECT_NE(line(post(path, {{"name", bad}}), 422).find("cannot name a run"), std::string::npos) << bad;
    EXPECT_EQ(post(path, Json::object())->status, 400);
    std::filesystem::remove_all(where);
}

/// From the first half of the third layer's MLP outputs to the second.
Json halves() {
    Json toward = Json::array(), away = Json::array();
    // Layer by layer attention and MLP, 128 tokens each.
    for (int i = 0; i < 128; ++i) (i % 32 < 16 ? toward : away).push_back(5 * 128 + i);
    return {{"run", 0},   {"projection", "pair"}, {"component", "mlp_out"},
            {"layer", 2}, {"toward", toward},     {"away", away}};
}

TEST_F(LiveView, SteeredPromptPartsFromThePlainOneAtItsSite) {
    const auto found = post("/api/directions", halves());
    ASSERT_TRUE(found && found->status == 200) << found->body;
    const Json direction = Json::parse(found->body);
    EXPECT_EQ(direction.at("site"), "blocks.2.mlp_out");
    const int plain = read("The old ship").at("id").get<int>();
    const Json status = wait(start({{"run", 0},
                                    {"text", "The old ship"},
                                    {"steer", {{"direction", direction.at("id")}, {"strength", 3}}}}));
    ASSERT_EQ(status.at("state"), "done") << status;
    const int steered = status.at("id").get<int>();
    const auto apart = [&](int token) {
        std::map<std::string, double> by_site;
        for (const Json& site : server_.json(fmt::format(
                 "/api/live/{}/maps/pair/apart?token={}&from={}&to={}", plain, token, steered, token)))
            by_site[fmt::format("{} {}", site["component"].get<std::string>(), site["layer"].get<int>())] =
                site["distance"].get<double>();
        return by_site;
    };
    const double pushed = 3 * direction.at("length").get<double>();
    auto at = apart(11);
    EXPECT_LT(at.at("mlp_out 1"), 1e-6) << "before the site nothing changes";
    EXPECT_LT(at.at("attn_out 2"), 1e-6);
    EXPECT_NEAR(at.at("mlp_out 2"), pushed, 0.01 * pushed);
    EXPECT_GT(at.at("mlp_out 3"), 0.01);
    EXPECT_LT(apart(0).at("mlp_out 2"), 1e-6) << "the first token is left alone";

    const Json effect = server_.json(fmt::format("/api/live/{}/effect", steered));
    EXPECT_GT(effect.at("divergence").get<double>(), 0);
    EXPECT_EQ(effect.at("control").size(), 5u);
    EXPECT_EQ(effect.at("plain").size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {  // what was kept of the stream is rounded
        EXPECT_EQ(effect["steered"][i]["id"], status["next"][i]["id"]);
        EXPECT_NEAR(effect["steered"][i]["p"].get<double>(), status["next"][i]["p"].get<double>(), 2e-3);
    }
    EXPECT_EQ(effect, server_.json(fmt::format("/api/live/{}/effect", steered)));
    EXPECT_NE(
        line(server_.client().Get(fmt::format("/api/live/{}/effect", plain)), 422).find("without steering"),
        std::string::npos);

    const auto kept = post(fmt::format("/api/live/{}/keep", steered), {{"name", "steered"}});
    ASSERT_TRUE(kept && kept->status == 200);
    const std::filesystem::path where = Json::parse(kept->body).at("path").get<std::string>();
    EXPECT_NE(acts_of(Run::open(where)).find("add blocks.2.mlp_out at 1:"), std::string::npos);
    std::filesystem::remove_all(where);
}

TEST_F(LiveView, SteeringThatCannotBeIsRefused) {
    held_.go_on();
    const auto steer = [&](const Json& how) {
        return line(post("/api/live", {{"run", 0}, {"text", "a"}, {"steer", how}}), 422);
    };
    EXPECT_NE(steer({{"direction", 77}, {"strength", 1}}).find("direction 77 is not at hand"),
              std::string::npos);
    EXPECT_NE(steer({{"strength", 1}}).find("cannot be read"), std::string::npos);
    EXPECT_NE(steer(7).find("cannot be read"), std::string::npos);
    const Json direction = Json::parse(post("/api/directions", halves())->body);
    EXPECT_NE(steer({{"direction", direction["id"]}, {"strength", 0}}).find("steers nothing"),
              std::string::npos);
    EXPECT_NE(steer({{"direction", direction["id"]}, {"strength", 1e9}}).find("steers nothing"),
              std::string::npos);
    EXPECT_FALSE(line(post("/api/directions", Json::object()), 422).empty());
    EXPECT_EQ(read("still here").at("state"), "done");
}

TEST_F(LiveView, OnlyTheLastFewAreKept) {
    const int first = read("0").at("id").get<int>();
    for (int i = 1; i <= 8; ++i) read(std::to_string(i));
    EXPECT_NE(line(server_.client().Get("/api/live/" + std::to_string(first) + "/maps/pair"), 422)
                  .find("is not at hand"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
