#include "tomograph/intervene/advise.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/loss_flags.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/weights.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

struct AdviseFlags {
    LossFlags loss;
    std::vector<int> ranks{16, 64};
    std::string layers = ":", type = "q4_0", out, folder;
    bool no_quantization = false, json = false, force = false;
};

/// A model file that goes when this does.
class Passing {
  public:
    explicit Passing(fs::path path) : path_(std::move(path)) {}
    ~Passing() {
        std::error_code ignored;
        fs::remove(path_, ignored);
    }
    Passing(const Passing&) = delete;
    Passing& operator=(const Passing&) = delete;
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

double bytes_of(const std::vector<WeightTensor>& tensors, std::optional<WeightPart> part) {
    double bytes = 0;
    for (const WeightTensor& tensor : tensors) {
        if (!part || in_part(tensor, *part)) bytes += static_cast<double>(tensor.bytes);
    }
    return bytes;
}

QuantizedLosses measure_quantized(const AdviseFlags& flags, const std::vector<WeightTensor>& weights,
                                  const std::vector<Sequence>& sequences, Progress& progress) {
    QuantizedLosses losses{.type = flags.type};
    const fs::path folder = flags.folder.empty() ? fs::temp_directory_path() : fs::path(flags.folder);
    const Passing file(folder / fmt::format("tomograph-advise-{}.gguf", ::getpid()));
    const auto measure = [&](const std::vector<WeightPart>& parts, const std::string& what) {
        if (progress.stop_requested()) throw Stopped("nothing was measured");
        progress.begin("quantise " + what, 1, "models");
        quantize_parts(flags.loss.model, file.path(), flags.type, parts, flags.loss.threads);
        const Model model = Model::open(file.path().string());
        std::vector<double> result =
            measure_losses(model, sequences, flags.loss.exact, flags.loss.threads, progress);
        progress.end();
        return result;
    };
    const auto saves = [&](WeightPart part) {
        return (bytes_of(weights, part) - bytes_of(weight_tensors(file.path().string()), part)) /
               bytes_of(weights, std::nullopt);
    };
    losses.neither = measure({}, "nothing");
    losses.attention = measure({WeightPart::attention}, "attention");
    losses.attention_saves = saves(WeightPart::attention);
    losses.mlp = measure({WeightPart::mlp}, "the MLP");
    losses.mlp_saves = saves(WeightPart::mlp);
    losses.both = measure({WeightPart::attention, WeightPart::mlp}, "both");
    return losses;
}

void run_advise(AdviseFlags flags, Progress& progress) {
    const AdviseOptions options{.ranks = flags.ranks,
                                .layers = as_usage([&] { return parse_range(flags.layers, "layers"); }),
                                .exact = flags.loss.exact,
                                .threads = flags.loss.threads,
                                .seed = flags.loss.seed};
    if (!flags.out.empty()) check_output_file(flags.out, {.force = flags.force});
    flags.loss.model = find_model(flags.loss.model, progress);
    const Model model = flags.loss.open(progress);
    const PromptSet prompts = flags.loss.read(model);
    print_notes(prompts.notes);
    const auto weights = weight_tensors(flags.loss.model);
    AdviseReport report = advise(model, prompts, weights, options, progress);
    if (!flags.no_quantization)
        add_quantization(report, measure_quantized(flags, weights, measured_half(prompts), progress),
                         options);
    if (!flags.out.empty()) write_json(flags.out, advise_json(report));
    if (flags.json) return print_json(advise_json(report));
    print_notes(report.notes);
    say("{}", advise_table(report));
}

}  // namespace

void add_advise(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<AdviseFlags>();
    CLI::App* command = app.add_subcommand(
        "advise", "What could be taken out of a model: what it saves, and what it costs in loss");
    flags->loss.add(*command, 16, false);
    command
        ->add_option("--ranks", flags->ranks, "Directions to keep of what a component adds (default: 16,64)")
        ->delimiter(',')
        ->check(CLI::PositiveNumber);
    command->add_option("--layers", flags->layers, "Half-open range such as 2:9 (default: all)");
    command->add_option("--type", flags->type, "Weights' type to quantise to: q8_0, q5_0 or q4_0")
        ->capture_default_str()
        ->check(CLI::IsMember({"q8_0", "q5_0", "q4_0"}));
    command->add_option(
        "--folder", flags->folder,
        "Where quantised models are written and deleted again: one at a time, about 4 bytes a "
        "parameter (default: the system's folder for temporary files)");
    command->add_flag("--no-quantization", flags->no_quantization, "Leave quantisation out");
    command->add_option("--out", flags->out, "Also write the JSON to this file");
    command->add_flag("--force", flags->force, "Replace the file that --out names");
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags, &progress] { run_advise(*flags, progress); });
}

}  // namespace tomograph
