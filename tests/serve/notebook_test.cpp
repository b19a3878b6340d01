// What a notebook's cell asks of the viewer: to be shown in a frame, and to be told what is selected.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "served_run.h"

namespace tomograph {
namespace {

using namespace test;

TEST(ViewToken, OfAFrameIsItsPath) {
    ServeOptions options;
    options.framed = true;
    const Server server({ServedRun::instance().path()}, options);
    const std::string path = server.url().substr(server.url().find('/', 7));
    ASSERT_EQ(path.size(), 34u) << "32 digits and two slashes: " << path;
    const auto page = server.client().Get(path);
    ASSERT_TRUE(page);
    EXPECT_EQ(page->status, 200);
    EXPECT_FALSE(page->has_header("Set-Cookie")) << "a frame within another site's page would not send it";
    EXPECT_EQ(page->get_header_value("Content-Security-Policy").find("frame-ancestors"), std::string::npos);
    for (const char* file : {"viewer.js", "viewer.css", "api/manifest", "api/runs/0/projections/pair/axis0"})
        EXPECT_EQ(server.client().Get(path + file)->status, 200) << file;
    std::string other = path;
    other[1] = other[1] == '0' ? '1' : '0';
    for (const std::string& wrong :
         {std::string("/"), std::string("/viewer.js"), std::string("/api/manifest"), other,
          other + "api/manifest", path.substr(0, 33)})
        EXPECT_GE(server.client().Get(wrong)->status, 403) << wrong;
    const auto foreign =
        server.client().Get(path + "api/manifest", httplib::Headers{{"Sec-Fetch-Site", "cross-site"}});
    EXPECT_EQ(foreign->status, 403);
}

TEST(ViewSelection, IsToldToWhoeverWantsToKnow) {
    std::vector<PageSelection> told;
    ServeOptions options;
    options.selected = [&](PageSelection selection) { told.push_back(std::move(selection)); };
    const Server server({ServedRun::instance().path()}, options);
    EXPECT_EQ(server.json("/api/manifest").value("selection", false), true);
    const auto n = server.json("/api/runs/0/projections/pair").at("n").get<std::size_t>();
    const std::string path = "/api/runs/0/projections/pair/selection", octets = "application/octet-stream";
    std::string bits((n + 7) / 8, '\0');
    bits[0] = 0b101;
    bits[1] = 0b10;
    const auto post = [&](const std::string& to, const std::string& body, const std::string& type,
                          const httplib::Headers& headers = {}) {
        const auto answer = server.client().Post(to, headers, body, type);
        return answer ? answer->status : -1;
    };
    EXPECT_EQ(post(path, bits, octets), 200);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].projection, "pair");
    EXPECT_EQ(told[0].rows, (std::vector<std::int64_t>{0, 2, 9}));
    EXPECT_EQ(post(path + "?v=" + told[0].version, bits, octets), 200);
    // What is none.
    EXPECT_EQ(post(path + "?v=older", bits, octets), 412);
    EXPECT_EQ(post(path, bits.substr(1), octets), 400);
    EXPECT_EQ(post(path, bits + '\1', octets), 400);
    EXPECT_EQ(post(path, bits, "application/json"), 415);
    EXPECT_EQ(post(path, bits, octets, {{"Sec-Fetch-Site", "cross-site"}}), 403);
    EXPECT_EQ(post(path, bits, octets, {{"Origin", "http://elsewhere"}}), 403);
    EXPECT_EQ(post("/api/runs/1/projections/pair/selection", bits, octets), 404);
    EXPECT_GE(post("/api/runs/0/projections/none/selection", bits, octets), 400);
    EXPECT_EQ(post(path, std::string(5 << 20, '\0'), octets), 413);
    EXPECT_EQ(post("/api/jobs", std::string(100 * 1024, ' '), "application/json"), 413);
    EXPECT_EQ(told.size(), 2u);
}

TEST(ViewSelection, NobodyIsToldUnasked) {
    const Server server({ServedRun::instance().path()});
    EXPECT_FALSE(server.json("/api/manifest").contains("selection"));
    const auto answer =
        server.client().Post("/api/runs/0/projections/pair/selection", "x", "application/octet-stream");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 404);
}

}  // namespace
}  // namespace tomograph
