#include "tomograph/capture/capture.h"

#include <fmt/format.h>

#include <cstdio>

#include "tomograph/base/error.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

struct Flags {
    std::string model, out, prompts = "text", word, prefix, start, components, layers = ":", positions = ":",
                            dtype = "f16", jsonl;
    std::vector<std::string> text;
    std::optional<std::int32_t> token;
    std::optional<std::int64_t> sequences, length, rows;
    double sample = 1, shard_mb = 256;
    bool no_vectors = false, exact = false, rope_off = false, force = false, resume = false;
    int threads = 0;
    std::uint64_t seed = 42;
};

Start parse_start(const std::string& text) {
    return text.empty() ? Start::model : text == "yes" ? Start::yes : Start::no;
}

/// A flag that means nothing for the prompts at hand is a mistake to point out, not to pass over.
void refuse_unused(const Flags& flags) {
    const auto refuse = [&](bool given, const char* flag, std::initializer_list<std::string_view> kinds) {
        if (!given || std::find(kinds.begin(), kinds.end(), flags.prompts) != kinds.end()) return;
        throw CLI::ValidationError(fmt::format("{} has no meaning with --prompts {}", flag, flags.prompts));
    };
    refuse(!flags.text.empty(), "--text", {"text"});
    refuse(!flags.jsonl.empty(), "--jsonl", {"jsonl"});
    refuse(flags.token.has_value(), "--token", {"repeat"});
    refuse(!flags.word.empty(), "--word", {"repeat"});
    refuse(!flags.prefix.empty(), "--prefix", {"repeat"});
    refuse(flags.rows.has_value(), "--rows", {"vocabulary"});
    refuse(!flags.start.empty(), "--start", {"text", "vocabulary", "jsonl"});
    refuse(flags.sequences.has_value(), "--sequences", {"text", "jsonl", "positions"});
    refuse(flags.length.has_value(), "--length", {"text", "repeat", "jsonl", "positions"});
    if (flags.prompts == "jsonl" && flags.jsonl.empty())
        throw CLI::ValidationError("--prompts jsonl needs --jsonl FILE");
    if (flags.prompts == "repeat" && !flags.token && flags.word.empty())
        throw CLI::ValidationError("--prompts repeat needs --token ID or --word TEXT");
}

PromptSet make_prompts(const Model& model, const Flags& flags) {
    const std::int64_t length = flags.length.value_or(default_length(model.info()));
    const Start start = parse_start(flags.start);
    if (flags.prompts == "repeat") {
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
    if (flags.prompts == "vocabulary")
        return vocabulary_prompts(model.vocabulary(),
                                  {.rows = flags.rows.value_or(0), .seed = flags.seed, .start = start});
    if (flags.prompts == "positions")
        return positions_prompts(
            model, {.length = length, .sequences = flags.sequences.value_or(32), .seed = flags.seed});
    if (flags.prompts == "jsonl")
        return jsonl_prompts(model.vocabulary(), {.file = flags.jsonl,
                                                  .sequences = flags.sequences.value_or(0),
                                                  .length = length,
                                                  .start = start});
    return text_prompts(model.vocabulary(), {.files = {flags.text.begin(), flags.text.end()},
                                             .sequences = flags.sequences.value_or(32),
                                             .length = length,
                                             .start = start});
}

void run(const Flags& flags, Progress& progress) {
    refuse_unused(flags);
    CaptureOptions options;
    options.components = as_usage([&] { return parse_components(flags.components); });
    options.layers = as_usage([&] { return parse_range(flags.layers, "layers"); });
    options.positions = as_usage([&] { return parse_range(flags.positions, "positions"); });
    options.sample = flags.sample;
    options.vectors = !flags.no_vectors;
    options.dtype = *find_dtype(flags.dtype);
    options.exact = flags.exact;
    options.rope_off = flags.rope_off;
    options.threads = flags.threads;
    options.seed = flags.seed;
    options.begin = flags.resume ? Begin::resume : flags.force ? Begin::replace : Begin::fresh;
    options.command = this_command();
    options.shard_bytes = static_cast<std::int64_t>(flags.shard_mb * 1e6);
    // An existing folder should be refused before a large model is read.
    check_output_folder(flags.out, FolderKind::run, options.begin);
    const Model model = Model::open(flags.model);
    const PromptSet prompts = make_prompts(model, flags);
    warn_about_length(model.info(), prompts.description.at("length").get<std::int64_t>());
    print_notes(prompts.notes);
    const CaptureSummary summary = capture(model, prompts, flags.out, options, progress);
    if (summary.n_tokens_found > 0)
        say("{} of {} tokens had been captured before\n", summary.n_tokens_found, summary.n_tokens);
    const std::int64_t n_read = summary.n_tokens - summary.n_tokens_found;
    if (n_read > 0)
        say("captured {} tokens in {:.1f} s ({:.0f} tokens/s)\n", n_read, summary.seconds,
            static_cast<double>(n_read) / summary.seconds);
    say("{}: {} sequences, {} sites, {} rows of vectors, {}\n", flags.out, summary.n_sequences,
        summary.n_sites, summary.n_rows, bytes_text(static_cast<double>(summary.bytes)));
}

}  // namespace

void add_capture(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        app.add_subcommand("capture", "Run prompts through a model and record its vectors in a run folder");
    command->add_option("MODEL", flags->model, "GGUF file, or bytes-gpt2 or bytes-llama (built in)")
        ->required();
    command->add_option("--out", flags->out, "Run folder to write")->required();
    command->add_option("--prompts", flags->prompts, "text, repeat, vocabulary, positions or jsonl")
        ->capture_default_str()
        ->check(CLI::IsMember({"text", "repeat", "vocabulary", "positions", "jsonl"}));
    command->add_option("--text", flags->text, "Text files (default: a chapter of Moby-Dick)");
    command->add_option("--jsonl", flags->jsonl, "File with one sequence a line, segments labelled");
    CLI::Option* token = command->add_option("--token", flags->token, "Token id to repeat");
    command->add_option("--word", flags->word, "Text of one token to repeat")->excludes(token);
    command->add_option("--prefix", flags->prefix,
                        "What stands before the repeated token: start, none or a token id");
    command
        ->add_option("--start", flags->start,
                     "Begin sequences with the start token: yes or no (default: as the model says)")
        ->check(CLI::IsMember({"yes", "no"}));
    command->add_option("--sequences", flags->sequences, "At most so many sequences (default 32; jsonl: all)")
        ->check(CLI::PositiveNumber);
    command->add_option("--length", flags->length, "Tokens a sequence (default: the context, at most 512)")
        ->check(CLI::PositiveNumber);
    command->add_option("--rows", flags->rows, "Vocabulary: so many tokens, chosen by seed (default: all)")
        ->check(CLI::PositiveNumber);
    command->add_option("--components", flags->components, "Components, comma-separated (default: all)");
    command->add_option("--layers", flags->layers, "Half-open range such as 0:12 (default: all)");
    command->add_option("--positions", flags->positions, "Keep vectors at these positions only, such as 1:");
    command
        ->add_option("--sample", flags->sample, "Keep vectors of this fraction of the tokens, chosen by seed")
        ->capture_default_str();
    command->add_flag("--no-vectors", flags->no_vectors, "Keep norms and means by position only");
    command->add_option("--dtype", flags->dtype, "f32, f16 or bf16")
        ->capture_default_str()
        ->check(CLI::IsMember({"f32", "f16", "bf16"}));
    command
        ->add_option("--shard-mb", flags->shard_mb, "Megabytes a shard: what an interrupted capture can lose")
        ->capture_default_str()
        ->check(CLI::Range(0.001, 1e6));
    command->add_flag("--exact", flags->exact,
                      "F32 key-value cache, no flash attention: slower, agrees with float32 references");
    command->add_flag("--rope-off", flags->rope_off,
                      "Rotary models: without rotation, as a control for measure --rope-off-run");
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    CLI::Option* force = command->add_flag("--force", flags->force, "Replace an existing run");
    command->add_flag("--resume", flags->resume, "Go on with a run that was interrupted, or begin it")
        ->excludes(force);
    command->callback([flags, &progress] { run(*flags, progress); });
}

}  // namespace tomograph
