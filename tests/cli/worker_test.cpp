#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "cli/two_captures.h"
#include "support/golden.h"
#include "support/open_run.h"
#include "support/program.h"
#include "tomograph/base/json.h"
#include "tomograph/store/verify.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// A socket on the loopback, bound to a port that was free.
class Listener {
  public:
    Listener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        port_ = ntohs(address.sin_port);
    }
    ~Listener() { ::close(descriptor_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    int descriptor() const { return descriptor_; }
    int port() const { return port_; }

  private:
    int descriptor_ = -1, port_ = 0;
};

std::string at_port(int port) {
    return "127.0.0.1:" + std::to_string(port);
}

/// `tomograph worker` on a free port, until it is destroyed or killed.
class Worker {
  public:
    Worker() : port_(Listener().port()) {
        child_ = program_.start({"worker", "--port", std::to_string(port_), "--threads", "1"});
        const auto answers = [&] {
            const int trial = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(static_cast<std::uint16_t>(port_));
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            const int status = ::connect(trial, reinterpret_cast<sockaddr*>(&address), sizeof address);
            ::close(trial);
            return status == 0;
        };
        for (int i = 0; i < 600 && !answers(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ~Worker() { end(SIGTERM); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void end(int signal) {
        if (child_ <= 0) return;
        ::kill(child_, signal);
        program_.finish(std::exchange(child_, 0));
    }
    std::string address() const { return at_port(port_); }

  private:
    Program program_;
    int port_;
    pid_t child_ = 0;
};

TEST(CliWorker, ComputesWhatOneProcessDoes) {
    const Worker first, second;
    const std::string both = first.address() + "," + second.address();
    for (const std::string& model : {std::string("bytes-gpt2"), std::string("bytes-llama"),
                                     golden_model("gemma3"), golden_model("mixtral"), golden_model("lfm2")}) {
        SCOPED_TRACE(model);
        const Program program;
        ASSERT_EQ(program.run(capture_to(model, "here", {})).code, 0);
        const Outcome outcome = program.run(capture_to(model, "there", {"--rpc", both}));
        ASSERT_EQ(outcome.code, 0) << outcome.err;
        const auto here = open_run(program / "here"), there = open_run(program / "there");
        // GELU goes through a table of half precision, which the last bit of a product can move by a step.
        const bool gelu = model == "bytes-gpt2" || model == golden_model("gemma3");
        EXPECT_LT(largest_difference(here, there), gelu ? 2e-3 : 1e-5);
        EXPECT_EQ(there.json().at("program").at("backend").at("workers"), both);
        EXPECT_FALSE(here.json().at("program").at("backend").contains("workers"));
    }
}

TEST(CliWorker, WritesIntoTheStreamThere) {
    const Worker worker;
    const Program program;
    const auto loss = [&](const Arguments& more) {
        Arguments arguments{
            "intervene",   "bytes-llama", "--spec",   R"({"acts":[{"act":"zero","site":"blocks.1.mlp_out"},
                {"act":"zero","site":"blocks.0.z","strength":0.5}]})",
            "--sequences", "4",           "--length", "32",
            "--json",      "--no-control"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = program.run(arguments);
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        return parse_json(outcome.out).at("loss");
    };
    const Json here = loss({}), there = loss({"--rpc", worker.address()});
    EXPECT_GT(std::abs(here.at("change").get<double>()), 1e-3);
    EXPECT_NEAR(here.at("before").get<double>(), there.at("before").get<double>(), 1e-4);
    EXPECT_NEAR(here.at("change").get<double>(), there.at("change").get<double>(), 1e-4);
}

TEST(CliWorker, LeavesWholeShardsWhenItIsLost) {
    const Program program;
    const auto arguments = [&](const std::string& workers) {
        return Arguments{"capture",    "bytes-gpt2", "--out", "run",       "--sequences",
                         "1000",       "--length",   "16",    "--threads", "1",
                         "--shard-mb", "0.05",       "--rpc", workers,     "--resume"};
    };
    {
        Worker worker;
        const pid_t child = program.start(arguments(worker.address()));
        for (int i = 0; i < 600 && !fs::exists(program / "run/shards/000001.json"); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        worker.end(SIGKILL);
        const Outcome lost = program.finish(child);
        EXPECT_EQ(lost.code, 1);
        EXPECT_NE(lost.err.find("a worker was lost"), std::string::npos) << lost.err;
        EXPECT_EQ(std::count(lost.err.begin(), lost.err.end(), '\n'), 1) << lost.err;
    }
    EXPECT_TRUE(verify_run(program / "run", no_progress()).faults.empty());
    const Worker other;
    const Outcome resumed = program.run(arguments(other.address()));
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(open_run(program / "run").n_tokens(), 1000 * 16);
}

// Either of two, at any moment: while it is greeted, while it gets its weights, while it computes.
TEST(CliWorker, LosesNothingWhenAnyIsKilled) {
    const Program program;
    const auto arguments = [&](const std::string& run, const Worker& first, const Worker& second) {
        return Arguments{"capture",     "bytes-gpt2",
                         "--out",       run,
                         "--sequences", "1000",
                         "--length",    "16",
                         "--threads",   "1",
                         "--shard-mb",  "0.05",
                         "--keep",      "norms,means,moments,scores:8",
                         "--rpc",       first.address() + "," + second.address(),
                         "--resume"};
    };
    const auto tensors_of = [&](const std::string& run) {
        std::map<std::string, std::string> files;
        for (const auto& entry : fs::recursive_directory_iterator(program / run)) {
            if (entry.path().extension() == ".safetensors")
                files[fs::relative(entry.path(), program / run).string()] = read_file(entry.path());
        }
        return files;
    };
    double seconds = 0;
    {
        const Worker first, second;
        const auto began = std::chrono::steady_clock::now();
        const Outcome straight = program.run(arguments("straight", first, second));
        ASSERT_EQ(straight.code, 0) << straight.err;
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }
    const auto want = tensors_of("straight");
    std::mt19937 random{std::random_device{}()};
    int lost = 0;
    for (int i = 0; i < n_kills(3); ++i) {
        const std::string when = "kill " + std::to_string(i);
        {
            Worker first, second;
            const pid_t child = program.start(arguments("run", first, second));
            std::this_thread::sleep_for(std::chrono::duration<double>(
                std::uniform_real_distribution<double>(0, 1.05 * seconds)(random)));
            (random() % 2 == 0 ? first : second).end(SIGKILL);
            const Outcome outcome = program.finish(child);
            lost += outcome.code != 0;
            if (outcome.code != 0) {
                EXPECT_EQ(outcome.code, 1) << when << ": " << outcome.err;
                EXPECT_NE(outcome.err.find("worker"), std::string::npos) << when << ": " << outcome.err;
            }
        }
        if (fs::exists(program / "run/tokens.safetensors")) {
            EXPECT_TRUE(verify_run(program / "run", no_progress()).faults.empty()) << when;
        }
        const Worker first, second;
        const Outcome resumed = program.run(arguments("run", first, second));
        ASSERT_EQ(resumed.code, 0) << when << ": " << resumed.err;
        EXPECT_TRUE(tensors_of("run") == want) << when;
        fs::remove_all(program / "run");
    }
    RecordProperty("lost", lost);
}

TEST(CliWorker, SaysWhatIsWrongWithAnAddress) {
    const Program program;
    const auto fails = [&](const std::string& workers, int code, const std::string& why) {
        const Outcome outcome = program.run(capture_to("bytes-gpt2", "run", {"--rpc", workers}));
        EXPECT_EQ(outcome.code, code) << workers;
        EXPECT_NE(outcome.err.find(why), std::string::npos) << outcome.err;
    };
    for (const char* wrong : {"here", ":1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:5a"})
        fails(wrong, 2, "is no address of a worker");
    fails(at_port(Listener().port()), 1, "cannot reach the worker");
    const Worker worker;
    fails(worker.address() + "," + worker.address(), 1, "is named twice");

    // Another kind of server, and a worker of another version.
    for (const bool version : {false, true}) {
        const Listener server;
        ASSERT_EQ(::listen(server.descriptor(), 1), 0);
        std::thread answering([&] {
            const int client = ::accept(server.descriptor(), nullptr, nullptr);
            std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
            if (version) {
                answer.assign(8 + 28, '\0');
                answer[0] = 28;
                answer[8] = 1;
            }
            EXPECT_GT(::send(client, answer.data(), answer.size(), MSG_NOSIGNAL), 0);
            char buffer[64];
            while (::recv(client, buffer, sizeof buffer, 0) > 0) {
            }
            ::close(client);
        });
        fails(at_port(server.port()), 1, version ? "speaks version 1.0.0" : "does not answer as a worker");
        answering.join();
    }
    EXPECT_FALSE(fs::exists(program / "run"));
}

TEST(CliWorker, SaysWhyItCannotListen) {
    const Program program;
    const Worker worker;
    const std::string port = worker.address().substr(worker.address().rfind(':') + 1);
    const Outcome taken = program.run({"worker", "--port", port});
    EXPECT_EQ(taken.code, 1);
    EXPECT_NE(taken.err.find("cannot listen on " + worker.address()), std::string::npos) << taken.err;
    EXPECT_EQ(program.run({"worker", "--host", "nowhere"}).code, 1);
    EXPECT_EQ(program.run({"worker", "--port", "0"}).code, 2);
}

}  // namespace
}  // namespace tomograph
