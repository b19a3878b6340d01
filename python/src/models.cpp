#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>

#include "arrays.h"
#include "bindings.h"
#include "open_model.h"
#include "tomograph/capture/capture.h"
#include "tomograph/engine/score.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/prompts/generate.h"
#include "tomograph/prompts/prompts.h"
#include "work.h"

namespace tomograph::python {
namespace {

namespace fs = std::filesystem;
using namespace nb::literals;

/// What a model is to read, in the command line's words.
struct PromptWords {
    std::string kind = "prompt";
    std::vector<std::string> texts;  ///< prompt: each a sequence
    std::vector<fs::path> files;     ///< text: files; jsonl: one
    std::string word;                ///< repeat
    std::int64_t length = 0;         ///< 0: the context, at most 512
    std::int64_t sequences = 0;      ///< 0: 32, of jsonl all
    std::int64_t rows = 0;           ///< vocabulary
    std::string start, special = "text", chat_template;
    bool ask = true;
    std::uint64_t seed = 42;
    std::int64_t generate = 0;
    double temperature = 0;
    std::vector<std::string> stops;
    int threads = 0;  ///< of what generates
};

PromptSet read_prompts(const Model& model, const PromptWords& words) {
    const Vocabulary& vocabulary = model.vocabulary();
    if (words.length < 0)
        throw Error("a sequence cannot have " + std::to_string(words.length) + " tokens", "",
                    "give a length of 1 or more");
    const std::int64_t length =
        words.length > 0 ? words.length : std::min<std::int64_t>(512, model.info().context_length);
    if (!words.start.empty() && words.start != "yes" && words.start != "no")
        throw Error("start is '" + words.start + "'", "", "it is yes, no or left out");
    const Start start = words.start.empty() ? Start::model : words.start == "yes" ? Start::yes : Start::no;
    const Special special = parse_special(words.special);
    if (words.kind == "prompt")
        return given_prompts(vocabulary,
                             {.prompts = words.texts, .length = length, .start = start, .special = special});
    if (words.kind == "jsonl")
        return jsonl_prompts(vocabulary, {.file = words.files.at(0),
                                          .sequences = words.sequences,
                                          .length = length,
                                          .start = start,
                                          .special = special,
                                          .chat_template = words.chat_template,
                                          .ask = words.ask});
    const std::int64_t sequences = words.sequences > 0 ? words.sequences : 32;
    if (words.kind == "text")
        return text_prompts(vocabulary, {.files = words.files,
                                         .sequences = sequences,
                                         .length = length,
                                         .start = start,
                                         .special = special});
    if (words.kind == "vocabulary")
        return vocabulary_prompts(vocabulary, {.rows = words.rows, .seed = words.seed, .start = start});
    if (words.kind == "positions")
        return positions_prompts(model, {.length = length, .sequences = sequences, .seed = words.seed});
    if (words.kind == "repeat")
        return repeat_prompts(vocabulary, {.token = {}, .word = words.word, .length = length});
    throw Error("no prompts are called '" + words.kind + "'", "",
                "there are prompt, jsonl, text, repeat, vocabulary and positions");
}

PromptSet make_prompts(const Model& model, const PromptWords& words, Progress& progress) {
    PromptSet prompts = read_prompts(model, words);
    if (words.generate > 0)
        add_answers(prompts, model,
                    {.most = words.generate,
                     .temperature = words.temperature,
                     .seed = words.seed,
                     .stops = words.stops,
                     .threads = words.threads},
                    progress);
    return prompts;
}

std::unique_ptr<Engine> make_engine(const Model& model, const PromptSet& prompts, bool exact, int threads,
                                    Progress& progress) {
    std::int64_t longest = 1;
    for (const Sequence& sequence : prompts.sequences) longest = std::max(longest, sequence.length());
    return model.make_engine(
        {.max_length = longest, .exact = exact, .threads = threads, .stop_requested = [&progress] {
             return progress.stop_requested();
         }});
}

std::vector<SiteShape> chosen_shapes(const Engine& engine, const std::vector<std::size_t>& sites) {
    std::vector<SiteShape> shapes;
    for (const std::size_t site : sites) shapes.push_back(engine.sites()[site]);
    return shapes;
}

/// Values and logits of one sequence, kept.
class Keep final : public Tap {
  public:
    Keep(const std::vector<SiteShape>& shapes, std::int64_t n_tokens) {
        for (const SiteShape& shape : shapes)
            values.emplace_back(static_cast<std::size_t>(n_tokens * shape.width()));
    }
    void take(const SiteBatch& batch) override {
        std::copy_n(batch.data, batch.n_tokens * batch.width,
                    values[batch.site].data() + batch.first_token * batch.width);
    }
    std::vector<std::vector<float>> values;
};

struct Activations {
    std::vector<SiteShape> shapes;
    std::vector<std::int32_t> tokens;
    std::vector<std::vector<float>> values;
};

nb::tuple activations(OpenModel& open, const PromptWords& words, const std::string& components,
                      const std::string& layers, bool exact, int threads, nb::handle report) {
    const auto result = std::make_shared<Activations>();
    const auto wanted = components.empty() ? std::vector<Component>() : parse_components(components);
    const Range range = parse_range(layers, "layers");
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, words, progress);
            if (prompts.sequences.size() != 1)
                throw Error("activations are those of one sequence", "there are several",
                            "use capture() for them");
            const auto engine = make_engine(model, prompts, exact, threads, progress);
            const auto sites = choose_sites(*engine, model.info(), wanted, range);
            result->shapes = chosen_shapes(*engine, sites);
            result->tokens = prompts.sequences[0].tokens;
            Keep keep(result->shapes, prompts.sequences[0].length());
            Plan plan{.reads = sites};
            plan.check_sums = true;
            engine->run(prompts.sequences, plan, keep);
            result->values = std::move(keep.values);
        },
        report);
    nb::dict dict;
    for (std::size_t i = 0; i < result->shapes.size(); ++i) {
        std::vector<std::size_t> shape{result->tokens.size()};
        for (const std::int64_t extent : result->shapes[i].shape)
            shape.push_back(static_cast<std::size_t>(extent));
        dict[result->shapes[i].site.name().c_str()] = array_of(std::move(result->values[i]), shape);
    }
    return nb::make_tuple(array_of(std::move(result->tokens)), dict);
}

/// Hands every value to Python as it comes, under the interpreter's lock.
class CallPython final : public Tap {
  public:
    CallPython(nb::handle tap, std::vector<SiteShape> shapes, std::vector<std::int64_t> starts,
               std::int64_t first_sequence)
        : tap_(tap), shapes_(std::move(shapes)), starts_(std::move(starts)), first_(first_sequence) {}
    void take(const SiteBatch& batch) override {
        const nb::gil_scoped_acquire lock;
        const SiteShape& site = shapes_[batch.site];
        std::int64_t token = batch.first_token;
        const std::int64_t end = token + batch.n_tokens;
        while (token < end) {
            // One call a sequence: batches hold several.
            const auto next = std::upper_bound(starts_.begin(), starts_.end(), token);
            const std::int64_t stop = next == starts_.end() ? end : std::min(end, *next);
            const std::int64_t sequence = next - starts_.begin() - 1;
            const float* data = batch.data + (token - batch.first_token) * batch.width;
            std::vector<std::size_t> shape{static_cast<std::size_t>(stop - token)};
            for (const std::int64_t extent : site.shape) shape.push_back(static_cast<std::size_t>(extent));
            tap_(site.site.name(), first_ + sequence, token - starts_[static_cast<std::size_t>(sequence)],
                 array_of(std::vector<float>(data, data + (stop - token) * batch.width), shape));
            token = stop;
        }
    }

  private:
    nb::handle tap_;
    std::vector<SiteShape> shapes_;
    std::vector<std::int64_t> starts_;
    std::int64_t first_;
};

std::int64_t stream(OpenModel& open, const PromptWords& words, nb::object tap, const std::string& components,
                    const std::string& layers, bool exact, int threads, nb::handle report) {
    const auto wanted = components.empty() ? std::vector<Component>() : parse_components(components);
    const Range range = parse_range(layers, "layers");
    const auto n_tokens = std::make_shared<std::int64_t>(0);
    const nb::handle called = tap;  // the caller holds it as long as the work goes on
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, words, progress);
            const auto engine = make_engine(model, prompts, exact, threads, progress);
            Plan plan{.reads = choose_sites(*engine, model.info(), wanted, range)};
            plan.check_sums = true;
            const std::span<const Sequence> all(prompts.sequences);
            std::int64_t total = 0;
            for (const Sequence& sequence : all) total += sequence.length();
            progress.begin("reading", total, "tokens");
            for (std::size_t first = 0; first < all.size();) {
                const auto batch = all.subspan(first, engine->next_batch(all.subspan(first)));
                std::vector<std::int64_t> starts;
                std::int64_t tokens = 0;
                for (const Sequence& sequence : batch) {
                    starts.push_back(tokens);
                    tokens += sequence.length();
                }
                CallPython call(called, chosen_shapes(*engine, plan.reads), std::move(starts),
                                static_cast<std::int64_t>(first));
                engine->run(batch, plan, call);
                plan.check_sums = false;
                first += batch.size();
                *n_tokens += tokens;
                progress.update(*n_tokens);
            }
            progress.end();
        },
        report);
    return *n_tokens;
}

/// Scores of every token, or the logits of the last.
struct Expected {
    std::vector<std::int32_t> tokens;
    std::vector<float> logprob, entropy, rank, logits;
};

class Score final : public Tap {
  public:
    Score(const std::vector<std::int32_t>& tokens, std::vector<std::int64_t> places, Expected& out)
        : tokens_(tokens), places_(std::move(places)), out_(out) {}
    void take(const SiteBatch&) override {}
    void take_logits(std::size_t which, std::span<const float> logits) override {
        const auto next = static_cast<std::size_t>(places_[which] + 1);
        if (next == tokens_.size()) {
            out_.logits.assign(logits.begin(), logits.end());
            return;
        }
        const TokenScore score = score_token(logits, tokens_[next]);
        out_.logprob[next] = score.logprob;
        out_.entropy[next] = score.entropy;
        out_.rank[next] = score.rank;
    }

  private:
    const std::vector<std::int32_t>& tokens_;
    std::vector<std::int64_t> places_;
    Expected& out_;
};

/// (tokens, logprob, entropy, rank, logits after the last token)
nb::tuple expected(OpenModel& open, const PromptWords& words, bool exact, int threads, nb::handle report) {
    const auto result = std::make_shared<Expected>();
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, words, progress);
            if (prompts.sequences.size() != 1)
                throw Error("scores are those of one sequence", "there are several",
                            "use capture(scores=True) for them");
            result->tokens = prompts.sequences[0].tokens;
            const std::size_t n = result->tokens.size();
            for (auto* column : {&result->logprob, &result->entropy, &result->rank})
                column->assign(n, std::nanf(""));
            const auto engine = make_engine(model, prompts, exact, threads, progress);
            Plan plan;
            for (std::size_t t = 0; t < n; ++t) plan.logits.push_back(static_cast<std::int64_t>(t));
            Score score(result->tokens, plan.logits, *result);
            engine->run(prompts.sequences, plan, score);
        },
        report);
    return nb::make_tuple(array_of(std::move(result->tokens)), array_of(std::move(result->logprob)),
                          array_of(std::move(result->entropy)), array_of(std::move(result->rank)),
                          array_of(std::move(result->logits)));
}

struct CaptureWords {
    std::string components, layers = ":", positions = ":", dtype = "auto", begin = "fresh", vector_components;
    double sample = 1;
    bool vectors = true, scores = false, exact = false, rope_off = false;
    int threads = 0;
    std::uint64_t seed = 42;
    double shard_mb = 256;
};

CaptureOptions capture_options(const CaptureWords& words) {
    CaptureOptions options;
    if (!words.components.empty()) options.components = parse_components(words.components);
    if (!words.vector_components.empty())
        options.vector_components = parse_components(words.vector_components);
    options.layers = parse_range(words.layers, "layers");
    options.positions = parse_range(words.positions, "positions");
    options.dtype = find_dtype(words.dtype);
    if (words.dtype != "auto" && (!options.dtype || *options.dtype == Dtype::i32))
        throw Error("no vectors are kept as '" + words.dtype + "'", "", "there are auto, f32, f16 and bf16");
    if (words.begin != "fresh" && words.begin != "replace" && words.begin != "resume")
        throw Error("a capture cannot begin by '" + words.begin + "'", "",
                    "there are fresh, replace and resume");
    options.begin = words.begin == "replace"  ? Begin::replace
                    : words.begin == "resume" ? Begin::resume
                                              : Begin::fresh;
    if (!(words.sample > 0 && words.sample <= 1))
        throw Error(fmt::format("a sample of {} of the tokens cannot be kept", words.sample), "",
                    "give a number above 0 and up to 1");
    if (!(words.shard_mb >= 0.001 && words.shard_mb <= 1e6))
        throw Error(fmt::format("a shard cannot have {} MB", words.shard_mb), "",
                    "give a number from 0.001 to 1,000,000");
    options.sample = words.sample;
    options.vectors = words.vectors;
    options.scores = words.scores;
    options.exact = words.exact;
    options.rope_off = words.rope_off;
    options.threads = words.threads;
    options.seed = words.seed;
    options.shard_bytes = static_cast<std::int64_t>(words.shard_mb * 1e6);
    return options;
}

std::vector<SiteShape> sites_of(const Model& model) {
    return model.make_engine({.max_length = 4})->sites();
}

/// Notes of what was cut or assumed.
std::vector<std::string> capture_run(OpenModel& open, const PromptWords& prompts_words, const fs::path& out,
                                     const CaptureWords& words, nb::handle acts, nb::handle report) {
    const CaptureOptions options = capture_options(words);
    const Json spec = acts.is_none() ? Json() : json_of(acts);
    const auto notes = std::make_shared<std::vector<std::string>>();
    about_files([&] { check_output_folder(out, FolderKind::run, options.begin); });
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, prompts_words, progress);
            *notes = prompts.notes;
            CaptureOptions with_acts = options;
            if (!spec.is_null())
                with_acts.intervention = intervention(
                    model, prompts, read_acts(spec, sites_of(model), fs::current_path()), options, progress);
            const CaptureSummary summary = capture(model, prompts, out, with_acts, progress);
            notes->insert(notes->end(), summary.notes.begin(), summary.notes.end());
        },
        report);
    return *notes;
}

nb::any intervene(OpenModel& open, const PromptWords& words, nb::handle acts,
                  const std::vector<std::string>& contrast, bool control, int bootstrap, std::uint64_t seed,
                  bool exact, int threads, nb::handle report) {
    const Json spec = json_of(acts);
    const auto effect = std::make_shared<Json>();
    open.use(
        [=](const Model& model, Progress& progress) {
            const PromptSet prompts = make_prompts(model, words, progress);
            InterveneOptions options{.exact = exact,
                                     .threads = threads,
                                     .seed = seed,
                                     .control = control,
                                     .bootstrap = bootstrap,
                                     .contrast = {}};
            for (const std::string& word : contrast)
                options.contrast.push_back(single_token(model.vocabulary(), word));
            const auto read = read_acts(spec, sites_of(model), fs::current_path());
            const auto measured = measure_effect(model, prompts, read, options, progress);
            *effect = effect_json(measured, model.vocabulary());
        },
        report);
    return json_object(*effect);
}

nb::tuple generate(OpenModel& open, const PromptWords& words, nb::handle report) {
    const auto prompts = std::make_shared<PromptSet>();
    open.use([=](const Model& model, Progress& progress) { *prompts = make_prompts(model, words, progress); },
             report);
    nb::list answers, tokens;
    for (const Json& text : prompts->texts) answers.append(json_object(text.at("answer")));
    for (const Sequence& sequence : prompts->sequences) tokens.append(array_of(sequence.tokens));
    return nb::make_tuple(answers, tokens);
}

std::unique_ptr<OpenModel> open_model(const fs::path& path, const std::string& weights, int threads,
                                      nb::handle report) {
    const auto model = std::make_shared<std::shared_ptr<const Model>>();
    const HeldWeights held = parse_held_weights(weights);
    about_files([&] {
        do_model_work(
            [=](Progress&) { *model = std::make_shared<const Model>(Model::open(path.string(), held, threads)); },
            report, [] {});
    });
    return std::make_unique<OpenModel>(*model);
}

void bind_words(nb::module_& module) {
    nb::class_<PromptWords>(module, "PromptWords")
        .def(nb::init<>())
        .def_rw("kind", &PromptWords::kind)
        .def_rw("texts", &PromptWords::texts)
        .def_rw("files", &PromptWords::files)
        .def_rw("word", &PromptWords::word)
        .def_rw("length", &PromptWords::length)
        .def_rw("sequences", &PromptWords::sequences)
        .def_rw("rows", &PromptWords::rows)
        .def_rw("start", &PromptWords::start)
        .def_rw("special", &PromptWords::special)
        .def_rw("chat_template", &PromptWords::chat_template)
        .def_rw("ask", &PromptWords::ask)
        .def_rw("seed", &PromptWords::seed)
        .def_rw("generate", &PromptWords::generate)
        .def_rw("temperature", &PromptWords::temperature)
        .def_rw("stops", &PromptWords::stops)
        .def_rw("threads", &PromptWords::threads);
    nb::class_<CaptureWords>(module, "CaptureWords")
        .def(nb::init<>())
        .def_rw("components", &CaptureWords::components)
        .def_rw("vector_components", &CaptureWords::vector_components)
        .def_rw("layers", &CaptureWords::layers)
        .def_rw("positions", &CaptureWords::positions)
        .def_rw("dtype", &CaptureWords::dtype)
        .def_rw("begin", &CaptureWords::begin)
        .def_rw("sample", &CaptureWords::sample)
        .def_rw("vectors", &CaptureWords::vectors)
        .def_rw("scores", &CaptureWords::scores)
        .def_rw("exact", &CaptureWords::exact)
        .def_rw("rope_off", &CaptureWords::rope_off)
        .def_rw("threads", &CaptureWords::threads)
        .def_rw("seed", &CaptureWords::seed)
        .def_rw("shard_mb", &CaptureWords::shard_mb);
}

}  // namespace

void bind_models(nb::module_& module) {
    bind_words(module);
    nb::class_<OpenModel>(module, "Model")
        .def("close", &OpenModel::close)
        .def_prop_ro("closed", &OpenModel::closed)
        .def_prop_ro("info",
                     [](const OpenModel& model) { return json_object(model_json(model.get().info())); })
        .def(
            "tokenize",
            [](const OpenModel& model, const std::string& text, bool special) {
                return array_of(model.get().vocabulary().tokenize(text, special));
            },
            "text"_a, "special"_a = false)
        .def(
            "pieces",
            [](const OpenModel& model, const std::vector<std::int32_t>& tokens) {
                nb::list list;
                for (const std::int32_t token : tokens) {
                    const std::string piece = model.get().vocabulary().piece(token);
                    list.append(nb::bytes(piece.data(), piece.size()));
                }
                return list;
            },
            "tokens"_a)
        .def("sites",
             [](OpenModel& open) {
                 const auto shapes = std::make_shared<std::vector<SiteShape>>();
                 open.use([=](const Model& model, Progress&) { *shapes = sites_of(model); }, nb::none());
                 nb::list list;
                 for (const SiteShape& site : *shapes)
                     list.append(nb::make_tuple(site.site.name(), nb::tuple(nb::cast(site.shape))));
                 return list;
             })
        .def("activations", &activations, "prompts"_a, "components"_a, "layers"_a, "exact"_a, "threads"_a,
             "report"_a = nb::none())
        .def("stream", &stream, "prompts"_a, "tap"_a, "components"_a, "layers"_a, "exact"_a, "threads"_a,
             "report"_a = nb::none())
        .def("expected", &expected, "prompts"_a, "exact"_a, "threads"_a, "report"_a = nb::none())
        .def("capture", &capture_run, "prompts"_a, "out"_a, "words"_a, "acts"_a.none(),
             "report"_a = nb::none())
        .def("intervene", &intervene, "prompts"_a, "acts"_a, "contrast"_a, "control"_a, "bootstrap"_a,
             "seed"_a, "exact"_a, "threads"_a, "report"_a = nb::none())
        .def("generate", &generate, "prompts"_a, "report"_a = nb::none());
    module.def("open_model", &open_model, "path"_a, "weights"_a, "threads"_a, "report"_a = nb::none());
    module.def("embedded_models", &embedded_models);
}

}  // namespace tomograph::python
