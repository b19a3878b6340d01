#include "tomograph/sources/hub.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <regex>
#include <thread>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/sources/digest.h"
#include "tomograph/sources/http.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

bool is_hexadecimal(const std::string& text, std::size_t length) {
    return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// May a name that a server gave be a file below a folder?
bool stays_below(const std::string& file) {
    if (file.empty() || file.front() == '/' || file.find('\\') != std::string::npos) return false;
    return std::ranges::none_of(fs::path(file),
                                [](const fs::path& part) { return part == ".." || part == "."; });
}

/// A repository's folder in the cache: "models--org--name".
fs::path folder_of(const HubName& name, const HubOptions& options) {
    std::string folder = "models--" + name.repository;
    folder.replace(folder.find('/'), 1, "--");
    return options.cache / folder;
}

/// What the hub has under a revision.
struct Listing {
    std::string commit;
    std::vector<std::string> files;
};

/// A stand-in for what the hub refuses. Errors: Error.
[[noreturn]] void refuse(long status, const HubName& name, const HubOptions& options) {
    const std::string what = fmt::format("cannot read {} from {}", name.text(), options.endpoint);
    if (status == 401 || status == 403)
        throw Error(
            what,
            options.token.empty() ? "it wants to know who asks (or there is no such model)"
                                  : "the token in HF_TOKEN may not read it",
            options.token.empty()
                ? "accept its terms on its page where it has some, and set HF_TOKEN to a token of yours"
                : "accept its terms on its page with the account that the token belongs to");
    if (status == 404)
        throw Error(what, "no such model, revision or file", "look at its name, capital letters included");
    throw Error(what, fmt::format("the server answers with status {}", status),
                status >= 500 || status == 429 ? "try again later" : "");
}

Listing ask_hub(const HubName& name, const HubOptions& options, const HttpOptions& http) {
    std::string revision = name.revision;  // a branch's name may hold slashes
    for (std::size_t at; (at = revision.find('/')) != std::string::npos;) revision.replace(at, 1, "%2F");
    const std::string url =
        fmt::format("{}/api/models/{}/revision/{}", options.endpoint, name.repository, revision);
    const HttpAnswer answer = http_get(url, http);
    if (answer.status != 200) refuse(answer.status, name, options);
    Listing listing;
    try {
        const Json json = parse_json(answer.body);
        listing.commit = json.at("sha").get<std::string>();
        for (const Json& file : json.at("siblings"))
            listing.files.push_back(file.at("rfilename").get<std::string>());
    } catch (const Json::exception& e) {
        throw Error(url + " is no hub's description of a model", e.what(), "look at HF_ENDPOINT");
    }
    if (!is_hexadecimal(listing.commit, 40))
        throw Error(url + " is no hub's description of a model", "its commit is no commit", "");
    std::erase_if(listing.files, [](const std::string& file) { return !stays_below(file); });
    return listing;
}

/// What the cache has of a revision.
std::optional<Listing> ask_cache(const HubName& name, const HubOptions& options) {
    const fs::path folder = folder_of(name, options);
    Listing listing{.commit = name.revision};
    std::error_code error;
    if (!is_hexadecimal(name.revision, 40)) {
        std::ifstream(folder / "refs" / name.revision) >> listing.commit;
        if (!is_hexadecimal(listing.commit, 40)) return std::nullopt;
    }
    const fs::path snapshot = folder / "snapshots" / listing.commit;
    for (fs::recursive_directory_iterator at(snapshot, error), end; !error && at != end;
         at.increment(error)) {
        if (at->is_regular_file(error))
            listing.files.push_back(at->path().lexically_relative(snapshot).string());
    }
    if (listing.files.empty()) return std::nullopt;
    return listing;
}

/// A file as the hub names it.
struct RemoteFile {
    std::string etag;
    std::uint64_t size = 0;
    std::string url;
};

RemoteFile ask_file(const std::string& file, const std::string& commit, const HubName& name,
                    const HubOptions& options, const HttpOptions& http) {
    std::string path;
    for (const char letter : file) {
        const bool plain = std::isalnum(static_cast<unsigned char>(letter)) ||
                           std::string_view("-._~/").find(letter) != std::string_view::npos;
        path += plain ? std::string(1, letter) : fmt::format("%{:02X}", static_cast<unsigned char>(letter));
    }
    RemoteFile remote{
        .url = fmt::format("{}/{}/resolve/{}/{}", options.endpoint, name.repository, commit, path)};
    HttpAnswer answer;
    // A renamed repository answers with its new name, on the same host; elsewhere lie the bytes alone.
    for (int hop = 0; hop < 5; ++hop) {
        answer = http_head(remote.url, http);
        const std::string& location = answer.headers["location"];
        if (answer.status < 300 || answer.status >= 400 || !location.starts_with("/")) break;
        remote.url = options.endpoint + location;
    }
    if (answer.status >= 400) refuse(answer.status, name, options);
    const auto header = [&](const char* first, const char* second) {
        std::string value = answer.headers[first].empty() ? answer.headers[second] : answer.headers[first];
        if (value.starts_with("W/")) value.erase(0, 2);
        std::erase(value, '"');
        return value;
    };
    remote.etag = header("x-linked-etag", "etag");
    const std::string size = header("x-linked-size", "content-length");
    if (!(is_hexadecimal(remote.etag, 64) || is_hexadecimal(remote.etag, 40)) || size.empty() ||
        size.find_first_not_of("0123456789") != std::string::npos || size.size() > 18)
        throw Error(remote.url + " has no checksum and size as a hub's file has", "", "look at HF_ENDPOINT");
    remote.size = std::stoull(size);
    return remote;
}

/// Holds a blob against other processes, ours and Hugging Face's, which lock the same file.
class BlobLock {
  public:
    BlobLock(const fs::path& path, Progress& progress) {
        fs::create_directories(path.parent_path());
        descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        while (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            if (progress.stop_requested()) {
                ::close(descriptor_);
                throw Stopped("another process is downloading the file");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }
    ~BlobLock() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    BlobLock(const BlobLock&) = delete;
    BlobLock& operator=(const BlobLock&) = delete;

  private:
    int descriptor_ = -1;
};

std::uint64_t size_of(const fs::path& path) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    return error ? 0 : size;
}

/// Bring a blob into the cache, from where an earlier download ended.
void download(const RemoteFile& remote, const fs::path& blob, const std::string& shown,
              const HttpOptions& http, Progress& progress) {
    const fs::path incomplete = blob.string() + ".incomplete";
    constexpr double kMega = 1e6;
    const auto megabytes = [&](std::uint64_t bytes) {
        return static_cast<std::int64_t>(static_cast<double>(bytes) / kMega);
    };
    const auto left_off = [&] {
        return Stopped(fmt::format("{} of {} MB are kept, the same command goes on from there",
                                   megabytes(size_of(incomplete)), megabytes(remote.size)));
    };
    if (size_of(incomplete) > remote.size) fs::remove(incomplete);
    std::error_code error;
    const fs::space_info space = fs::space(blob.parent_path(), error);
    if (!error && space.available < remote.size - size_of(incomplete))
        throw Error("no room for " + shown,
                    fmt::format("it has {} MB, {} has {} MB free", megabytes(remote.size),
                                blob.parent_path().string(), megabytes(space.available)),
                    "free some disk space, or set HF_HUB_CACHE to a folder elsewhere");
    progress.begin("download " + shown, megabytes(remote.size), "MB");
    constexpr int kTries = 5;
    int failures = 0;
    while (size_of(incomplete) < remote.size) {
        const std::uint64_t before = size_of(incomplete);
        std::string why = "it ended early";
        try {
            const long status = http_download(remote.url, incomplete, http,
                                              [&](std::uint64_t size) { progress.update(megabytes(size)); });
            if (status == 416)
                fs::remove(incomplete);
            else if (status != 200 && status != 206)
                why = fmt::format("the server answers with status {}", status);
        } catch (const Stopped&) {
            throw left_off();
        } catch (const Unreachable& e) {
            why = e.what();
        }
        if (size_of(incomplete) >= remote.size) break;
        failures = size_of(incomplete) > before ? 0 : failures + 1;
        if (failures == kTries)
            throw Error("cannot download " + shown, why,
                        fmt::format("{} of {} MB are kept, the same command goes on from there",
                                    megabytes(size_of(incomplete)), megabytes(remote.size)));
        for (int wait = 0; wait < (1 << failures); ++wait) {
            if (progress.stop_requested()) throw left_off();
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }
    const auto go_on = [&] {
        if (progress.stop_requested()) throw left_off();
    };
    const std::string sum = size_of(incomplete) != remote.size ? "another size"
                            : remote.etag.size() == 64         ? sha256_of(incomplete, go_on)
                                                               : git_sha1_of(incomplete, go_on);
    progress.end();
    if (sum != remote.etag) {
        fs::remove(incomplete);
        throw Error(shown + " was damaged on the way", "its checksum is not the one that the hub names",
                    "try again");
    }
    fs::rename(incomplete, blob);
}

/// The name in a snapshot leads to the blob; where links cannot be, the blob itself gets the name.
void put_name(const fs::path& name, const fs::path& blob) {
    fs::create_directories(name.parent_path());
    const fs::path passing = name.string() + fmt::format(".{}.tmp", ::getpid());
    std::error_code error;
    fs::remove(passing, error);
    fs::create_symlink(blob.lexically_relative(name.parent_path()), passing, error);
    if (error)
        fs::rename(blob, name);
    else
        fs::rename(passing, name);
}

}  // namespace

HubOptions hub_options() {
    HubOptions options;
    if (const std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) options.endpoint = endpoint;
    while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
    options.token = variable("HF_TOKEN");
    const std::string offline = variable("HF_HUB_OFFLINE");
    options.offline =
        offline == "1" || offline == "true" || offline == "TRUE" || offline == "yes" || offline == "ON";
    const std::string cache = variable("HF_HUB_CACHE"), home = variable("HF_HOME"),
                      xdg = variable("XDG_CACHE_HOME");
    if (!cache.empty())
        options.cache = cache;
    else if (!home.empty())
        options.cache = fs::path(home) / "hub";
    else if (!xdg.empty())
        options.cache = fs::path(xdg) / "huggingface/hub";
    else
        options.cache = fs::path(variable("HOME")) / ".cache/huggingface/hub";
    return options;
}

HubModel fetch_hub_model(const HubName& name, const HubOptions& options, Progress& progress) {
    const HttpOptions http{.token = options.token,
                           .stop_requested = [&] { return progress.stop_requested(); }};
    const std::string shown = HubName{name.repository, name.revision, ""}.text();
    const fs::path folder = folder_of(name, options);
    HubModel model;
    const auto from_cache = [&](const std::string& why) {
        const auto listing = ask_cache(name, options);
        if (!listing)
            throw Error("cannot read " + name.text(), why, "nothing of it is in " + options.cache.string());
        model.notes.push_back(fmt::format("{} is read as the cache has it: {}", name.text(), why));
        const auto files = choose_gguf(listing->files, name.file, shown);
        model.path = folder / "snapshots" / listing->commit / files.front();
    };
    if (options.offline) return from_cache("HF_HUB_OFFLINE is set"), model;
    Listing listing;
    try {
        listing = ask_hub(name, options, http);
    } catch (const Unreachable& e) {
        return from_cache(options.endpoint + " cannot be reached, " + e.what()), model;
    }
    const auto files = choose_gguf(listing.files, name.file, shown);
    try {
        for (const std::string& file : files) {
            const fs::path path = folder / "snapshots" / listing.commit / file;
            if (model.path.empty()) model.path = path;
            if (fs::exists(path)) continue;
            const RemoteFile remote = ask_file(file, listing.commit, name, options, http);
            const fs::path blob = folder / "blobs" / remote.etag;
            fs::create_directories(blob.parent_path());
            const BlobLock lock(options.cache / ".locks" / folder.filename() / (remote.etag + ".lock"),
                                progress);
            if (!fs::exists(blob)) download(remote, blob, file, http, progress);
            put_name(path, blob);
        }
        if (name.revision != listing.commit) {
            const fs::path ref = folder / "refs" / name.revision;
            fs::create_directories(ref.parent_path());
            AtomicFile file(ref);
            file.write(listing.commit);
            file.commit();
        }
    } catch (const Unreachable& e) {
        throw Error("cannot download " + name.text(), e.what(), "the same command tries again");
    } catch (const fs::filesystem_error& e) {
        throw Error("cannot write to " + options.cache.string(), e.code().message(),
                    "set HF_HUB_CACHE to a folder of yours");
    }
    return model;
}

}  // namespace tomograph
