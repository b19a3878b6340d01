#include "tomograph/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <iterator>
#include <map>

#include "tomograph/base/random.h"
#include "tomograph/capture/budget.h"
#include "tomograph/engine/given.h"
#include "tomograph/findings/separation.h"
#include "tomograph/statistics/statistics.h"
#include "tomograph/study/lens_plan.h"

namespace tomograph {
namespace {

constexpr std::int64_t kVocabularyRows = 4096, kFewestVocabularyRows = 512;
constexpr double kWholeVocabulary = 1e12;     // parameters times tokens: some twenty seconds on two cores
constexpr std::size_t kTwinSequences = 8;     // twins differ by more than their samples err
constexpr std::int64_t kFewestPlanted = 8;    // tokens of a sequence with a start token inside
constexpr std::int64_t kFewestRandom = 8;     // sequences of random tokens that a mean by position is of
constexpr std::int64_t kShortestUseful = 16;  // tokens: a sequence that is worth reading
constexpr std::int64_t kLongestTable = 2048;  // positions of a learned table that are drawn

/// What the published study recorded, in network order; `z` and `resid_pre` are the sums' other sides.
std::vector<Component> study_components(const std::vector<SiteShape>& sites) {
    std::vector<Component> present;
    for (const Component component :
         {Component::embed, Component::pos_embed, Component::attn_in, Component::ln1, Component::attn_out,
          Component::mixer_out, Component::cross_attn_out, Component::resid_mid, Component::mlp_in,
          Component::ln2, Component::mlp_out, Component::moe_out, Component::ple_out, Component::skip_out,
          Component::resid_post, Component::ln_final}) {
        if (std::any_of(sites.begin(), sites.end(),
                        [&](const SiteShape& s) { return s.site.component == component; }))
            present.push_back(component);
    }
    return present;
}

bool is_norm_output(Component component) {
    return component == Component::ln1 || component == Component::ln2 || component == Component::ln_final;
}

/// The token that stands most often in the text, and not first: the one whose repetition means least.
std::int32_t most_frequent_token(const PromptSet& text) {
    std::map<std::int32_t, std::int64_t> counts;
    for (const Sequence& sequence : text.sequences) {
        for (std::size_t p = 1; p < sequence.tokens.size(); ++p) ++counts[sequence.tokens[p]];
    }
    if (counts.empty()) return text.sequences.front().tokens.front();
    return std::max_element(counts.begin(), counts.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
}

/// The first of the prompts.
PromptSet beginning(const PromptSet& prompts, std::size_t most) {
    PromptSet first = prompts;
    if (first.sequences.size() <= most) return first;
    first.sequences.resize(most);
    if (first.texts.size() > most) first.texts.resize(most);
    first.description["sequences"] = most;
    first.description["length"] = longest_length(first.sequences);
    return first;
}

std::int64_t count_tokens(const PromptSet& prompts) {
    std::int64_t n = 0;
    for (const Sequence& sequence : prompts.sequences) n += sequence.length();
    return n;
}

/// Which runs get a lens: the text, and of the twins one of each kind before a second of any.
void add_lenses(StudyPlan& plan, const ModelInfo& info, const StudyOptions& options) {
    std::vector<PlannedRun*> twins;
    for (PlannedRun& run : plan.runs) {
        if (!run.twin) continue;
        const bool second = !twins.empty() && run.twin->keep == twins.front()->twin->keep;
        // The first, then the first of the other kind, then the rest.
        twins.insert(second || twins.empty() ? twins.end() : twins.begin() + 1, &run);
    }
    PlannedRun& text = plan.runs.front();
    const bool fits = text.prompts.sequences.size() > 1 && longest_length(text.prompts.sequences) > 3;
    LensPlan lens = plan_lens(info, text.n_tokens, static_cast<int>(twins.size()));
    if (!fits || !info.causal) return;
    if (!lens.text) {
        plan.notes.push_back(
            "no lens: of a model so large it takes longer than a study should; tomograph lens reads the "
            "study");
        return;
    }
    const auto set = [&](PlannedRun& run, LensOptions how) {
        how.seed = options.seed;
        how.threads = options.threads;
        run.lens = std::move(how);
    };
    set(text, *lens.text);
    for (int i = 0; i < lens.n_twins; ++i) set(*twins[static_cast<std::size_t>(i)], lens.twin);
}

struct Silent final : Tap {
    void take(const SiteBatch& /*batch*/) override {}
};

}  // namespace

std::int64_t StudyPlan::n_tokens() const {
    std::int64_t n = 0;
    for (const PlannedRun& run : runs) n += run.n_tokens;
    return n;
}

std::int64_t StudyPlan::bytes() const {
    std::int64_t n = 0;
    for (const PlannedRun& run : runs) n += run.bytes;
    return n;
}

StudyPlan plan_study(const Model& model, const StudyOptions& options, Progress& progress) {
    const ModelInfo& info = model.info();
    StudyPlan plan;
    PromptSet text =
        text_prompts(model.vocabulary(),
                     {.files = options.text, .sequences = options.sequences, .length = options.length});
    plan.notes = text.notes;
    const auto n_sequences = static_cast<int>(text.sequences.size());
    const std::int64_t n_text = count_tokens(text), longest = longest_length(text.sequences);
    if (n_sequences < kFewestGroups) {
        std::string note = fmt::format(
            "{} {} too few for an interval, so that most findings will be undecided: {} are needed",
            n_sequences, n_sequences == 1 ? "sequence is" : "sequences are", kFewestGroups);
        if (const std::int64_t shorter = n_text / kFewestGroups;
            options.sequences >= kFewestGroups && options.text.size() <= 1 && shorter >= kShortestUseful)
            note += fmt::format("; --length {} makes as many of this text", shorter);
        plan.notes.push_back(std::move(note));
    }
    const auto engine =
        model.make_engine({.max_length = std::min<std::int64_t>(16, info.context_length),
                           .threads = options.threads,
                           .stop_requested = [&progress] { return progress.stop_requested(); }});
    // Without sums by position: means are those of the vectors, of which every token's are kept.
    const CaptureOptions capturing{.components = study_components(engine->sites()),
                                   .mid_as_sum = !options.all_vectors,
                                   .keep = {.means = options.all_vectors},
                                   .dtype = options.dtype,
                                   .threads = options.threads,
                                   .seed = options.seed,
                                   .command = options.command};
    const auto add = [&](const std::string& name, PromptSet prompts, const CaptureOptions& how,
                         const std::optional<RandomizeOptions>& twin = {}) {
        PlannedRun run{name, std::move(prompts), how, twin};
        run.n_tokens = count_tokens(run.prompts);
        run.let_go = twin && !options.all_vectors;
        CaptureOptions stays = how;
        if (run.let_go) stays.vectors = false;
        run.bytes = static_cast<std::int64_t>(capture_cost(*engine, info, run.prompts, stays).disk);
        plan.runs.push_back(std::move(run));
    };
    const auto keeping = [&](std::vector<Component> vectors, const Range& layers) {
        CaptureOptions how = capturing;
        how.vector_components = std::move(vectors);
        if (options.all_vectors) return how;
        how.vector_layers = layers;
        std::erase_if(how.components, is_norm_output);
        return how;
    };
    const auto with_means = [&](CaptureOptions how) {
        // A learned table is held against the stream of every layer, and is itself exact.
        how.keep.means = how.keep.means || info.learned_positions;
        return how;
    };
    const auto norms_of = [&](std::initializer_list<Component> components) {
        CaptureOptions how = capturing;
        std::erase_if(how.components,
                      [&](Component component) { return !std::ranges::count(components, component); });
        how.vectors = false;
        return how;
    };
    CaptureOptions of_text = capturing;
    if (!options.all_vectors) {
        std::ranges::copy_if(capturing.components, std::back_inserter(of_text.vector_components),
                             std::not_fn(is_norm_output));
    }
    add("text", text, of_text);
    const Range middle = middle_layers(info.n_layers);
    if (options.has(StudyPart::repeat)) {
        PromptSet repeated =
            repeat_prompts(model.vocabulary(), {.token = most_frequent_token(text), .length = longest});
        add("repeat", std::move(repeated),
            with_means(options.all_vectors ? capturing
                                           : keeping({Component::resid_mid, Component::resid_post}, middle)));
    }
    if (options.has(StudyPart::vocabulary)) {
        // Of a small text a small study: the vocabulary takes no more tokens than the text does, unless all
        // of it is cheap.
        const bool whole =
            static_cast<double>(info.n_parameters) * static_cast<double>(info.n_vocab) <= kWholeVocabulary;
        const std::int64_t fitting =
            whole ? info.n_vocab : std::clamp(n_text, kFewestVocabularyRows, kVocabularyRows);
        const std::int64_t rows =
            std::min(options.vocabulary_rows > 0 ? options.vocabulary_rows : fitting, info.n_vocab);
        VocabularyOptions tokens{.rows = rows, .seed = options.seed};
        add("vocabulary", vocabulary_prompts(model.vocabulary(), tokens), keeping({Component::embed}, {}));
        if (const VocabularyInfo& words = model.vocabulary().info(); words.start_token) {
            // The other way to begin: norms of the stream are all that is shown of it.
            tokens.start = words.adds_start_token ? Start::no : Start::yes;
            add(words.adds_start_token ? "vocabulary-alone" : "vocabulary-start",
                vocabulary_prompts(model.vocabulary(), tokens), norms_of({Component::resid_post}));
        }
    }
    if (options.has(StudyPart::positions)) {
        // A learned table is shown whole; rotary positions at the length of the text.
        const std::int64_t length =
            info.learned_positions ? std::min(info.context_length, kLongestTable) : longest;
        std::vector<Component> vectors{Component::resid_post};
        if (info.learned_positions) vectors.push_back(Component::pos_embed);
        // Of random tokens no more than of text: of a small text a small study. (Half as many show: the first
        // component of SmolLM2's curve holds 9 % of the variance then where it holds 16 %.)
        const std::int64_t sequences =
            std::clamp<std::int64_t>(n_sequences, kFewestRandom, PositionsOptions{}.sequences);
        add("positions",
            positions_prompts(model, {.length = length, .sequences = sequences, .seed = options.seed}),
            with_means(keeping(std::move(vectors), middle)));
    }
    if (options.has(StudyPart::planted) && model.vocabulary().info().start_token) {
        PromptSet first = beginning(text, kTwinSequences);
        const std::int64_t shortest =
            std::ranges::min(first.sequences, {}, [](const Sequence& one) { return one.length(); }).length();
        if (shortest < kFewestPlanted) first.sequences.clear();
        if (!first.sequences.empty())
            add("planted", plant_start(std::move(first), model.vocabulary(), shortest / 2),
                norms_of({Component::resid_mid, Component::resid_post}));
    }
    if (options.has(StudyPart::twins) && options.twins > 0) {
        CaptureOptions of_twins = capturing;
        // Of a twin nothing but effects is measured.
        std::erase_if(of_twins.components, [](Component component) {
            return component != Component::pos_embed && component != Component::resid_post &&
                   !writes_to_stream(component);
        });
        const PromptSet read = beginning(text, kTwinSequences);
        for (int i = 1; i <= options.twins; ++i)
            add(fmt::format("twin-{}", i), read, of_twins,
                RandomizeOptions{.seed = mix(options.seed, static_cast<std::uint64_t>(i)),
                                 .threads = options.threads});
        add("twin-spectrum", read, of_twins,
            RandomizeOptions{.keep = TwinKeeps::spectrum, .seed = options.seed, .threads = options.threads});
    }
    if (options.has(StudyPart::lens)) {
        if (ends_alone(*engine))
            add_lenses(plan, info, options);
        else
            plan.notes.push_back("no lens: the model's end reads earlier streams, too");
    }
    return plan;
}

double measure_rate(const Model& model, const StudyPlan& plan, const StudyOptions& options,
                    Progress& progress) {
    constexpr std::int64_t kTokens = 128;
    const PlannedRun& text = plan.runs.front();
    Sequence sample = text.prompts.sequences.front();
    if (sample.length() > kTokens) sample.tokens.resize(kTokens);
    const auto engine = model.make_engine(
        {.max_length = sample.length(), .threads = options.threads, .stop_requested = [&progress] {
             return progress.stop_requested();
         }});
    const Plan reading{.reads = choose_sites(*engine, model.info(), text.capturing.components, {})};
    Silent tap;
    const auto began = std::chrono::steady_clock::now();
    engine->run(std::array{sample}, reading, tap);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return static_cast<double>(sample.length()) / std::max(seconds, 1e-6);
}

}  // namespace tomograph
