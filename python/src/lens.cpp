#include "tomograph/lens/lens.h"

#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "open_model.h"
#include "prompt_words.h"
#include "work.h"

namespace tomograph::python {
namespace {

namespace fs = std::filesystem;
using namespace nb::literals;

struct LensWords {
    std::int64_t rows = 512;
    bool stream_only = false, exact = false;
    int threads = 0;
    std::uint64_t seed = 42;
    bool replace = false;  ///< the run that is where the captured one goes
};

LensOptions lens_options(const LensWords& words) {
    if (words.rows < 0)
        throw Error(fmt::format("{} rows cannot be read", words.rows), "", "give 1 or more, or 0 for all");
    LensOptions options{.rows = words.rows, .seed = words.seed, .threads = words.threads};
    if (words.stream_only) options.beside.clear();
    return options;
}

/// What reads a run, or captures it first, gives.
struct Read {
    Json table;
    std::vector<float> logit_depth, ridge_depth;
};

/// The twins' tables; what they are captured into goes into `folder`.
Json read_twins(const std::vector<fs::path>& twins, const Model& model, const Run& run,
                const fs::path& folder, const LensWords& words, Progress& progress) {
    Json tables = Json::array();
    LensOptions options = lens_options(words);
    options.beside.clear();
    for (const fs::path& path : twins) {
        const Model twin = Model::open(path.string(), held_weights(model.info()), words.threads,
                                       parse_side(model.info().side.empty() ? "source" : model.info().side));
        const Run read =
            capture_for_lens(twin, prompts_of_run(run), folder / fmt::format("twin-{}", tables.size()),
                             options, words.exact, Begin::fresh, "", progress);
        tables.push_back(lens_json(measure_lens(twin, read, options, progress).table));
    }
    return tables;
}

/// Of a run, or of prompts, which are captured into `out` first: (what `lens --json` prints, first layer of
/// each token by either lens). `folder` is for what twins read.
nb::tuple lens(OpenModel& open, const OpenRun* open_run, const PromptWords* prompt_words, const fs::path& out,
               const std::vector<fs::path>& twins, const fs::path& folder, const LensWords& words, bool save,
               nb::handle report) {
    const auto run = open_run == nullptr ? nullptr : open_run->shared();
    const PromptWords text = prompt_words == nullptr ? PromptWords{} : *prompt_words;
    const auto read = std::make_shared<Read>();
    const LensOptions options = lens_options(words);
    const Begin begin = words.replace ? Begin::replace : Begin::fresh;
    if (!run) about_files([&] { check_output_folder(out, FolderKind::run, begin); });
    open.use(
        [=](const Model& model, Progress& progress) {
            std::optional<Run> captured;
            if (!run)
                captured = capture_for_lens(model, make_prompts(model, text, progress), out, options,
                                            words.exact, begin, "", progress);
            const Run& owner = run ? *run : *captured;
            LensResult result = measure_lens(model, owner, options, progress);
            read->table = lens_json(result.table);
            read->table["twins"] = read_twins(twins, model, owner, folder, words, progress);
            if (save) about_files([&] { save_lens(owner, result); });
            read->logit_depth = std::move(result.logit_depth);
            read->ridge_depth = std::move(result.ridge_depth);
        },
        report);
    return nb::make_tuple(json_object(read->table), array_of(std::move(read->logit_depth)),
                          array_of(std::move(read->ridge_depth)));
}

/// One prompt's readings as arrays: tokens [t], layers [l], top and probabilities [l, t, k] and [t, k], kl
/// [l, t].
nb::dict reading_dict(const LensReading& reading) {
    const std::size_t tokens = reading.tokens.size(), layers = reading.sites.size(),
                      k = reading.own.empty() ? 0 : reading.own.front().top.size();
    std::vector<std::int32_t> top, own_top, layer;
    std::vector<float> p, own_p, kl;
    const auto add = [](const std::vector<LensCell>& cells, std::vector<std::int32_t>& words,
                        std::vector<float>& probabilities) {
        for (const LensCell& cell : cells) {
            words.insert(words.end(), cell.top.begin(), cell.top.end());
            for (const double one : cell.p) probabilities.push_back(static_cast<float>(one));
        }
    };
    add(reading.own, own_top, own_p);
    for (std::size_t s = 0; s < layers; ++s) {
        layer.push_back(reading.sites[s].layer);
        add(reading.cells[s], top, p);
        for (const LensCell& cell : reading.cells[s]) kl.push_back(static_cast<float>(cell.kl));
    }
    nb::dict dict;
    dict["tokens"] = array_of(reading.tokens);
    dict["layers"] = array_of(std::move(layer));
    dict["top"] = array_of(std::move(top), {layers, tokens, k});
    dict["probabilities"] = array_of(std::move(p), {layers, tokens, k});
    dict["kl"] = array_of(std::move(kl), {layers, tokens});
    dict["model_top"] = array_of(std::move(own_top), {tokens, k});
    dict["model_probabilities"] = array_of(std::move(own_p), {tokens, k});
    return dict;
}

/// `fitted_on`: what ridge lenses are fitted on; None: logit lenses.
nb::list lens_words(OpenModel& open, const PromptWords& prompt_words, const PromptWords* fitted_on,
                    const fs::path& folder, std::size_t n_top, const LensWords& words, nb::handle report) {
    LensOptions options = lens_options(words);
    if (fitted_on != nullptr) options.beside.clear();
    const auto text = fitted_on == nullptr ? std::nullopt : std::optional<PromptWords>(*fitted_on);
    if (n_top < 1 || n_top > 1000)
        throw Error(fmt::format("{} words of each layer cannot be given", n_top), "", "give 1 to 1000");
    const auto readings = std::make_shared<std::vector<LensReading>>();
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, prompt_words, progress);
            std::optional<Run> fitted;
            if (text)
                fitted = capture_for_lens(model, make_prompts(model, *text, progress), folder / "run",
                                          options, words.exact, Begin::fresh, "", progress);
            *readings = read_prompts(model, prompts, fitted ? &*fitted : nullptr, n_top, words.exact, options,
                                     progress);
        },
        report);
    nb::list list;
    for (const LensReading& reading : *readings) list.append(reading_dict(reading));
    return list;
}

}  // namespace

void bind_lens(nb::module_& module) {
    nb::class_<LensWords>(module, "LensWords")
        .def(nb::init<>())
        .def_rw("rows", &LensWords::rows)
        .def_rw("stream_only", &LensWords::stream_only)
        .def_rw("exact", &LensWords::exact)
        .def_rw("threads", &LensWords::threads)
        .def_rw("seed", &LensWords::seed)
        .def_rw("replace", &LensWords::replace);
    module.def("lens", &lens, "model"_a, "run"_a.none(), "prompts"_a.none(), "out"_a, "twins"_a, "folder"_a,
               "words"_a, "save"_a, "report"_a = nb::none());
    module.def("lens_words", &lens_words, "model"_a, "prompts"_a, "fitted_on"_a.none(), "folder"_a, "top"_a,
               "words"_a, "report"_a = nb::none());
}

}  // namespace tomograph::python
