#pragma once
#include <gtest/gtest.h>
#include <httplib.h>

#include <memory>
#include <string>
#include <thread>

#include "support/temp_folder.h"
#include "tomograph/capture/capture.h"
#include "tomograph/maps/projection.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/serve/server.h"

namespace tomograph::test {

/// A small run of the built-in model, captured once for all tests of the program, with the projection "pair".
class ServedRun {
  public:
    static ServedRun& instance() {
        static ServedRun run;
        return run;
    }
    std::filesystem::path path() const { return folder_ / "run"; }

  private:
    ServedRun() {
        const Model model = Model::open("bytes-gpt2");
        capture(model, text_prompts(model.vocabulary(), {.sequences = 4, .length = 32}), path(), {},
                no_progress());
        const Run run = Run::open(path());
        ProjectionOptions options;
        options.selection.components = {Component::attn_out, Component::mlp_out};
        save_projection(run, project_pca(run, "pair", options));
    }
    TempFolder folder_;
};

/// A server on a free port for as long as it lives.
class Server {
  public:
    explicit Server(const std::vector<std::filesystem::path>& folders, ServeOptions options = {})
        : catalog_(folders), server_(catalog_, options) {
        server_.bind();
        thread_ = std::thread([this] { server_.run(); });
    }
    ~Server() {
        server_.stop();
        thread_.join();
    }
    int port() const { return server_.port(); }
    std::string url() const { return server_.url(); }
    httplib::Client client() const { return httplib::Client("127.0.0.1", port()); }
    Json json(const std::string& path) const {
        const auto answer = client().Get(path);
        return answer ? Json::parse(answer->body, nullptr, false) : Json();
    }

  private:
    Catalog catalog_;
    ViewServer server_;
    std::thread thread_;
};

}  // namespace tomograph::test
