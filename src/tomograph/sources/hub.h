#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"

namespace tomograph {

/// A model on a hub: "hf:org/name", then perhaps "@revision", then perhaps ":" and a file's name or the type
/// of its weights ("Q4_K_M").
struct HubName {
    std::string repository;  ///< "org/name"
    std::string revision = "main";
    std::string file;  ///< or a type; empty: the only one there is

    std::string text() const;
};
bool is_hub_name(const std::string& text);
/// Errors: Error for what is no such name.
HubName parse_hub_name(const std::string& text);

/// Where a hub is, and where what came from it is kept: as Hugging Face's own tools have it.
struct HubOptions {
    std::string endpoint = "https://huggingface.co";
    std::filesystem::path cache;
    std::string token;     ///< empty: none
    bool offline = false;  ///< only what the cache holds
};
/// From HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, and for the cache HF_HUB_CACHE, HF_HOME/hub,
/// XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub.
HubOptions hub_options();

struct HubModel {
    std::filesystem::path path;  ///< of the file; of the first, where there are several
    std::vector<std::string> notes;
};
/// A model's file from the cache, downloaded first where it is not there whole: as
/// models--org--name/{blobs/ETAG,refs/REVISION,snapshots/COMMIT/FILE}, so that other programs find it too.
/// What was cut off goes on where it ended. Every file is compared with the checksum by which the hub names
/// it. Where the hub cannot be reached, what the cache has of that revision is taken, and a note says so.
/// Errors: Stopped; Error that tells apart a name that is not there, one that needs a token, several files to
/// choose from (it lists them), a damaged download, a full disk.
HubModel fetch_hub_model(const HubName& name, const HubOptions& options, Progress& progress);

/// GGUF files of a repository, from which `wanted` (a file, a type, or nothing) chooses one: all parts of it.
/// `shown` is the repository in messages. Errors: Error that lists what is there.
std::vector<std::string> choose_gguf(const std::vector<std::string>& files, const std::string& wanted,
                                     const std::string& shown);

}  // namespace tomograph
