#include "tomograph/lens/lens.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/measures.h"
#include "tomograph/model/model.h"
#include "tomograph/store/run_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

struct LensFlags {
    std::string source, model, out, figure, weights, lens = "logit";
    std::vector<std::string> text, prompts, twins;
    std::optional<std::int64_t> sequences, length;
    std::int64_t rows = 512;
    std::size_t top = 5;
    bool exact = false, json = false, force = false, stream_only = false;
    int threads = 0;
    std::uint64_t seed = 42;
};

/// A folder for vectors that only this command reads, deleted with all that it holds.
class PassingFolder {
  public:
    PassingFolder() {
        std::string name = (fs::temp_directory_path() / "tomograph-lens-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw Error("cannot make a folder for the vectors in " + fs::temp_directory_path().string(),
                        std::strerror(errno), "keep them with --out RUN");
        path_ = name;
    }
    ~PassingFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    PassingFolder(const PassingFolder&) = delete;
    PassingFolder& operator=(const PassingFolder&) = delete;
    fs::path operator/(const std::string& name) const { return path_ / name; }

  private:
    fs::path path_;
};

bool is_run(const std::string& path) {
    const FolderKind kind = folder_kind(path);
    return kind == FolderKind::run || kind == FolderKind::study;
}

void check_flags(const LensFlags& flags, bool run) {
    const auto refuse = [](bool given, const char* what) {
        if (given) throw CLI::ValidationError(what);
    };
    refuse(run && (!flags.text.empty() || flags.sequences || flags.length || flags.exact),
           "--text, --sequences, --length and --exact are for a model: a run has been captured");
    refuse(run && !flags.out.empty(), "--out is for a model: a run keeps its lens itself");
    refuse(!run && !flags.model.empty(), "--model is for a run");
    refuse(run && !flags.prompts.empty(), "--prompt is for a model");
    refuse(!flags.prompts.empty() && (!flags.twins.empty() || !flags.figure.empty() || !flags.out.empty()),
           "--prompt shows words by layer: --twin, --figure and --out are for a text");
    refuse(flags.prompts.empty() && flags.lens != "logit",
           "--lens chooses what --prompt shows; a text is read through both");
}

PromptSet text_of(const LensFlags& flags, const Model& model) {
    return text_prompts(
        model.vocabulary(),
        {.files = {flags.text.begin(), flags.text.end()},
         .sequences = flags.sequences.value_or(16),
         .length = flags.length.value_or(std::min<std::int64_t>(256, default_length(model.info())))});
}

LensOptions options_of(const LensFlags& flags) {
    LensOptions options{.rows = flags.rows, .seed = flags.seed, .threads = flags.threads};
    if (flags.stream_only) options.beside.clear();
    return options;
}

/// Figures FILE and FILE-rank, with their format.
void draw(const Run& run, const LensTable& table, const std::vector<LensTable>& twins, const fs::path& file) {
    const std::vector<Chart> charts = lens_charts(table, twins);
    fs::path rank = file;
    rank.replace_filename(file.stem().string() + "-rank" + file.extension().string());
    draw_chart(charts.at(0), run, file);
    draw_chart(charts.at(1), run, rank);
}

std::vector<LensTable> lenses_of_twins(const LensFlags& flags, const Model& model, const Run& run,
                                       const PassingFolder& passing, Progress& progress) {
    std::vector<LensTable> tables;
    for (const std::string& path : flags.twins) {
        const Model twin = Model::open(path, held_weights(model.info()), flags.threads);
        LensOptions options = options_of(flags);
        options.beside.clear();
        const Run read =
            capture_for_lens(twin, prompts_of_run(run), passing / fmt::format("twin-{}", tables.size()),
                             options, flags.exact, Begin::fresh, this_command(), progress);
        tables.push_back(measure_lens(twin, read, options, progress).table);
    }
    return tables;
}

void read_text(const LensFlags& flags, Progress& progress) {
    const bool of_run = is_run(flags.source);
    const PassingFolder passing;
    std::string model_path = flags.source;
    std::optional<Run> run;
    if (of_run) {
        run = Run::open(run_folder(flags.source));
        model_path = flags.model.empty() ? run->json().at("model").value("path", "") : flags.model;
        if (model_path.empty())
            throw Error(flags.source + " does not say which model it is from", "",
                        "name it with --model GGUF");
    }
    const Model model =
        open_held(find_model(model_path, progress),
                  !flags.weights.empty() ? flags.weights : (run ? weights_of(*run) : kDefaultWeights),
                  flags.threads, run ? side_of(*run) : "");
    if (!run) {
        const PromptSet prompts = text_of(flags, model);
        print_notes(prompts.notes);
        const fs::path folder = flags.out.empty() ? passing / "run" : fs::path(flags.out);
        run = capture_for_lens(model, prompts, folder, options_of(flags), flags.exact,
                               flags.force ? Begin::replace : Begin::fresh, this_command(), progress);
    }
    const LensResult result = measure_lens(model, *run, options_of(flags), progress);
    if (result.table.fitted_on < 4 * model.info().d_model)
        print_notes(
            {fmt::format("ridge lenses of {} coordinates were fitted on {} tokens: more text makes them "
                         "better",
                         model.info().d_model, result.table.fitted_on)});
    const std::vector<LensTable> twins = lenses_of_twins(flags, model, *run, passing, progress);
    const bool kept = of_run || !flags.out.empty();
    if (kept) save_lens(*run, result);
    if (!flags.figure.empty()) draw(*run, result.table, twins, flags.figure);
    if (flags.json) {
        Json json = lens_json(result.table);
        json["twins"] = Json::array();
        for (const LensTable& twin : twins) json["twins"].push_back(lens_json(twin));
        return print_json(json);
    }
    say("{}", lens_text(result.table, twins));
    if (kept)
        say("{}: measures/lens.json, and the scores lens_depth and ridge_depth of its tokens\n",
            run->path().string());
}

std::string word_of(const Vocabulary& vocabulary, std::int32_t token) {
    return token < 0 ? std::string() : printable(vocabulary.piece(token));
}
/// In quotes, so that spaces are seen.
std::string quoted(const Vocabulary& vocabulary, std::int32_t token) {
    return fmt::format("'{}'", word_of(vocabulary, token));
}

/// `text` in a field of `width` characters of a terminal.
std::string cell(std::string text, std::size_t width) {
    const auto length = [](const std::string& of) {
        return static_cast<std::size_t>(std::count_if(
            of.begin(), of.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
    };
    while (length(text) > width) {
        do text.pop_back();
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80);
    }
    return text + std::string(width - length(text) + 1, ' ');
}

void print_words(const LensReading& reading, const Vocabulary& vocabulary) {
    constexpr std::size_t kShown = 8, kWidth = 12;
    const std::size_t n = reading.tokens.size(), first = n > kShown ? n - kShown : 0;
    const auto line = [&](const std::string& head, auto word) {
        std::string text = cell(head, 6);
        for (std::size_t t = first; t < n; ++t) text += cell(word(t), kWidth);
        say("{}\n", text.substr(0, text.find_last_not_of(' ') + 1));
    };
    const auto top = [&](const LensCell& of) {
        return of.top.empty() ? std::string() : quoted(vocabulary, of.top.front());
    };
    if (first > 0) say("(the last {} of {} tokens)\n", kShown, n);
    line("reads", [&](std::size_t t) { return quoted(vocabulary, reading.tokens[t]); });
    line("model", [&](std::size_t t) { return top(reading.own[t]); });
    for (std::size_t s = reading.sites.size(); s-- > 0;)
        line(std::to_string(reading.sites[s].layer), [&](std::size_t t) { return top(reading.cells[s][t]); });
    std::string likely;
    const LensCell& last = reading.own.back();
    for (std::size_t i = 0; i < last.top.size(); ++i)
        likely += fmt::format("{}{} {:.3f}", i == 0 ? "" : "  ", quoted(vocabulary, last.top[i]), last.p[i]);
    say("next   {}\n\n", likely);
}

Json words_json(const LensReading& reading, const Vocabulary& vocabulary) {
    const auto words = [&](const std::vector<LensCell>& cells) {
        Json list = Json::array();
        for (const LensCell& one : cells) {
            Json top = Json::array();
            for (std::size_t i = 0; i < one.top.size(); ++i)
                top.push_back({{"token", one.top[i]},
                               {"text", word_of(vocabulary, one.top[i])},
                               {"probability", one.p[i]}});
            list.push_back({{"kl", one.kl}, {"top", top}});
        }
        return list;
    };
    Json json = {{"tokens", Json::array()}, {"model", words(reading.own)}, {"layers", Json::array()}};
    for (const std::int32_t token : reading.tokens)
        json["tokens"].push_back({{"token", token}, {"text", word_of(vocabulary, token)}});
    for (std::size_t s = 0; s < reading.sites.size(); ++s)
        json["layers"].push_back({{"layer", reading.sites[s].layer}, {"positions", words(reading.cells[s])}});
    return json;
}

void read_given(const LensFlags& flags, Progress& progress) {
    const PassingFolder passing;
    const Model model = open_held(find_model(flags.source, progress),
                                  flags.weights.empty() ? kDefaultWeights : flags.weights, flags.threads);
    const PromptSet prompts = given_prompts(
        model.vocabulary(),
        {.prompts = flags.prompts, .length = flags.length.value_or(default_length(model.info()))});
    print_notes(prompts.notes);
    LensOptions options = options_of(flags);
    std::optional<Run> fitted;
    if (flags.lens == "ridge") {
        options.beside.clear();
        fitted = capture_for_lens(model, text_of(flags, model), passing / "run", options, flags.exact,
                                  Begin::fresh, this_command(), progress);
    }
    const auto readings =
        read_prompts(model, prompts, fitted ? &*fitted : nullptr, flags.top, flags.exact, options, progress);
    if (flags.json) {
        Json json = {{"lens", flags.lens}, {"prompts", Json::array()}};
        for (const LensReading& reading : readings)
            json["prompts"].push_back(words_json(reading, model.vocabulary()));
        return print_json(json);
    }
    for (const LensReading& reading : readings) print_words(reading, model.vocabulary());
}

void run_lens(const LensFlags& flags, Progress& progress) {
    check_flags(flags, is_run(flags.source));
    if (!flags.figure.empty()) {
        figure_format(flags.figure);
        check_output_file(flags.figure, {.force = flags.force});
        find_gnuplot();
    }
    if (!flags.out.empty())
        check_output_folder(flags.out, FolderKind::run, flags.force ? Begin::replace : Begin::fresh);
    flags.prompts.empty() ? read_text(flags, progress) : read_given(flags, progress);
}

}  // namespace

void add_lens(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<LensFlags>();
    CLI::App* command = app.add_subcommand(
        "lens",
        "Show what each layer would answer: the model's head on its streams, by logit and ridge lens");
    command
        ->add_option("RUN|MODEL", flags->source,
                     "Run folder or study, whose stored vectors are read; or GGUF file, hf:org/name "
                     "from a hub, bytes-gpt2 or bytes-llama")
        ->required();
    command->add_option("--model", flags->model,
                        "Of a run: its GGUF file (default: where it was captured from)");
    command->add_option("--text", flags->text, "Text files (default: a chapter of Moby-Dick)");
    command
        ->add_option("--prompt", flags->prompts,
                     "Show the most probable word by layer after each token of this; may be given again")
        ->allow_extra_args(false);
    command
        ->add_option("--lens", flags->lens,
                     "With --prompt: logit, or ridge, whose maps are fitted on the text first")
        ->capture_default_str()
        ->check(CLI::IsMember({"logit", "ridge"}));
    command->add_option("--top", flags->top, "With --prompt: so many words a cell of the JSON")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    command->add_option("--sequences", flags->sequences, "At most so many sequences of text (default 16)")
        ->check(CLI::PositiveNumber);
    command->add_option("--length", flags->length, "Tokens a sequence (default: the context, at most 256)")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--rows", flags->rows,
                     "So many tokens are read at every site, spread over the sequences by seed; 0: all")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command->add_flag("--stream-only", flags->stream_only,
                      "Leave out what attention and MLP outputs say by themselves: a third of the time");
    command
        ->add_option(
            "--twin", flags->twins,
            "An untrained twin's GGUF file (see randomize), read on the same tokens; may be given again")
        ->allow_extra_args(false);
    command->add_option("--out", flags->out,
                        "Of a model: keep the captured run, and its lens, in this folder");
    command->add_option(
        "--figure", flags->figure,
        "Draw divergence by layer, and ranks beside it as NAME-rank: a .png, .svg or .pdf file");
    command->add_flag("--force", flags->force, "Replace what --out and --figure name");
    command->add_flag("--json", flags->json, "Print JSON alone");
    add_weights(*command, flags->weights)->default_str("as the run was read; auto for a MODEL");
    command->add_flag("--exact", flags->exact, "F32 key-value cache, no flash attention");
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->callback([flags, &progress] { run_lens(*flags, progress); });
}

}  // namespace tomograph
