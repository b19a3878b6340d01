// How fast llama.cpp itself reads a text: the yardstick for `tomograph capture`. No callback, nothing kept,
// only the last token of a sequence is an output. Uses llama.h alone, so that it measures none of our code.
#include <fmt/core.h>
#include <llama.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Free {
    void operator()(llama_model* model) const { llama_model_free(model); }
    void operator()(llama_context* context) const { llama_free(context); }
};
using ModelPointer = std::unique_ptr<llama_model, Free>;
using ContextPointer = std::unique_ptr<llama_context, Free>;

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The text as `tomograph capture --prompts text` cuts it: `length` tokens each, the first of them the start
/// token if the model wants one. [n_sequences][length]
std::vector<std::vector<llama_token>> cut(const llama_vocab* vocab, const std::string& text,
                                          std::size_t n_sequences, std::size_t length) {
    std::vector<llama_token> tokens;
    const auto split = [&] {
        return llama_tokenize(vocab, text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
                              static_cast<std::int32_t>(tokens.size()),
                              /*add_special=*/false, /*parse_special=*/false);
    };
    // A count below zero is how many there would be: more than characters where one falls back to its bytes.
    tokens.resize(static_cast<std::size_t>(std::abs(split())));
    if (split() != static_cast<std::int32_t>(tokens.size()))
        throw std::runtime_error("the text cannot be tokenised");

    const std::size_t n_start = llama_vocab_get_add_bos(vocab) ? 1 : 0;
    const std::size_t body = length - n_start;
    std::vector<std::vector<llama_token>> sequences;
    for (std::size_t next = 0; sequences.size() < n_sequences && next + body <= tokens.size(); next += body) {
        std::vector<llama_token> sequence(length, llama_vocab_bos(vocab));
        std::copy_n(&tokens[next], body, &sequence[n_start]);
        sequences.push_back(std::move(sequence));
    }
    if (sequences.empty()) throw std::runtime_error("the text is shorter than one sequence");
    return sequences;
}

void prefill(llama_context* context, std::vector<llama_token>& sequence) {
    llama_memory_clear(llama_get_memory(context), /*data=*/false);
    const auto batch = llama_batch_get_one(sequence.data(), static_cast<std::int32_t>(sequence.size()));
    if (llama_decode(context, batch) != 0) throw std::runtime_error("llama_decode failed");
    llama_synchronize(context);
}

void measure(const std::string& path, const std::string& text, std::size_t n_sequences, std::size_t length,
             int threads) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_backend_init();
    const ModelPointer model(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
    if (!model) throw std::runtime_error("llama.cpp cannot open " + path);

    auto params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(length);
    params.n_threads = params.n_threads_batch = threads;
    const ContextPointer context(llama_init_from_model(model.get(), params));
    if (!context) throw std::runtime_error("llama.cpp cannot make a context");

    auto sequences = cut(llama_model_get_vocab(model.get()), read_file(text), n_sequences, length);
    prefill(context.get(), sequences.front());  // warm-up: pages of weights, thread pool

    const auto start = std::chrono::steady_clock::now();
    for (auto& sequence : sequences) prefill(context.get(), sequence);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

    const std::size_t n_tokens = sequences.size() * length;
    fmt::print("prefilled {} tokens in {:.2f} s ({:.1f} tokens/s)\n", n_tokens, seconds.count(),
               static_cast<double>(n_tokens) / seconds.count());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Prefill speed of llama.cpp without a callback"};
    std::string model, text;
    std::size_t n_sequences = 16, length = 512;
    int threads = 1;
    app.add_option("model", model, "GGUF file")->required();
    app.add_option("--text", text, "Text file")->required();
    app.add_option("--sequences", n_sequences, "At most so many sequences")->check(CLI::PositiveNumber);
    app.add_option("--length", length, "Tokens a sequence")->check(CLI::Range(2, 65536));
    app.add_option("--threads", threads, "Threads")->check(CLI::PositiveNumber);
    CLI11_PARSE(app, argc, argv);
    try {
        measure(model, text, n_sequences, length, threads);
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench_prefill: {}\n", error.what());
        return 1;
    }
}
