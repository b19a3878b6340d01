#include "tomograph/capture/capture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/part.h"
#include "tomograph/cli/sinks.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/exchange/csv.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/generate.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

struct CaptureFlags {
    std::string model, out, kind, word, prefix, start, components,
        layers = ":", positions = ":", dtype = "auto", jsonl, csv, column, label_column, documents, special,
        chat_template, spec, part, side, weights = kDefaultWeights;
    std::vector<std::string> text, prompts, stops;
    std::optional<std::int32_t> token;
    std::optional<std::int64_t> sequences, length, stride, rows, generate, plant_start, context;
    std::optional<double> temperature;
    double sample = 1, shard_mb = 256, rope_frequency = 1;
    bool no_vectors = false, last = false, no_ask = false, scores = false, exact = false, rope_off = false,
         force = false, resume = false;
    int threads = 0;
    std::uint64_t seed = 42;
    SinkFlags sinks;
};

Start parse_start(const std::string& text) {
    return text.empty() ? Start::model : text == "yes" ? Start::yes : Start::no;
}

/// What is read, from the flags that say it.
std::string prompts_of(const CaptureFlags& flags) {
    if (!flags.kind.empty()) return flags.kind;
    if (!flags.jsonl.empty()) return "jsonl";
    if (!flags.csv.empty()) return "csv";
    return !flags.prompts.empty() ? "prompt" : "text";
}

/// A flag that means nothing for the prompts at hand is a mistake to point out, not to pass over.
void refuse_unused(const CaptureFlags& flags) {
    const std::string kind = prompts_of(flags);
    const auto refuse = [&](bool given, const char* flag, std::initializer_list<std::string_view> kinds) {
        if (!given || std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) return;
        throw CLI::ValidationError(fmt::format("{} has no meaning with --prompts {}", flag, kind));
    };
    refuse(!flags.text.empty(), "--text", {"text"});
    refuse(!flags.jsonl.empty(), "--jsonl", {"jsonl"});
    refuse(!flags.prompts.empty(), "--prompt", {"prompt"});
    refuse(!flags.csv.empty(), "--csv", {"csv"});
    refuse(!flags.column.empty(), "--column", {"csv"});
    refuse(!flags.label_column.empty(), "--label-column", {"csv"});
    refuse(!flags.documents.empty(), "--documents", {"text"});
    refuse(flags.stride.has_value(), "--stride", {"text"});
    if (!flags.documents.empty() && flags.stride)
        throw CLI::ValidationError("--stride has no meaning with --documents: each is read once");
    refuse(!flags.special.empty(), "--special", {"text", "jsonl", "csv", "prompt"});
    refuse(!flags.chat_template.empty(), "--chat-template", {"jsonl"});
    refuse(flags.no_ask, "--no-ask", {"jsonl"});
    refuse(flags.token.has_value(), "--token", {"repeat"});
    refuse(!flags.word.empty(), "--word", {"repeat"});
    refuse(!flags.prefix.empty(), "--prefix", {"repeat"});
    refuse(flags.rows.has_value(), "--rows", {"vocabulary"});
    refuse(!flags.start.empty(), "--start", {"text", "vocabulary", "jsonl", "csv", "prompt"});
    refuse(flags.sequences.has_value(), "--sequences", {"text", "jsonl", "csv", "positions"});
    refuse(flags.length.has_value(), "--length", {"text", "repeat", "jsonl", "csv", "positions", "prompt"});
    refuse(flags.generate.has_value(), "--generate", {"text", "jsonl", "csv", "prompt"});
    refuse(flags.plant_start.has_value(), "--plant-start", {"text", "jsonl", "csv", "prompt"});
    if (!flags.generate && flags.temperature) throw CLI::ValidationError("--temperature needs --generate N");
    if (!flags.generate && !flags.stops.empty()) throw CLI::ValidationError("--stop needs --generate N");
    if (kind == "jsonl" && flags.jsonl.empty())
        throw CLI::ValidationError("--prompts jsonl needs --jsonl FILE");
    if (kind == "csv" && (flags.csv.empty() || flags.column.empty()))
        throw CLI::ValidationError("a table of prompts needs --csv FILE and --column NAME");
    if (kind == "prompt" && flags.prompts.empty())
        throw CLI::ValidationError("--prompts prompt needs --prompt TEXT");
    if (kind == "repeat" && !flags.token && flags.word.empty())
        throw CLI::ValidationError("--prompts repeat needs --token ID or --word TEXT");
    if (flags.last && flags.positions != ":")
        throw CLI::ValidationError("--last is --positions -1: give one of them");
}

/// One column of a table holds the prompts, perhaps another their labels.
PromptSet csv_prompts(const Model& model, const CaptureFlags& flags, GivenOptions given) {
    const Csv table = read_csv(flags.csv);
    const auto column = [&](const std::string& name) -> const std::vector<std::string>& {
        const auto found = std::ranges::find(table.header, name);
        if (found == table.header.end())
            throw Error(fmt::format("{} has no column '{}'", flags.csv, name),
                        fmt::format("it has {}", fmt::join(table.header, ", ")), "");
        return table.columns[static_cast<std::size_t>(found - table.header.begin())];
    };
    const auto& texts = column(flags.column);
    const auto* labels = flags.label_column.empty() ? nullptr : &column(flags.label_column);
    std::size_t empty = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (flags.sequences && std::ssize(given.prompts) == *flags.sequences) break;
        if (texts[i].find_first_not_of(" \t\r\n") == std::string::npos) {
            ++empty;
            continue;
        }
        given.prompts.push_back(texts[i]);
        if (labels != nullptr) given.labels.push_back((*labels)[i]);
    }
    if (given.prompts.empty())
        throw Error(fmt::format("column '{}' of {} holds no text", flags.column, flags.csv), "", "");
    given.kind = "csv";
    given.source = Json::array({std::filesystem::path(flags.csv).filename().string()});
    PromptSet set = given_prompts(model.vocabulary(), given);
    set.description["column"] = flags.column;
    if (empty > 0) {
        set.notes.push_back(
            fmt::format("passed over {} of {} without text", counted(empty, "row"), flags.csv));
        set.description["notes"] = set.notes;
    }
    return set;
}

PromptSet make_prompts(const Model& model, const CaptureFlags& flags) {
    const std::int64_t length = flags.length.value_or(default_length(model.info()));
    const Start start = parse_start(flags.start);
    const Special special =
        as_usage([&] { return parse_special(flags.special.empty() ? "text" : flags.special); });
    const std::string kind = prompts_of(flags);
    if (kind == "repeat") {
        using Prefix = RepeatOptions::Prefix;
        RepeatOptions options{.token = flags.token, .word = flags.word, .length = length};
        if (flags.prefix == "start")
            options.prefix = Prefix::start;
        else if (flags.prefix == "none")
            options.prefix = Prefix::none;
        else if (!flags.prefix.empty()) {
            options.prefix = Prefix::token;
            if (!CLI::detail::lexical_cast(flags.prefix, options.prefix_token))
                throw CLI::ValidationError("--prefix is start, none or a token's id");
        }
        return repeat_prompts(model.vocabulary(), options);
    }
    if (kind == "vocabulary")
        return vocabulary_prompts(model.vocabulary(),
                                  {.rows = flags.rows.value_or(0), .seed = flags.seed, .start = start});
    if (kind == "positions")
        return positions_prompts(
            model, {.length = length, .sequences = flags.sequences.value_or(32), .seed = flags.seed});
    if (kind == "jsonl")
        return jsonl_prompts(
            model.vocabulary(),
            {.file = flags.jsonl,
             .sequences = flags.sequences.value_or(0),
             .length = length,
             .start = start,
             .special = special,
             .chat_template = flags.chat_template.empty() ? "" : read_file(flags.chat_template),
             .ask = !flags.no_ask});
    const GivenOptions given{.prompts = flags.prompts, .length = length, .start = start, .special = special};
    if (kind == "prompt") return given_prompts(model.vocabulary(), given);
    if (kind == "csv") return csv_prompts(model, flags, given);
    if (!flags.documents.empty())
        return document_prompts(model.vocabulary(), {.files = {flags.text.begin(), flags.text.end()},
                                                     .lines = flags.documents == "line",
                                                     .sequences = flags.sequences.value_or(0),
                                                     .length = length,
                                                     .start = start,
                                                     .special = special});
    return text_prompts(model.vocabulary(), {.files = {flags.text.begin(), flags.text.end()},
                                             .sequences = flags.sequences.value_or(32),
                                             .length = length,
                                             .stride = flags.stride.value_or(0),
                                             .start = start,
                                             .special = special});
}

/// What the model said, of the first prompts.
void print_answers(const PromptSet& prompts) {
    constexpr std::size_t kShown = 10;
    for (std::size_t i = 0; i < std::min(kShown, prompts.texts.size()); ++i)
        say("{}: {}\n", i, printable(prompts.texts[i].at("answer").get<std::string>()));
    if (prompts.texts.size() > kShown) say("and {} more\n", prompts.texts.size() - kShown);
}

Intervention read_intervention(const Model& model, const PromptSet& prompts, const std::string& text,
                               const CaptureOptions& options, Progress& progress) {
    const auto [spec, folder] = read_spec(text);
    return intervention(model, prompts, read_acts(spec, model_sites(model), folder), options, progress);
}

void run(const CaptureFlags& flags, Progress& progress) {
    refuse_unused(flags);
    CaptureOptions options;
    options.components = as_usage([&] { return parse_components(flags.components); });
    options.layers = as_usage([&] { return parse_range(flags.layers, "layers"); });
    options.positions =
        as_usage([&] { return parse_range(flags.last ? "-1" : flags.positions, "positions"); });
    options.sample = flags.sample;
    options.vectors = !flags.no_vectors;
    options.dtype = find_dtype(flags.dtype);  // none: auto
    options.scores = flags.scores;
    options.exact = flags.exact;
    options.rope_off = flags.rope_off;
    options.rope_frequency = flags.rope_frequency;
    options.context = flags.context.value_or(0);
    options.threads = flags.threads;
    options.seed = flags.seed;
    options.begin = flags.resume ? Begin::resume : flags.force ? Begin::replace : Begin::fresh;
    options.command = this_command();
    flags.sinks.set(options, flags.no_vectors || flags.sample != 1);
    options.part = as_usage([&] { return parse_part(flags.part); });
    options.shard_bytes = static_cast<std::int64_t>(flags.shard_mb * 1e6);
    const std::optional<Part> rank = flags.part.empty() ? rank_part() : std::nullopt;
    if (rank) options.part = *rank;
    const fs::path out = rank ? rank_folder(flags.out, rank->number) : fs::path(flags.out);
    // An existing folder should be refused before a large model is read.
    check_output_folder(flags.out, FolderKind::run, options.begin);
    check_output_folder(out, FolderKind::run, options.begin);
    if (rank && options.begin == Begin::resume && folder_kind(flags.out) == FolderKind::run &&
        Run::open(flags.out).complete()) {
        std::error_code ignored;  // what a merge left that was killed at its end
        fs::remove_all(out, ignored);
        fs::remove(out.parent_path(), ignored);
        if (rank->number == 1) say("{} is complete\n", flags.out);
        return;
    }
    const Model model =
        open_held(find_model(flags.model, progress), flags.weights, flags.threads, flags.side);
    PromptSet prompts = make_prompts(model, flags);
    if (flags.plant_start) prompts = plant_start(std::move(prompts), model.vocabulary(), *flags.plant_start);
    if (flags.generate) {
        add_answers(prompts, model,
                    {.most = *flags.generate,
                     .temperature = flags.temperature.value_or(0),
                     .seed = flags.seed,
                     .stops = flags.stops,
                     .exact = flags.exact,
                     .rope_off = flags.rope_off,
                     .rope_frequency = flags.rope_frequency,
                     .threads = flags.threads},
                    progress);
        print_answers(prompts);
    }
    warn_about_length(model.info(), prompts.description.at("length").get<std::int64_t>());
    print_notes(prompts.notes);
    if (!flags.spec.empty())
        options.intervention = read_intervention(model, prompts, flags.spec, options, progress);
    const auto engine = capture_engine(model, prompts, options, progress);
    if (flags.sinks.planned()) flags.sinks.plan(*engine, model.info(), prompts, options);
    const CaptureSummary summary = capture(model, *engine, prompts, out, options, progress);
    print_notes(summary.notes);
    if (summary.n_sequences == 0) {
        if (rank) merge_ranks(flags.out, *rank, options.begin, progress);
        return;
    }
    if (summary.n_tokens_found > 0)
        say("{} of {} tokens had been captured before\n", summary.n_tokens_found, summary.n_tokens);
    const std::int64_t n_read = summary.n_tokens - summary.n_tokens_found;
    if (n_read > 0)
        say("captured {} tokens in {:.1f} s ({:.0f} tokens/s)\n", n_read, summary.seconds,
            static_cast<double>(n_read) / summary.seconds);
    if (summary.sum_error > 0) say("every block adds up, within {:.0e}\n", summary.sum_error);
    if (flags.scores && summary.mean_logprob < 0)
        say("mean log-probability of a token {:.4f} (perplexity {:.2f})\n", summary.mean_logprob,
            std::exp(-summary.mean_logprob));
    say("{}: {}, {}, {} of {}, {}\n", out.string(), counted(summary.n_sequences, "sequence"),
        counted(summary.n_sites, "site"), counted(summary.n_rows, "row"),
        options.keep.scores > 0 ? "scores" : "vectors", bytes_text(static_cast<double>(summary.bytes)));
    if (rank) {
        if (merge_ranks(flags.out, *rank, options.begin, progress))
            say("{}: the parts of all {} processes\n", flags.out, rank->of);
    } else if (options.part.of > 1)
        say("part {} of {}; put them together with: tomograph merge RUN... --out RUN\n", options.part.number,
            options.part.of);
}

}  // namespace

void add_capture(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<CaptureFlags>();
    CLI::App* command =
        app.add_subcommand("capture", "Run prompts through a model and record its vectors in a run folder");
    command->add_option("MODEL", flags->model, kModelHelp)->required();
    command->add_option("--out", flags->out, "Run folder to write")->required();
    command
        ->add_option("--prompts", flags->kind,
                     "text, prompt, jsonl, csv, repeat, vocabulary or positions (default: by the flags "
                     "below, else text)")
        ->check(CLI::IsMember({"text", "prompt", "jsonl", "csv", "repeat", "vocabulary", "positions"}));
    command->add_option("--prompt", flags->prompts, "A prompt, a sequence of its own; may be given again")
        ->allow_extra_args(false);
    command->add_option("--text", flags->text,
                        "Text files, - for standard input (default: a chapter of Moby-Dick)");
    command->add_option("--jsonl", flags->jsonl,
                        "File with one sequence a line, - for standard input: text, labelled segments, "
                        "conversations (messages), ids, or a source with its target");
    command
        ->add_option("--documents", flags->documents,
                     "Read --text by documents, a sequence each: line or file (default: cut to --length)")
        ->check(CLI::IsMember({"line", "file"}));
    command
        ->add_option("--stride", flags->stride,
                     "Tokens of text from one sequence's begin to the next one's (default: as many as fit, "
                     "so that none is read twice); column overlap says which tokens are new")
        ->check(CLI::PositiveNumber);
    command->add_option("--csv", flags->csv, "Table, CSV or TSV with a header: a prompt a row, in --column");
    command->add_option("--column", flags->column, "Column of --csv that holds the prompts");
    command->add_option("--label-column", flags->label_column, "Column of --csv that holds their labels");
    command->add_option("--special", flags->special,
                        "Special tokens spelt in a text: text (letters, the default), parse or refuse");
    command->add_option("--chat-template", flags->chat_template,
                        "Jinja template for conversations, a file (default: the model's own)");
    command->add_flag("--no-ask", flags->no_ask,
                      "End a conversation with its last message, without what makes the model answer");
    command
        ->add_option("--generate", flags->generate,
                     "Let the model go on with each prompt for at most so many tokens, and capture both")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--temperature", flags->temperature,
                     "Draw generated tokens, by seed; larger is wilder (default: 0, the most probable)")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--stop", flags->stops, "Text that ends an answer; may be given again")
        ->allow_extra_args(false);
    command->add_flag("--scores", flags->scores,
                      "Keep each token's log-probability, and the entropy and rank of what was expected");
    CLI::Option* token = command->add_option("--token", flags->token, "Token id to repeat");
    command->add_option("--word", flags->word, "Text of one token to repeat")->excludes(token);
    command->add_option("--prefix", flags->prefix,
                        "What stands before the repeated token: start, none or a token id");
    command
        ->add_option("--start", flags->start,
                     "Begin sequences with the start token: yes or no (default: as the model says)")
        ->check(CLI::IsMember({"yes", "no"}));
    command
        ->add_option("--plant-start", flags->plant_start,
                     "Put the start token in place of the token at this position, for measure --planted-run")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--sequences", flags->sequences,
                     "At most so many sequences (default 32; jsonl, csv, documents: all)")
        ->check(CLI::PositiveNumber);
    command->add_option("--length", flags->length, "Tokens a sequence (default: the context, at most 512)")
        ->check(CLI::PositiveNumber);
    command->add_option("--rows", flags->rows, "Vocabulary: so many tokens, chosen by seed (default: all)")
        ->check(CLI::PositiveNumber);
    command->add_option("--components", flags->components,
                        "Components, comma-separated (default: all but state)");
    command->add_option("--layers", flags->layers, "Half-open range such as 0:12 (default: all)");
    command->add_option("--positions", flags->positions,
                        "Keep vectors at these positions only, such as 1:, or -1 for each sequence's last");
    command->add_flag("--last", flags->last, "Keep vectors of each sequence's last token only");
    command
        ->add_option("--sample", flags->sample, "Keep vectors of this fraction of the tokens, chosen by seed")
        ->capture_default_str();
    command->add_flag("--no-vectors", flags->no_vectors, "Keep norms and means by position only");
    flags->sinks.add(*command);
    command
        ->add_option("--dtype", flags->dtype,
                     "auto, f32, f16 or bf16; auto is f16, and bf16 (f32 with --exact) from where f16 ends")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "f32", "f16", "bf16"}));
    command
        ->add_option("--shard-mb", flags->shard_mb, "Megabytes a shard: what an interrupted capture can lose")
        ->capture_default_str()
        ->check(CLI::Range(0.001, 1e6));
    command->add_flag("--exact", flags->exact,
                      "F32 key-value cache, no flash attention: slower, agrees with float32 references");
    CLI::Option* rope_off =
        command->add_flag("--rope-off", flags->rope_off,
                          "Rotary models: without rotation, as a control for measure --rope-off-run");
    command
        ->add_option("--rope-frequency", flags->rope_frequency,
                     "Rotary models: rotate so many times as fast, a dose for measure --rope-dose-run")
        ->capture_default_str()
        ->excludes(rope_off)
        ->check(CLI::Range(0.01, 100.0));
    command
        ->add_option("--context", flags->context,
                     "Each token reads its last so many tokens only (itself and a start token included), at "
                     "as many times the cost: a control for measure --context-run")
        ->check(CLI::PositiveNumber);
    add_weights(*command, flags->weights);
    add_side(*command, flags->side);
    command->add_option("--part", flags->part,
                        "i/n: read the i-th of n parts only, for tomograph merge; or slurm: the part that "
                        "is this task's of its job array");
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->add_option("--spec", flags->spec,
                        "Change the model while it reads: a JSON file with acts, or the JSON itself "
                        "(docs/interventions.md)");
    CLI::Option* force = command->add_flag("--force", flags->force, "Replace an existing run");
    command->add_flag("--resume", flags->resume, "Go on with a run that was interrupted, or begin it")
        ->excludes(force);
    command->callback([flags, &progress] { run(*flags, progress); });
}

}  // namespace tomograph
