// Requests that no browser sends: each gets one clear answer, none hangs, and the server lives on.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "served_run.h"

namespace tomograph {
namespace {

using namespace test;

constexpr const char* kAxis = "/api/runs/0/projections/pair/axis0";

/// What comes back for these bytes until the server has said all or closes, within 3 seconds.
std::string exchange(int port, const std::string& bytes) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{.tv_sec = 3, .tv_usec = 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::string answer;
    if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        (void)::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        ::shutdown(descriptor, SHUT_WR);
        char buffer[4096];
        for (ssize_t n = 0; (n = ::recv(descriptor, buffer, sizeof buffer, 0)) > 0;)
            answer.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(descriptor);
    return answer;
}

struct Answer {
    int status = 0;
    std::string error;  // of the JSON body
};

class Http : public testing::Test {
  protected:
    Answer ask(const std::string& method, const std::string& path, const std::string& headers = "",
               const std::string& body = "") const {
        return parse(exchange(server_.port(), method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" +
                                                  std::to_string(server_.port()) +
                                                  "\r\nConnection: close\r\n" + headers + "\r\n" + body));
    }
    Answer post(const std::string& body) const {
        return ask(
            "POST", "/api/jobs",
            "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
            body);
    }
    static Answer parse(const std::string& text) {
        Answer answer;
        if (!text.starts_with("HTTP/1.1 ")) return answer;
        answer.status = std::stoi(text.substr(9, 3));
        const Json json = Json::parse(text.substr(text.find("\r\n\r\n") + 4), nullptr, false);
        if (json.is_object()) answer.error = json.value("error", "");
        return answer;
    }
    void TearDown() override {
        const auto answer = server_.client().Get("/api/manifest");
        ASSERT_TRUE(answer) << "the server is gone";
        EXPECT_EQ(answer->status, 200);
        EXPECT_EQ(server_.json("/api/jobs/1").value("error", ""), "there is no job 1")
            << "nothing was started";
    }
    Server server_{{ServedRun::instance().path()}};
};

TEST_F(Http, MethodsThatDoNothingHereAreNamed) {
    for (const char* method : {"PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT"}) {
        const Answer answer = ask(method, "/api/jobs", "Content-Length: 0\r\n");
        EXPECT_EQ(answer.status, 405) << method;
        EXPECT_NE(answer.error.find("can be read (GET)"), std::string::npos) << method;
    }
    for (const char* method : {"FOO", "get", "G\x01T", ""}) {
        const Answer answer = ask(method, "/");
        EXPECT_EQ(answer.status, 400) << method;
        EXPECT_EQ(answer.error, "this is no request that can be read") << method;
    }
    EXPECT_EQ(ask("DELETE", "/api/manifest").status, 404);
    EXPECT_EQ(ask("POST", "/api/manifest", "Content-Length: 0\r\n").status, 404);
}

TEST_F(Http, AbsurdRangesAreRefusedOrCut) {
    const auto range = [&](const std::string& value) {
        return ask("GET", kAxis, "Range: " + value + "\r\n");
    };
    for (const char* value : {"bytes=-", "bytes=5-2", "lines=1-2", "bytes=999999999-", "bytes=a-b",
                              "bytes=", "bytes=18446744073709551615-18446744073709551616"}) {
        const Answer answer = range(value);
        EXPECT_EQ(answer.status, 416) << value;
        EXPECT_EQ(answer.error, "there is no such range") << value;
    }
    EXPECT_EQ(range("bytes=0-99999999999999999999").status, 206) << "as far as there is something";
    std::string many = "bytes=0-0";
    for (int i = 0; i < 4000; ++i) many += ",0-0";
    EXPECT_EQ(range(many).status, 400);
}

TEST_F(Http, HugeBodiesAreRefusedUnread) {
    const std::string json = "Content-Type: application/json\r\n";
    const Answer announced = ask("POST", "/api/jobs", json + "Content-Length: 999999999999\r\n", "{");
    EXPECT_EQ(announced.status, 413);
    EXPECT_EQ(announced.error, "the request is too large");
    const Answer chunked = ask("POST", "/api/jobs", json + "Transfer-Encoding: chunked\r\n",
                               "FFFFFFFF\r\n" + std::string(200'000, 'x'));
    EXPECT_EQ(chunked.status, 413);
    for (const char* length : {"-5", "x", "99999999999999999999999999"})
        EXPECT_GE(ask("POST", "/api/jobs", json + "Content-Length: " + length + "\r\n", "{}").status, 400)
            << length;
    EXPECT_EQ(ask("POST", "/api/jobs", json + "Content-Length: 2\r\nContent-Length: 3\r\n", "{}x").status,
              400);
    EXPECT_EQ(ask("POST", "/api/jobs", json + "Content-Length: 50\r\n", "{}").status, 400) << "cut short";
    EXPECT_EQ(ask("POST", "/api/jobs", json + "Transfer-Encoding: chunked\r\n", "zz\r\n").status, 400);
    EXPECT_EQ(
        ask("POST", "/api/jobs", json + "Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x08")
            .status,
        415);
}

TEST_F(Http, NestedJsonCostsNoStack) {
    const int depth = 30'000;
    std::string objects;
    for (int i = 0; i < depth / 3; ++i) objects += "{\"a\":";
    for (const std::string& body :
         {std::string(2 * depth, '['), std::string(depth, '[') + std::string(depth, ']'),
          objects + "1" + std::string(depth / 3, '}'),
          "{\"name\":\"x\",\"selection\":{\"components\":" + std::string(20'000, '[') +
              std::string(20'000, ']') + "}}"}) {
        const Answer answer = post(body);
        EXPECT_EQ(answer.status, 400) << body.substr(0, 30);
        EXPECT_EQ(answer.error.find("the request is no JSON: "), 0u) << answer.error;
    }
}

TEST_F(Http, NumbersThatAreNoneAreRefused) {
    for (const char* field :
         {R"("run":1e300)", R"("run":-1)", R"("run":99999999999999999999999)", R"("dims":1e300)",
          R"("dims":4294967298)", R"("dims":2.5)", R"("n_neighbors":1e99,"method":"umap")",
          R"("selection":{"rows":1e300})", R"("selection":{"rows":-1})", R"("selection":{"seed":1e300})",
          R"("min_dist":1e999,"method":"umap")", R"("metric":"taxi","method":"umap")", R"("selection":[])",
          R"("selection":{"layers":7})", R"("name":"a\u0000b")"}) {
        const Answer answer = post(std::string(R"({"name":"x",)") + field + "}");
        EXPECT_TRUE(answer.status == 422 || answer.status == 400) << field << ": " << answer.status;
        EXPECT_FALSE(answer.error.empty()) << field;
    }
}

TEST_F(Http, ControlCharactersStayWhereTheyAre) {
    const std::string answer =
        exchange(server_.port(),
                 "GET /api/runs/0/projections/a%0d%0aX-Evil:%201%00%1b[31m HTTP/1.1\r\nHost: 127.0.0.1:" +
                     std::to_string(server_.port()) + "\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(parse(answer).status, 422);
    EXPECT_EQ(answer.find("\r\nX-Evil"), std::string::npos);
    EXPECT_EQ(answer.find('\x1b'), std::string::npos);
    EXPECT_EQ(ask("GET", "/api/\x01\x02").status, 404);
    EXPECT_EQ(ask("GET", "/api/runs/0/projections/%ff%fe").status, 422);
    EXPECT_EQ(ask("GET", "/api/runs/0/projections/%zz%").status, 422);
}

TEST_F(Http, WhatIsNoRequestIsToldSo) {
    const std::vector<std::string> strange{"GET /\r\n\r\n",
                                           "\r\n\r\n",
                                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                           "GET / HTTP/1.1 and more\r\n\r\n",
                                           "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                           "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n"};
    for (const std::string& bytes : strange)
        EXPECT_GE(parse(exchange(server_.port(), bytes)).status, 400) << bytes.substr(0, 40);
    // Nothing that could be answered: the connection is closed.
    for (const std::string& bytes :
         {std::string(), std::string("GET / HT"), std::string("\x16\x03\x01\x02\0\x01", 6)})
        EXPECT_EQ(parse(exchange(server_.port(), bytes)).status / 100 % 4, 0) << bytes.size();
    EXPECT_EQ(ask("GET", "/", "Host: x\r\n").status, 403) << "two names";
    EXPECT_EQ(ask("GET", "/api/jobs/99999999999999999999").status, 400);
    EXPECT_EQ(ask("GET", "/api/runs/18446744073709551616/tokens").status, 400);
}

}  // namespace
}  // namespace tomograph
