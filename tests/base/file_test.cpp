#include "tomograph/base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::FileSizeLimit;
using test::TempFolder;

std::string hash_of(std::string_view text) {
    return xxh3_128(std::as_bytes(std::span(text)));
}

TEST(AtomicFile, IsAbsentBeforeCommit) {
    const TempFolder folder;
    AtomicFile file(folder / "out");
    file.write("half");
    EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(AtomicFile, IsWholeAfterCommit) {
    const TempFolder folder;
    AtomicFile file(folder / "out");
    file.write("one ");
    file.write("two");
    file.commit();
    EXPECT_EQ(read_file(folder / "out"), "one two");
}

TEST(AtomicFile, LeavesOnlyItsFinalNameAfterCommit) {
    const TempFolder folder;
    AtomicFile file(folder / "out");
    file.commit();
    EXPECT_EQ(folder.n_files(), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
    const TempFolder folder;
    {
        AtomicFile(folder / "out").write("half");
    }
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(AtomicFile, KeepsTheOldFileWithoutCommit) {
    const TempFolder folder;
    folder.write("out", "old");
    {
        AtomicFile(folder / "out").write("new");
    }
    EXPECT_EQ(read_file(folder / "out"), "old");
}

TEST(AtomicFile, ReplacesTheOldFileOnCommit) {
    const TempFolder folder;
    folder.write("out", "old and longer");
    AtomicFile file(folder / "out");
    file.write("new");
    file.commit();
    EXPECT_EQ(read_file(folder / "out"), "new");
}

TEST(AtomicFile, DoesNotMeetAnotherWriterOfTheSameFile) {
    const TempFolder folder;
    AtomicFile one(folder / "out"), two(folder / "out");
    EXPECT_NE(one.temporary(), two.temporary());
    one.write("one");
    two.write("the other");
    one.commit();
    EXPECT_EQ(read_file(folder / "out"), "one");
    two.commit();
    EXPECT_EQ(read_file(folder / "out"), "the other");
    EXPECT_EQ(folder.n_files(), 1u);
}

TEST(AtomicFile, HasATemporaryThatIsKnownForOne) {
    const TempFolder folder;
    EXPECT_TRUE(is_temporary(AtomicFile(folder / "out.json").temporary()));
    for (const char* name :
         {"out.tmp", "out.1.tmp", "out.1-.tmp", "out.1-2", ".1-2.tmp", "1-2.tmp", "a.b-2.tmp"})
        EXPECT_FALSE(is_temporary(name)) << name;
}

TEST(RemoveAbandoned, TakesWhatKilledProcessesLeft) {
    const TempFolder folder;
    folder.write("run.json.4711-0.tmp", "half");
    folder.write("thesis.tmp", "years of work");
    const AtomicFile living(folder / "out");
    remove_abandoned(folder.path());
    EXPECT_FALSE(fs::exists(folder / "run.json.4711-0.tmp"));
    EXPECT_TRUE(fs::exists(folder / "thesis.tmp"));
    EXPECT_TRUE(fs::exists(living.temporary()));
}

TEST(AtomicFile, WritesAtOffsetsInAnyOrder) {
    const TempFolder folder;
    AtomicFile file(folder / "out");
    file.write_at(3, "def", 3);
    file.write_at(0, "abc", 3);
    file.commit();
    EXPECT_EQ(read_file(folder / "out"), "abcdef");
}

TEST(AtomicFile, ReservesItsWholeSize) {
    const TempFolder folder;
    AtomicFile file(folder / "out");
    file.reserve(4096);
    EXPECT_EQ(fs::file_size(file.temporary()), 4096u);
}

TEST(AtomicFile, NamesTheFolderThatIsMissing) {
    const TempFolder folder;
    const fs::path path = folder / "absent/out";
    EXPECT_EQ(error_of([&] { AtomicFile file(path); }),
              "cannot create " + path.string() + ": No such file or directory");
}

TEST(AtomicFile, RefusesAFolderAsItsName) {
    const TempFolder folder;
    fs::create_directory(folder / "out");
    EXPECT_EQ(error_of([&] { AtomicFile(folder / "out"); }),
              "cannot write " + (folder / "out").string() + ": it is a folder; name a file in it");
    EXPECT_EQ(folder.n_files(), 1u);
}

TEST(AtomicFile, RefusesAFolderThatAppearedAsItsName) {
    const TempFolder folder;
    AtomicFile file(folder / "out");
    fs::create_directory(folder / "out");
    EXPECT_EQ(error_of([&] { file.commit(); }),
              "cannot rename to " + (folder / "out").string() + ": Is a directory");
}

TEST(AtomicFile, LeavesNoTemporaryWhenTheRenameFails) {
    const TempFolder folder;
    {
        AtomicFile file(folder / "out");
        fs::create_directory(folder / "out");
        error_of([&] { file.commit(); });
    }
    EXPECT_EQ(folder.n_files(), 1u);
}

TEST(AtomicFile, SaysThatAWriteFailed) {
    const TempFolder folder;
    const FileSizeLimit limit(1000);
    AtomicFile file(folder / "out");
    EXPECT_EQ(error_of([&] { file.write(std::string(2000, 'x')); }),
              "cannot write " + (folder / "out").string() + ": File too large");
}

TEST(AtomicFile, FindsAFullDiskWhenItReserves) {
    const TempFolder folder;
    const FileSizeLimit limit(1000);
    AtomicFile file(folder / "out");
    EXPECT_EQ(error_of([&] { file.reserve(2000); }),
              "cannot reserve room for " + (folder / "out").string() + ": File too large");
}

TEST(AtomicFile, LeavesNothingAfterAFailedWrite) {
    const TempFolder folder;
    {
        const FileSizeLimit limit(1000);
        AtomicFile file(folder / "out");
        error_of([&] { file.write(std::string(2000, 'x')); });
    }
    EXPECT_EQ(folder.n_files(), 0u);
}

TEST(MappedFile, HoldsTheFilesBytes) {
    const TempFolder folder;
    const MappedFile file(folder.write("in", std::string("a\0b", 3)));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()),
              std::string("a\0b", 3));
}

TEST(MappedFile, OfAnEmptyFileIsEmpty) {
    const TempFolder folder;
    EXPECT_TRUE(MappedFile(folder.write("in", "")).bytes().empty());
}

TEST(MappedFile, KeepsItsBytesWhenMoved) {
    const TempFolder folder;
    MappedFile first(folder.write("in", "text"));
    const MappedFile second(std::move(first));
    EXPECT_EQ(second.bytes().size(), 4u);
}

TEST(MappedFile, TakesTheOthersBytesWhenAssigned) {
    const TempFolder folder;
    MappedFile file(folder.write("short", "a"));
    file = MappedFile(folder.write("long", "text"));
    EXPECT_EQ(file.bytes().size(), 4u);
}

TEST(MappedFile, NamesAFileThatIsMissing) {
    EXPECT_EQ(error_of([] { MappedFile file("/nowhere/in"); }),
              "cannot open /nowhere/in: No such file or directory");
}

TEST(MappedFile, RefusesAFolder) {
    const TempFolder folder;
    EXPECT_EQ(error_of([&] { MappedFile file(folder.path()); }),
              "cannot open " + folder.path().string() + ": it is not a regular file");
}

TEST(ReadFile, GivesAnEmptyStringForAnEmptyFile) {
    const TempFolder folder;
    EXPECT_EQ(read_file(folder.write("in", "")), "");
}

// What `xxhsum -H2` prints; the first is also in xxHash's own sanity vectors.
TEST(Xxh3, OfNothingIsThePublishedHash) {
    EXPECT_EQ(hash_of(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Xxh3, OfAShortTextIsWhatXxhsumPrints) {
    EXPECT_EQ(hash_of("tomograph"), "b8bd8cddfafd459a1b430a9d33fc598d");
}

TEST(Xxh3, OfALongTextIsWhatXxhsumPrints) {
    EXPECT_EQ(hash_of(std::string(1000, 'a')), "b01da365eddaa29cb3e7af627147db7c");
}

}  // namespace
}  // namespace tomograph
