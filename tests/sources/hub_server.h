#pragma once
#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/sources/digest.h"

namespace tomograph::test {

/// A hub of one repository on loopback, as far as a client sees it: a description, a resolver that leads to
/// where the bytes lie, and these, in ranges.
class HubServer {
  public:
    HubServer() {
        server_.Get(R"(/api/models/(.+)/revision/(.+))", [this](const auto& request, auto& response) {
            note("api", request);
            if (!may(request, response)) return;
            if (request.matches[1] != repository ||
                (request.matches[2] != "main" && request.matches[2] != commit))
                return void(response.status = 404);
            Json json = {{"sha", commit}, {"siblings", Json::array()}};
            for (const auto& [name, bytes] : files) json["siblings"].push_back({{"rfilename", name}});
            response.set_content(json.dump(), "application/json");
        });
        // httplib gives a HEAD to the handler of GET.
        server_.Get(R"(/(org/[^/]+)/resolve/([^/]+)/(.+))", [this](const auto& request, auto& response) {
            note("resolve", request);
            if (!may(request, response)) return;
            const std::string name = request.matches[3];
            if (!moved.empty() && request.matches[1] != moved) {
                response.status = 307;
                return response.set_header("Location",
                                           "/" + moved + "/resolve/" + request.matches[2].str() + "/" + name);
            }
            if (!files.contains(name)) return void(response.status = 404);
            response.set_header("X-Linked-Etag", '"' + (etag.empty() ? sums.at(name) : etag) + '"');
            response.set_header("X-Linked-Size", std::to_string(files.at(name).size()));
            response.status = 302;
            response.set_header("Location", "http://127.0.0.1:" + std::to_string(port) + "/bytes/" + name);
        });
        server_.Get(R"(/bytes/(.+))", [this](const auto& request, auto& response) {
            note("bytes", request);
            const std::string& bytes = files.at(request.matches[1]);
            if (refuse_bytes > 0) {
                --refuse_bytes;
                return void(response.status = 503);
            }
            const std::size_t most = cut_after;
            response.set_content_provider(
                bytes.size(), "application/octet-stream",
                [&bytes, most, given = std::size_t{0}, this](std::size_t offset, std::size_t length,
                                                             httplib::DataSink& sink) mutable {
                    if (most > 0 && given >= most) return false;  // the line breaks
                    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(20));
                    std::size_t size = std::min<std::size_t>(length, 1 << 14);
                    if (most > 0) size = std::min(size, most - given);
                    given += size;
                    return sink.write(bytes.data() + offset, size);
                });
        });
        port = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        server_.wait_until_ready();
    }
    ~HubServer() {
        server_.stop();
        thread_.join();
    }

    std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port); }
    void put(const std::string& name, std::string bytes, const std::string& sum) {
        sums[name] = sum;
        files[name] = std::move(bytes);
    }
    int count(const std::string& kind) const {
        const std::lock_guard lock(mutex_);
        int n = 0;
        for (const auto& [its, range] : seen_) n += its == kind;
        return n;
    }
    /// "Range" of every request for bytes, in order; empty: none.
    std::vector<std::string> ranges() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> ranges;
        for (const auto& [kind, range] : seen_) {
            if (kind == "bytes") ranges.push_back(range);
        }
        return ranges;
    }

    std::string repository = "org/model", moved, token, etag;
    std::string commit = std::string(40, 'c');
    std::map<std::string, std::string> files, sums;
    std::atomic<std::size_t> cut_after = 0;  ///< bytes after which an answer breaks off; 0: never
    std::atomic<int> refuse_bytes = 0;
    std::atomic<bool> slow = false;
    int port = 0;

  private:
    void note(const std::string& kind, const httplib::Request& request) {
        const std::lock_guard lock(mutex_);
        seen_.emplace_back(kind, request.get_header_value("Range"));
    }
    bool may(const httplib::Request& request, httplib::Response& response) const {
        if (token.empty() || request.get_header_value("Authorization") == "Bearer " + token) return true;
        response.status = 401;
        return false;
    }

    httplib::Server server_;
    std::thread thread_;
    mutable std::mutex mutex_;
    std::vector<std::pair<std::string, std::string>> seen_;
};

}  // namespace tomograph::test
