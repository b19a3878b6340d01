#include "tomograph/base/json.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

using test::error_of;
using test::TempFolder;

TEST(WriteJson, IsReadBackEqual) {
    const TempFolder folder;
    const Json json{{"b", 1}, {"a", {1.5, "two", nullptr}}};
    write_json(folder / "x.json", json);
    EXPECT_EQ(read_json(folder / "x.json"), json);
}

TEST(WriteJson, KeepsTheOrderOfKeys) {
    const TempFolder folder;
    write_json(folder / "x.json", Json{{"b", 1}, {"a", 2}});
    EXPECT_EQ(read_file(folder / "x.json"), "{\n \"b\": 1,\n \"a\": 2\n}\n");
}

TEST(WriteJson, ReplacesBytesThatAreNotUtf8) {
    const TempFolder folder;
    write_json(folder / "x.json", Json("a\xff"));
    EXPECT_EQ(read_json(folder / "x.json"), Json("a\ufffd"));
}

TEST(ReadJson, NamesAFileThatIsMissing) {
    EXPECT_EQ(error_of([] { read_json("/nowhere/x.json"); }),
              "cannot read /nowhere/x.json: no such file, or no permission");
}

TEST(ReadJson, SaysThatACutFileIsNotJson) {
    const TempFolder folder;
    const auto path = folder.write("x.json", "{\"a\": [1, 2");
    const std::string error = error_of([&] { read_json(path); });
    EXPECT_TRUE(error.starts_with(path.string() + " is not valid JSON: ")) << error;
}

TEST(ReadJson, SaysItOnOneLine) {
    const TempFolder folder;
    const auto path = folder.write("x.json", "{\n\"a\":\n");
    EXPECT_EQ(error_of([&] { read_json(path); }).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace tomograph
