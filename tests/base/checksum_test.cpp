#include "tomograph/base/checksum.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <span>
#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

TEST(FileChecksum, IsThatOfTheBytesInMemory) {
    const test::TempFolder folder;
    for (const std::size_t size : {0u, 1u, 1000u, (1u << 20) - 1, 1u << 20, (1u << 20) + 1, 3'500'000u}) {
        std::string text(size, '\0');
        for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
        std::ofstream(folder / "bytes", std::ios::binary) << text;
        const FileChecksum sum = file_checksum(folder / "bytes");
        EXPECT_EQ(sum.bytes, size);
        EXPECT_EQ(sum.xxh3_128, xxh3_128(std::as_bytes(std::span(text)))) << size;
    }
}

TEST(FileChecksum, SaysWhichFileCannotBeRead) {
    const test::TempFolder folder;
    EXPECT_EQ(test::error_of([&] { file_checksum(folder / "none"); }),
              "cannot open " + (folder / "none").string() + ": No such file or directory");
    EXPECT_EQ(test::error_of([&] { file_checksum(folder / "."); }),
              "cannot open " + (folder / ".").string() + ": it is not a regular file");
    // One that nobody writes to must not be waited for.
    ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(test::error_of([&] { file_checksum(folder / "pipe"); }),
              "cannot open " + (folder / "pipe").string() + ": it is not a regular file");
}

}  // namespace
}  // namespace tomograph
