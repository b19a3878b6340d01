#include "tomograph/base/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <future>
#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;
using Kind = OutputTarget::Kind;

void write_all(const fs::path& path, std::string_view text) {
    AtomicFile file(path);
    file.write(text);
    file.commit();
}

/// What another thread reads from `descriptor` until its end.
std::future<std::string> read_to_the_end(std::function<int()> open) {
    return std::async(std::launch::async, [open = std::move(open)] {
        const int descriptor = open();
        std::string all;
        char block[4096];
        for (ssize_t n; (n = ::read(descriptor, block, sizeof block)) > 0;)
            all.append(block, static_cast<std::size_t>(n));
        ::close(descriptor);
        return all;
    });
}

class Output : public testing::Test {
  protected:
    TempFolder folder_;
};

// Where it goes
// -------------------------------------------------------------------------------------------------------------

TEST_F(Output, IsAFileThatIsNotThereYet) {
    const auto target = output_target(folder_ / "new");
    EXPECT_EQ(target.kind, Kind::absent);
    EXPECT_EQ(target.path, folder_ / "new");
}

TEST_F(Output, IsWhatALinkLeadsTo) {
    folder_.write("file", "x");
    fs::create_directory(folder_ / "deep");
    fs::create_symlink("../file", folder_ / "deep" / "one");
    fs::create_symlink(folder_ / "deep" / "one", folder_ / "two");
    const auto target = output_target(folder_ / "two");
    EXPECT_EQ(target.kind, Kind::file);
    EXPECT_TRUE(fs::equivalent(target.path, folder_ / "file"));
    EXPECT_FALSE(fs::is_symlink(target.path));
}

TEST_F(Output, IsWhatALinkWillLeadTo) {
    fs::create_symlink("later", folder_ / "link");
    EXPECT_EQ(output_target(folder_ / "link").path, folder_ / "later");
}

TEST_F(Output, NeverEndsInACircle) {
    fs::create_symlink("b", folder_ / "a");
    fs::create_symlink("a", folder_ / "b");
    EXPECT_EQ(error_of([&] { output_target(folder_ / "a"); }),
              "cannot write " + (folder_ / "a").string() + ": its links lead in a circle");
}

TEST_F(Output, IsNoFolder) {
    EXPECT_EQ(error_of([&] { output_target(folder_.path()); }),
              "cannot write " + folder_.path().string() + ": it is a folder; name a file in it");
}

TEST_F(Output, IsTheStreamOfItsNumber) {
    for (const char* name : {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
        EXPECT_EQ(output_target(name).kind, Kind::stream) << name;
        EXPECT_TRUE(output_target(name).is_standard_output()) << name;
    }
    EXPECT_EQ(output_target("/dev/stderr").descriptor, 2);
    fs::create_symlink("/dev/stdout", folder_ / "link");
    EXPECT_TRUE(output_target(folder_ / "link").is_standard_output());
}

TEST_F(Output, IsThatStreamEvenWhereItLeadsToAFile) {
    const int file = ::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::write(file, "before ", 7), 7);
    write_all("/dev/fd/" + std::to_string(file), "new");
    ASSERT_EQ(::write(file, " after", 6), 6);
    ::close(file);
    EXPECT_EQ(read_file(folder_ / "log"), "before new after");
}

// What is replaced
// -------------------------------------------------------------------------------------------------------------

TEST_F(Output, RefusesAFileThatExists) {
    folder_.write("notes.txt", "mine");
    EXPECT_EQ(error_of([&] { check_output_file(folder_ / "notes.txt", {}); }),
              (folder_ / "notes.txt").string() + " exists; name another file, or add --force to replace it");
    EXPECT_EQ(check_output_file(folder_ / "notes.txt", {.force = true}).kind, Kind::file);
}

TEST_F(Output, RefusesAFileBehindALink) {
    folder_.write("notes.txt", "mine");
    fs::create_symlink("notes.txt", folder_ / "link");
    EXPECT_NE(error_of([&] { check_output_file(folder_ / "link", {}); }), "");
}

TEST_F(Output, NeverReplacesAFolder) {
    EXPECT_NE(error_of([&] { check_output_file(folder_.path(), {.force = true}); }), "");
}

TEST_F(Output, RefusesAStreamWhereItHasToBeAFile) {
    EXPECT_EQ(
        error_of([] { check_output_file("/dev/null", {.force = true, .file = true}); }),
        "cannot write /dev/null: it is no file, and this is not written from front to back; name a file");
}

TEST_F(Output, KeepsALinkAndReplacesWhatItLeadsTo) {
    folder_.write("file", "old");
    fs::create_symlink("file", folder_ / "link");
    write_all(folder_ / "link", "new");
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_EQ(read_file(folder_ / "file"), "new");
    EXPECT_EQ(folder_.n_files(), 2u);
}

// What is written through
// -------------------------------------------------------------------------------------------------------------

TEST_F(Output, WritesThroughAPipe) {
    const fs::path pipe = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    auto read = read_to_the_end([pipe] { return ::open(pipe.c_str(), O_RDONLY | O_CLOEXEC); });
    const std::string large(300'000, 'x');  // more than a pipe holds
    write_all(pipe, large);
    EXPECT_EQ(read.get(), large);
    EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(Output, WritesThroughASocket) {
    const fs::path path = folder_ / "socket";
    const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.string().size() + 1);
    ASSERT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(server, 1), 0);
    auto read = read_to_the_end([server] { return ::accept(server, nullptr, nullptr); });
    write_all(path, "hello");
    EXPECT_EQ(read.get(), "hello");
    ::close(server);
    EXPECT_TRUE(fs::is_socket(path));
}

TEST_F(Output, LeavesADeviceADevice) {
    write_all("/dev/null", "gone");
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
    EXPECT_FALSE(fs::exists("/dev/null.tmp"));
}

TEST_F(Output, FailsOnAFullDevice) {
    EXPECT_EQ(error_of([] { write_all("/dev/full", "x"); }),
              "cannot write /dev/full: No space left on device; free some disk space or write elsewhere");
}

TEST_F(Output, IsNotWrittenAtAnOffsetWhereItIsAStream) {
    AtomicFile file("/dev/null");
    EXPECT_EQ(
        error_of([&] { file.write_at(8, "x", 1); }),
        "cannot write /dev/null: it is no file, and this is not written from front to back; name a file");
}

}  // namespace
}  // namespace tomograph
