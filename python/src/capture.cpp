#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "open_model.h"
#include "prompt_words.h"
#include "tomograph/capture/keep_words.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/store/merge.h"
#include "work.h"

namespace tomograph::python {
namespace {

namespace fs = std::filesystem;
using namespace nb::literals;

struct CaptureWords {
    std::string components, layers = ":", positions = ":", dtype = "auto", begin = "fresh", vector_components;
    std::string vector_layers = ":";
    double sample = 1;
    bool vectors = true, scores = false, exact = false, rope_off = false;
    double rope_frequency = 1;
    std::int64_t context = 0;  ///< 0: all
    KeepWords keep = {};
    int part = 1, parts = 1;
    int threads = 0;
    std::uint64_t seed = 42;
    double shard_mb = 256;
};

Begin begin_of(const std::string& word) {
    if (word == "fresh") return Begin::fresh;
    if (word == "replace") return Begin::replace;
    if (word == "resume") return Begin::resume;
    throw Error("a capture cannot begin by '" + word + "'", "", "there are fresh, replace and resume");
}

void check_ranges(const CaptureWords& words) {
    if (!(words.sample > 0 && words.sample <= 1))
        throw Error(fmt::format("a sample of {} of the tokens cannot be kept", words.sample), "",
                    "give a number above 0 and up to 1");
    if (!(words.shard_mb >= 0.001 && words.shard_mb <= 1e6))
        throw Error(fmt::format("a shard cannot have {} MB", words.shard_mb), "",
                    "give a number from 0.001 to 1,000,000");
    if (!(words.rope_frequency >= 0.01 && words.rope_frequency <= 100))
        throw Error(fmt::format("nothing is rotated {} times as fast", words.rope_frequency), "",
                    "give a number from 0.01 to 100");
    if (words.rope_off && words.rope_frequency != 1)
        throw Error("rope_off and rope_frequency exclude each other", "", "give one of them");
    if (words.context < 0)
        throw Error(fmt::format("a context of {} tokens cannot be read", words.context), "",
                    "give 1 or more");
    if (words.parts < 1 || words.parts > kMostParts || words.part < 1 || words.part > words.parts)
        throw Error(fmt::format("there is no part {} of {}", words.part, words.parts),
                    fmt::format("parts are counted from 1 to their number, at most {}", kMostParts), "");
    if (!words.keep.keep.empty() && (!words.vectors || words.sample != 1))
        throw Error("keep says all that is kept", "", "leave vectors and sample out");
}

CaptureOptions capture_options(const CaptureWords& words) {
    check_ranges(words);
    CaptureOptions options;
    if (!words.components.empty()) options.components = parse_components(words.components);
    if (!words.vector_components.empty())
        options.vector_components = parse_components(words.vector_components);
    options.layers = parse_range(words.layers, "layers");
    options.vector_layers = parse_range(words.vector_layers, "vector_layers");
    options.positions = parse_range(words.positions, "positions");
    options.dtype = find_dtype(words.dtype);
    if (words.dtype != "auto" && (!options.dtype || *options.dtype == Dtype::i32))
        throw Error("no vectors are kept as '" + words.dtype + "'", "", "there are auto, f32, f16 and bf16");
    options.begin = begin_of(words.begin);
    options.sample = words.sample;
    options.vectors = words.vectors;
    options.scores = words.scores;
    options.exact = words.exact;
    options.rope_off = words.rope_off;
    options.rope_frequency = words.rope_frequency;
    options.context = words.context;
    options.threads = words.threads;
    options.seed = words.seed;
    options.part = {words.part, words.parts};
    options.shard_bytes = static_cast<std::int64_t>(words.shard_mb * 1e6);
    words.keep.set(options);
    return options;
}

/// Notes of what was cut or assumed.
std::vector<std::string> capture_run(OpenModel& open, const PromptWords& prompts_words, const fs::path& out,
                                     const CaptureWords& words, nb::handle acts, const fs::path& acts_folder,
                                     nb::handle report) {
    const CaptureOptions options = capture_options(words);
    const Json spec = acts.is_none() ? Json() : json_of(acts);
    const auto notes = std::make_shared<std::vector<std::string>>();
    about_files([&] { check_output_folder(out, FolderKind::run, options.begin); });
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, prompts_words, progress);
            *notes = prompts.notes;
            CaptureOptions all = options;
            if (!spec.is_null())
                all.intervention = intervention(model, prompts, read_acts(spec, sites_of(model), acts_folder),
                                                options, progress);
            const auto engine = capture_engine(model, prompts, all, progress);
            if (words.keep.planned()) words.keep.plan(*engine, model.info(), prompts, all);
            const CaptureSummary summary = capture(model, *engine, prompts, out, all, progress);
            if (summary.n_sequences == 0)
                throw Error(fmt::format("part {} of {} has nothing to read", words.part, words.parts),
                            "there are fewer batches than parts", "use fewer parts");
            notes->insert(notes->end(), summary.notes.begin(), summary.notes.end());
        },
        report);
    return *notes;
}

}  // namespace

void bind_capture(nb::module_& module) {
    nb::class_<KeepWords>(module, "KeepWords")
        .def(nb::init<>())
        .def_rw("keep", &KeepWords::keep)
        .def_rw("budget", &KeepWords::budget)
        .def_rw("memory", &KeepWords::memory)
        .def_rw("axes_of", &KeepWords::axes_of)
        .def_rw("fit_tokens", &KeepWords::fit_tokens);
    nb::class_<CaptureWords>(module, "CaptureWords")
        .def(nb::init<>())
        .def_rw("components", &CaptureWords::components)
        .def_rw("vector_components", &CaptureWords::vector_components)
        .def_rw("vector_layers", &CaptureWords::vector_layers)
        .def_rw("layers", &CaptureWords::layers)
        .def_rw("positions", &CaptureWords::positions)
        .def_rw("dtype", &CaptureWords::dtype)
        .def_rw("begin", &CaptureWords::begin)
        .def_rw("sample", &CaptureWords::sample)
        .def_rw("vectors", &CaptureWords::vectors)
        .def_rw("scores", &CaptureWords::scores)
        .def_rw("exact", &CaptureWords::exact)
        .def_rw("rope_off", &CaptureWords::rope_off)
        .def_rw("rope_frequency", &CaptureWords::rope_frequency)
        .def_rw("context", &CaptureWords::context)
        .def_rw("keep", &CaptureWords::keep)
        .def_rw("part", &CaptureWords::part)
        .def_rw("parts", &CaptureWords::parts)
        .def_rw("threads", &CaptureWords::threads)
        .def_rw("seed", &CaptureWords::seed)
        .def_rw("shard_mb", &CaptureWords::shard_mb);
    module.def("capture", &capture_run, "model"_a, "prompts"_a, "out"_a, "words"_a, "acts"_a.none(),
               "acts_folder"_a, "report"_a = nb::none());
    module.def(
        "merge",
        [](const std::vector<fs::path>& runs, const fs::path& out, bool replace, bool copy,
           nb::handle report) {
            const MergeOptions options{.begin = replace ? Begin::replace : Begin::fresh, .copy = copy};
            about_files([&] {
                result_of<MergeSummary>(
                    [&](Progress& progress) { return merge_runs(runs, out, options, progress); }, report);
            });
        },
        "runs"_a, "out"_a, "replace"_a, "copy"_a, "report"_a = nb::none());
}

}  // namespace tomograph::python
