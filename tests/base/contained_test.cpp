#include "tomograph/base/contained.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

using namespace test;
namespace fs = std::filesystem;

class Contained : public testing::Test {
  protected:
    Contained() {
        fs::create_directories(folder_ / "in/deep");
        folder_.write("secret", "s");
        folder_.write("in/a.png", "a");
        folder_.write("in/deep/b.png", "b");
    }
    std::string refusal(const std::string& name) {
        return error_of([&] { contained_file(folder_ / "in", name); });
    }
    TempFolder folder_;
};

TEST_F(Contained, FilesInsideAreFound) {
    EXPECT_EQ(read_file(contained_file(folder_ / "in", "a.png")), "a");
    EXPECT_EQ(read_file(contained_file(folder_ / "in", "deep/b.png")), "b");
    EXPECT_EQ(read_file(contained_file((folder_ / "in").string() + "/", "a.png")), "a");
}

TEST_F(Contained, LinksInsideAreFollowed) {
    fs::create_symlink("deep/b.png", folder_ / "in/link");
    EXPECT_EQ(read_file(contained_file(folder_ / "in", "link")), "b");
    fs::create_directory_symlink(folder_ / "in", folder_ / "other");
    EXPECT_EQ(read_file(contained_file(folder_ / "other", "a.png")), "a");
}

TEST_F(Contained, NamesThatLeadOutAreRefused) {
    for (const std::string name :
         {"../secret", "deep/../../secret", "..", "", ".", "./a.png", "deep//../a.png", "deep/"})
        EXPECT_NE(refusal(name).find("is refused: it leads out of"), std::string::npos) << name;
    EXPECT_NE(refusal((folder_ / "in/a.png").string()).find("it leads out of"), std::string::npos);
    EXPECT_NE(refusal(std::string("a.png\0x", 7)).find("it leads out of"), std::string::npos);
}

TEST_F(Contained, LinksThatLeadOutAreRefused) {
    fs::create_symlink(folder_ / "secret", folder_ / "in/link");
    fs::create_directory_symlink(folder_.path(), folder_ / "in/up");
    EXPECT_NE(refusal("link").find("it leads out of"), std::string::npos);
    EXPECT_NE(refusal("up/secret").find("it leads out of"), std::string::npos);
}

TEST_F(Contained, AFolderWhoseNameBeginsTheSameIsOutside) {
    fs::create_directories(folder_ / "inside");
    folder_.write("inside/c", "c");
    fs::create_symlink(folder_ / "inside/c", folder_ / "in/c");
    EXPECT_NE(refusal("c").find("it leads out of"), std::string::npos);
}

TEST_F(Contained, WhatIsNoRegularFileIsRefusedWithoutWaiting) {
    ASSERT_EQ(::mkfifo((folder_ / "in/pipe").c_str(), 0600), 0);
    EXPECT_NE(refusal("pipe").find("it is not a regular file"), std::string::npos);
    EXPECT_NE(refusal("deep").find("it is not a regular file"), std::string::npos);
    EXPECT_NE(refusal("absent").find("No such file"), std::string::npos);
    EXPECT_NE(error_of([&] { read_file(folder_ / "in/pipe"); }).find("it is not a regular file"),
              std::string::npos);
}

TEST_F(Contained, FoldersAreNamedByOnePart) {
    EXPECT_EQ(contained_folder(folder_ / "in", "deep"), fs::canonical(folder_ / "in/deep"));
    const auto why = [&](const std::string& name) {
        return error_of([&] { contained_folder(folder_ / "in", name); });
    };
    fs::create_directories(folder_ / "in/deep/er");
    fs::create_directory_symlink(folder_.path(), folder_ / "in/up");
    for (const char* name : {"deep/er", "..", ".", "/", "up"})
        EXPECT_NE(why(name).find("it leads out of"), std::string::npos) << name;
    EXPECT_NE(why("a.png").find("it is not a folder"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
