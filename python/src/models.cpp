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
#include "prompt_words.h"
#include "tomograph/capture/capture.h"
#include "tomograph/engine/score.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/prompts/prompts.h"
#include "work.h"

namespace tomograph::python {
namespace {

namespace fs = std::filesystem;
using namespace nb::literals;

std::unique_ptr<Engine> make_engine(const Model& model, const PromptSet& prompts, bool exact, int threads,
                                    Progress& progress) {
    return model.make_engine(engine_options(prompts, {.exact = exact, .threads = threads}, progress));
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

nb::any intervene(OpenModel& open, const PromptWords& words, nb::handle acts, const fs::path& acts_folder,
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
            const auto read = read_acts(spec, sites_of(model), acts_folder);
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
                                      const std::string& side, nb::handle report) {
    const auto model = std::make_shared<std::shared_ptr<const Model>>();
    const HeldWeights held = parse_held_weights(weights);
    const Side of = parse_side(side);
    about_files([&] {
        do_model_work(
            [=](Progress&) {
                *model = std::make_shared<const Model>(Model::open(path.string(), held, threads, of));
            },
            report, [] {});
    });
    return std::make_unique<OpenModel>(*model);
}

}  // namespace

std::vector<SiteShape> sites_of(const Model& model) {
    return model.make_engine({.max_length = 4})->sites();
}

void bind_models(nb::module_& module) {
    bind_prompt_words(module);
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
        .def("intervene", &intervene, "prompts"_a, "acts"_a, "acts_folder"_a, "contrast"_a, "control"_a,
             "bootstrap"_a, "seed"_a, "exact"_a, "threads"_a, "report"_a = nb::none())
        .def("generate", &generate, "prompts"_a, "report"_a = nb::none());
    module.def("open_model", &open_model, "path"_a, "weights"_a, "threads"_a, "side"_a,
               "report"_a = nb::none());
    module.def("embedded_models", &embedded_models);
}

}  // namespace tomograph::python
