// What tomograph makes of models: captures each in every mode, compares what must be equal, prints one line a
// model and a count. scripts/architectures runs it on llama.cpp's own tiny models of every architecture.
//
// usage: check_architectures [--json] [--expect FILE] MODEL...
//   --json    one JSON object a line instead of text
//   --expect  a list of "model: captured" or "model: refused"; the exit status is 1 where one differs
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/record.h"
#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

using namespace test;

/// Half-precision weights round what they are multiplied with: a last bit decides which neighbour it becomes.
constexpr double kHalfPrecision = 5e-3;

struct SumTap final : Tap {
    void take(const SiteBatch&) override {}
    void take_sum_error(double error) override { worst = std::max(worst, error); }
    double worst = 0;
};

struct Report {
    std::string model, side, architecture, refused, failed;
    std::set<std::string> modes;
    std::vector<std::string> components;
    std::map<std::string, std::string> absent;  // mode: why not
    double vectors = 0;
    std::size_t n_sites = 0, n_links = 0, n_routers = 0;
    double sum = 0, isolation = 0, past = 0;
    bool causal = true;
};

/// What a decoder beside an encoder reads, of another length for each.
void add_source(const Model& model, Sequence& sequence, std::size_t number) {
    const std::int64_t n = std::min<std::int64_t>(model.info().n_vocab, 100);
    if (model.info().side == "target")
        sequence.source = random_sequence(3 + static_cast<std::int64_t>(number) % 7, n, 70 + number).tokens;
}

std::vector<Sequence> sequences_of(const Model& model, std::initializer_list<std::int64_t> lengths) {
    std::vector<Sequence> sequences;
    const std::int64_t n = std::min<std::int64_t>(model.info().n_vocab, 100);
    for (const std::int64_t length : lengths) {
        sequences.push_back(random_sequence(length, n, 7 + sequences.size()));
        add_source(model, sequences.back(), sequences.size());
    }
    return sequences;
}

double sum_error(Engine& engine, const std::vector<Sequence>& sequences) {
    SumTap tap;
    engine.run(sequences, {.reads = all_sites(engine), .check_sums = true}, tap);
    return tap.worst;
}

void check_modes(const Model& model, Report& report) {
    const auto text = sequences_of(model, {6, 9, 9, 4, 1});
    std::vector<Sequence> repeat{{.tokens = std::vector<std::int32_t>(12, 5)}};
    std::vector<Sequence> vocabulary;
    for (std::int32_t token = 0; token < 32; ++token) vocabulary.push_back({.tokens = {token}});
    const auto rows = static_cast<std::size_t>(12 * model.info().d_model);
    // Not zeros: some of these models were written without the epsilon of their norms.
    Sequence even{.tokens = std::vector<std::int32_t>(12, -1), .vectors = std::vector<float>(rows, 0.01f)};
    Sequence mean = even;
    const Vector row = model.mean_token_embedding();
    for (std::size_t i = 0; i < rows; ++i)
        mean.vectors[i] = row(static_cast<Eigen::Index>(i) % model.info().d_model);

    std::map<std::string, std::vector<Sequence>> modes{
        {"text", text}, {"repeat", repeat}, {"vocabulary", vocabulary}, {"positions", {even, mean}}};
    for (auto& [mode, sequences] : modes) {
        for (std::size_t i = 0; i < sequences.size(); ++i) add_source(model, sequences[i], i);
    }
    for (const bool exact : {true, false}) {
        const auto engine = model.make_engine({.max_length = 16, .exact = exact, .threads = 1});
        for (const auto& [mode, sequences] : modes) {
            const std::string name = mode + (exact ? ", exact" : "");
            try {
                report.sum = std::max(report.sum, sum_error(*engine, sequences));
                report.modes.insert(name);
            } catch (const Error& error) {
                if (mode != "positions") throw;
                report.absent[name] = error.what();
            }
        }
    }
}

/// Rows of the embedding table, given as vectors, are the tokens that they stand for.
void check_vectors(const Model& model, Engine& engine, Report& report) {
    if (!report.absent.empty()) return;
    // A vector is no token: it has the padding's own embedding in each layer.
    const auto& all = report.components;
    if (std::find(all.begin(), all.end(), "ple_out") != all.end()) {
        report.vectors = -1;
        return;
    }
    const Sequence tokens = sequences_of(model, {9}).front();
    Sequence vectors = tokens;
    const Matrix rows = model.token_embeddings(tokens.tokens);
    vectors.vectors.assign(rows.data(), rows.data() + rows.size());
    const WorstSite worst =
        worst_site(record(engine, std::span(&vectors, 1)), record(engine, std::span(&tokens, 1)));
    report.vectors = worst.error;
    if (!(worst.error < kHalfPrecision))
        throw Error("vectors are not read as the tokens that they stand for",
                    fmt::format("{}: {:.1e}", worst.site, worst.error), "");
}

/// A block's stream is the one that the next block reads, to the bit; in a post-norm model its second norm.
void check_links(const Recording& text, int n_layers, Report& report) {
    for (int layer = 0; layer + 1 < n_layers; ++layer) {
        const Matrix& next = text.at(Site{Component::resid_pre, layer + 1}.name());
        const std::string post = Site{Component::resid_post, layer}.name();
        const std::string norm = Site{Component::ln2, layer}.name();
        const bool same = text.at(post) == next || (text.contains(norm) && text.at(norm) == next);
        if (!same) throw Error(post + " is not what the next block reads", "", "");
        ++report.n_links;
    }
}

void check_routers(const Recording& text, Report& report) {
    for (const auto& [name, rows] : text) {
        if (!name.ends_with(".router")) continue;
        ++report.n_routers;
        const bool softmax = (rows.rowwise().sum().array() - 1).abs().maxCoeff() < 1e-4f;
        const bool sigmoid = rows.minCoeff() >= 0 && rows.maxCoeff() <= 1;
        // DeepSeek 4's are scores, roots of softplus.
        const bool scores = report.architecture == "deepseek4" && rows.minCoeff() >= 0;
        if (!softmax && !sigmoid && !scores) throw Error(name + " holds no probabilities", "", "");
    }
}

void check_isolation(const Model& model, Engine& engine, const Recording& text,
                     const std::vector<Sequence>& sequences, Report& report) {
    // Alone, as in a batch.
    std::int64_t begin = 0;
    for (const Sequence& sequence : sequences) {
        const WorstSite worst =
            worst_site(rows_of(text, begin, sequence.length()), record(engine, std::span(&sequence, 1)));
        report.isolation = std::max(report.isolation, worst.error);
        begin += sequence.length();
        if (!(worst.error < kHalfPrecision))
            throw Error("a sequence in a batch is another than alone",
                        fmt::format("{}: {:.1e}", worst.site, worst.error), "");
    }
    // Another last token leaves what came before.
    std::vector<Sequence> changed = sequences;
    auto& last = changed[1].tokens.back();
    last = static_cast<std::int32_t>((last + 1) % std::min<std::int64_t>(model.info().n_vocab, 100));
    const Recording other = record(engine, changed);
    const std::int64_t first = sequences[0].length(), n = sequences[1].length();
    report.past = worst_site(rows_of(other, first, n - 1), rows_of(text, first, n - 1)).error;
    if (report.causal && !(report.past < kHalfPrecision))
        throw Error("a token sees the next one", fmt::format("{:.1e}", report.past), "");
    if (!report.causal && report.past < kHalfPrecision)
        throw Error("no token sees the next one", fmt::format("{:.1e}", report.past), "it is said to");
}

Report check(const std::string& path, Side side) {
    Report report{.model = std::filesystem::path(path).stem().string()};
    try {
        const Model model = Model::open(path, HeldWeights::as_stored, 0, side);
        report.side = model.info().side;
        if (!report.side.empty()) report.model += ", " + report.side;
        report.architecture = model.info().architecture;
        report.causal = model.info().causal;
        const auto engine = model.make_engine({.max_length = 16, .exact = true, .threads = 1});
        report.n_sites = engine->sites().size();
        for (const Component component : all_components()) {
            if (std::any_of(engine->sites().begin(), engine->sites().end(),
                            [&](const SiteShape& s) { return s.site.component == component; }))
                report.components.emplace_back(component_name(component));
        }
        try {
            check_modes(model, report);
            const auto sequences = sequences_of(model, {6, 9, 9, 4, 1});
            const Recording text = record(*engine, sequences);
            check_links(text, model.info().n_layers, report);
            check_routers(text, report);
            check_vectors(model, *engine, report);
            check_isolation(model, *engine, text, sequences, report);
        } catch (const Error& error) {
            report.failed = error.what();
        }
    } catch (const Error& error) {
        report.refused = error.what();
    }
    return report;
}

std::string joined(const auto& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

void print(const Report& r, bool json) {
    if (json) {
        const Json line{{"model", r.model},     {"architecture", r.architecture},
                        {"refused", r.refused}, {"failed", r.failed},
                        {"modes", r.modes},     {"components", r.components},
                        {"absent", r.absent},   {"n_sites", r.n_sites},
                        {"n_links", r.n_links}, {"n_routers", r.n_routers},
                        {"sum", r.sum},         {"isolation", r.isolation},
                        {"past", r.past},       {"vectors", r.vectors},
                        {"causal", r.causal}};
        std::printf("%s\n", line.dump().c_str());
        return;
    }
    if (!r.refused.empty())
        std::printf("refused   %-22s %s\n", r.model.c_str(), r.refused.c_str());
    else if (!r.failed.empty())
        std::printf("FAILED    %-22s %s\n", r.model.c_str(), r.failed.c_str());
    else
        std::printf(
            "captured  %-22s sum %.0e, alone %.0e, vectors %.0e, past %.0e%s, %zu links, %zu routers: %s%s\n",
            r.model.c_str(), r.sum, r.isolation, r.vectors, r.past, r.causal ? "" : " (both ways)", r.n_links,
            r.n_routers, joined(r.components).c_str(),
            r.absent.empty() ? "" : ("; no vectors: " + r.absent.begin()->second).c_str());
}

std::map<std::string, std::string> read_expected(const std::string& path) {
    std::map<std::string, std::string> expected;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (const auto colon = line.find(": "); colon != std::string::npos)
            expected[line.substr(0, colon)] = line.substr(colon + 2);
    }
    return expected;
}

int run(const std::vector<std::string>& arguments) {
    bool json = false;
    std::map<std::string, std::string> expected;
    std::vector<std::string> models;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--json")
            json = true;
        else if (arguments[i] == "--expect" && i + 1 < arguments.size())
            expected = read_expected(arguments[++i]);
        else
            models.push_back(arguments[i]);
    }
    std::map<std::string, int> count;
    int n_unexpected = 0, n_checked = 0;
    const auto account_for = [&](const Report& report) {
        ++n_checked;
        const std::string outcome = !report.refused.empty()  ? "refused"
                                    : !report.failed.empty() ? "failed"
                                                             : "captured";
        ++count[outcome];
        print(report, json);
        if (const auto want = expected.find(report.model);
            want != expected.end() && want->second != outcome) {
            std::printf("expected %s to be %s\n", report.model.c_str(), want->second.c_str());
            ++n_unexpected;
        }
    };
    for (const std::string& path : models) {
        const Report report = check(path, Side::source);
        account_for(report);
        if (report.side == "source") account_for(check(path, Side::target));
    }
    if (!json)
        std::printf("%d captured, %d refused, %d failed of %d\n", count["captured"], count["refused"],
                    count["failed"], n_checked);
    return count["failed"] + n_unexpected > 0;
}

}  // namespace
}  // namespace tomograph

int main(int argc, char** argv) {
    return tomograph::run({argv + 1, argv + argc});
}
