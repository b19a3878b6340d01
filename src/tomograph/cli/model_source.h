#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "tomograph/base/progress.h"
#include "tomograph/model/model.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// What MODEL may be, for the help of every command that takes one.
inline constexpr const char* kModelHelp =
    "GGUF file, hf:org/name[:FILE or type] from a hub, or bytes-gpt2 or bytes-llama (built in)";

/// The file of a model that was named on the command line: one from a hub is downloaded first, where the
/// cache has it not; any other name is given back as it is. Notes go to standard error. Errors: as
/// fetch_hub_model.
std::string find_model(const std::string& name, Progress& progress);

inline constexpr const char* kDefaultWeights = "auto";
/// --weights: how a command that runs a model holds them. And --rpc: on which workers, --gpu-layers: how much
/// of it on graphics cards.
CLI::Option* add_weights(CLI::App& command, std::string& weights);
/// As --weights would say it: how a run's model held them. What is asked about a run is asked of the same
/// numbers.
std::string weights_of(const Run& run);
/// --side: which of the two streams of an encoder and a decoder in one file.
CLI::Option* add_side(CLI::App& command, std::string& side);
/// What --side names; the source where it was not given.
Side side_named(const std::string& side);
/// As --side would say it of a run's model; empty where there is one.
std::string side_of(const Run& run);
/// The model of a file, with its weights held as --weights says and the side that --side names; notes say so
/// where they were decoded and take much memory, and where there is another side.
Model open_held(const std::string& file, const std::string& weights, int threads,
                const std::string& side = "");

}  // namespace tomograph
