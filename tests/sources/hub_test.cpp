#include "tomograph/sources/hub.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "hub_server.h"
#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/sources/cached.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;
using namespace test;
using Files = std::vector<std::string>;

std::string random_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 1;
    for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return bytes;
}

class Hub : public testing::Test {
  protected:
    Hub() { put("model-Q4_K_M.gguf", random_bytes(200'000)); }
    void put(const std::string& name, const std::string& bytes) {
        server_.put(name, bytes, sha256_of(scratch_.write("bytes", bytes), [] {}));
    }
    HubModel fetch(const std::string& name = "hf:org/model", Progress& progress = no_progress()) {
        return fetch_hub_model(parse_hub_name(name), options_, progress);
    }
    std::string error(const std::string& name = "hf:org/model") {
        return error_of([&] { fetch(name); });
    }
    fs::path incomplete() const {
        return repository_ / "blobs" / (server_.sums.at("model-Q4_K_M.gguf") + ".incomplete");
    }

    HubServer server_;
    TempFolder scratch_, cache_;
    HubOptions options_{.endpoint = server_.endpoint(), .cache = cache_.path()};
    fs::path repository_ = cache_ / "models--org--model";
};

TEST_F(Hub, GivesTheFile) {
    EXPECT_EQ(read_file(fetch().path), server_.files.at("model-Q4_K_M.gguf"));
}

TEST_F(Hub, KeepsItAsHuggingFacesOwnToolsDo) {
    const fs::path path = fetch().path;
    EXPECT_EQ(path, repository_ / "snapshots" / server_.commit / "model-Q4_K_M.gguf");
    EXPECT_EQ(fs::read_symlink(path), fs::path("../../blobs") / server_.sums.at("model-Q4_K_M.gguf"));
    EXPECT_EQ(read_file(repository_ / "refs/main"), server_.commit);
    EXPECT_FALSE(fs::exists(incomplete()));
}

TEST_F(Hub, DownloadsOnce) {
    fetch();
    fetch();
    EXPECT_EQ(server_.count("bytes"), 1);
}

TEST_F(Hub, ReachesAFileInAFolder) {
    put("sub dir/model-Q8_0.gguf", "GGUF!");
    EXPECT_EQ(read_file(fetch("hf:org/model:Q8_0").path), "GGUF!");
}

TEST_F(Hub, FetchesEveryPart) {
    put("big-Q8_0-00001-of-00002.gguf", "one");
    put("big-Q8_0-00002-of-00002.gguf", "two");
    const fs::path first = fetch("hf:org/model:q8_0").path;
    EXPECT_EQ(first.filename(), "big-Q8_0-00001-of-00002.gguf");
    EXPECT_EQ(read_file(first.parent_path() / "big-Q8_0-00002-of-00002.gguf"), "two");
}

TEST_F(Hub, GoesOnWhereTheLineBroke) {
    server_.cut_after = 70'000;
    EXPECT_EQ(read_file(fetch().path), server_.files.at("model-Q4_K_M.gguf"));
    EXPECT_EQ(server_.ranges(), (Files{"", "bytes=70000-", "bytes=140000-"}));
}

TEST_F(Hub, GoesOnWithWhatAnEarlierProcessLeft) {
    fs::create_directories(repository_ / "blobs");
    std::ofstream(incomplete(), std::ios::binary) << server_.files.at("model-Q4_K_M.gguf").substr(0, 1000);
    EXPECT_EQ(read_file(fetch().path), server_.files.at("model-Q4_K_M.gguf"));
    EXPECT_EQ(server_.ranges(), Files{"bytes=1000-"});
}

TEST_F(Hub, TriesAgainWhereTheServerIsBusy) {
    server_.refuse_bytes = 2;
    EXPECT_EQ(read_file(fetch().path), server_.files.at("model-Q4_K_M.gguf"));
}

TEST_F(Hub, GivesUpAndKeepsWhatCame) {
    fs::create_directories(repository_ / "blobs");
    std::ofstream(incomplete(), std::ios::binary) << server_.files.at("model-Q4_K_M.gguf").substr(0, 1000);
    server_.refuse_bytes = 100;
    EXPECT_EQ(error(),
              "cannot download model-Q4_K_M.gguf: the server answers with status 503; 0 of 0 MB are kept, "
              "the same command goes on from there");
    EXPECT_EQ(fs::file_size(incomplete()), 1000u);
}

TEST_F(Hub, RefusesADamagedFileAndForgetsIt) {
    server_.etag = std::string(64, 'a');
    EXPECT_EQ(error(),
              "model-Q4_K_M.gguf was damaged on the way: its checksum is not the one that the hub names; "
              "try again");
    EXPECT_FALSE(fs::exists(repository_ / "blobs" / (server_.etag + ".incomplete")));
    EXPECT_FALSE(fs::exists(repository_ / "snapshots"));
}

TEST_F(Hub, ChecksAFileThatGitItselfHolds) {
    const std::string bytes = "GGUF small";
    server_.put("model-Q4_K_M.gguf", bytes, git_sha1_of(scratch_.write("bytes", bytes), [] {}));
    EXPECT_EQ(read_file(fetch().path), bytes);
}

TEST_F(Hub, StopsAndKeepsWhatCame) {
    class Stop : public Progress {
      public:
        explicit Stop(const fs::path& file) : file_(file) {}
        bool stop_requested() const override {
            std::error_code error;
            return fs::file_size(file_, error) > 0 && !error;
        }
        fs::path file_;
    } progress(incomplete());
    server_.slow = true;
    EXPECT_THROW(fetch("hf:org/model", progress), Stopped);
    EXPECT_GT(fs::file_size(incomplete()), 0u);
    EXPECT_LT(fs::file_size(incomplete()), 200'000u);
}

TEST_F(Hub, FollowsAFileToWhereItsRepositoryMoved) {
    server_.moved = "org/newer";
    EXPECT_EQ(read_file(fetch().path), server_.files.at("model-Q4_K_M.gguf"));
}

TEST_F(Hub, SendsTheToken) {
    server_.token = options_.token = "secret";
    EXPECT_EQ(read_file(fetch().path), server_.files.at("model-Q4_K_M.gguf"));
}

TEST_F(Hub, SaysThatATokenIsWanted) {
    server_.token = "secret";
    EXPECT_EQ(error(),
              "cannot read hf:org/model from " + server_.endpoint() +
                  ": it wants to know who asks (or there is no such model); accept its terms on its page "
                  "where it has some, and set HF_TOKEN to a token of yours");
}

TEST_F(Hub, SaysThatThereIsNoSuchModel) {
    EXPECT_EQ(error("hf:org/nothing"),
              "cannot read hf:org/nothing from " + server_.endpoint() +
                  ": no such model, revision or file; look at its name, capital letters "
                  "included");
}

TEST_F(Hub, ListsWhatItHasWhereAFileIsNotThere) {
    EXPECT_EQ(error("hf:org/model:Q2_K"), "hf:org/model has no GGUF file 'Q2_K': it has model-Q4_K_M.gguf");
}

TEST_F(Hub, ReadsTheCacheWhereItCannotBeReached) {
    fetch();
    options_.endpoint = "http://127.0.0.1:1";
    const HubModel model = fetch();
    EXPECT_EQ(read_file(model.path), server_.files.at("model-Q4_K_M.gguf"));
    ASSERT_EQ(model.notes.size(), 1u);
    EXPECT_TRUE(
        model.notes[0].starts_with("hf:org/model is read as the cache has it: http://127.0.0.1:1 cannot be "
                                   "reached"))
        << model.notes[0];
}

TEST_F(Hub, ReadsTheCacheAloneWhereItIsOffline) {
    fetch();
    const int before = server_.count("api");
    options_.offline = true;
    fetch();
    EXPECT_EQ(server_.count("api"), before);
}

TEST_F(Hub, SaysWhereNothingIsCached) {
    options_.offline = true;
    EXPECT_EQ(error(), "cannot read hf:org/model: HF_HUB_OFFLINE is set; nothing of it is in " +
                           cache_.path().string());
}

TEST_F(Hub, TakesNoFileOutsideItsFolder) {
    server_.files.clear();
    put("../../evil.gguf", "GGUF");
    EXPECT_NE(error().find("has no GGUF file"), std::string::npos);
}

TEST_F(Hub, ListsItsModelsAmongTheCached) {
    fetch();
    const auto models = cached_models(cache_.path());
    const auto found = std::ranges::find(models, "hf:org/model:model-Q4_K_M.gguf", &CachedModel::name);
    ASSERT_NE(found, models.end());
    EXPECT_EQ(found->bytes, 200'000u);
}

}  // namespace
}  // namespace tomograph
