#include "tomograph/model/quantize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llama.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <map>
#include <regex>
#include <utility>
#include <vector>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"

namespace tomograph {

namespace {

struct QuantizedType {
    std::string name;
    llama_ftype file;
    /// Of a file whose matrices are all of one type; GGML_TYPE_COUNT: several.
    ggml_type tensor = GGML_TYPE_COUNT;
};
const std::vector<QuantizedType>& types() {
    static const std::vector<QuantizedType> all{{"f32", LLAMA_FTYPE_ALL_F32, GGML_TYPE_F32},
                                                {"f16", LLAMA_FTYPE_MOSTLY_F16, GGML_TYPE_F16},
                                                {"bf16", LLAMA_FTYPE_MOSTLY_BF16, GGML_TYPE_BF16},
                                                {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0, GGML_TYPE_Q8_0},
                                                {"q5_0", LLAMA_FTYPE_MOSTLY_Q5_0, GGML_TYPE_Q5_0},
                                                {"q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},
                                                {"q4_0", LLAMA_FTYPE_MOSTLY_Q4_0, GGML_TYPE_Q4_0},
                                                {"q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
                                                {"q6_k", LLAMA_FTYPE_MOSTLY_Q6_K},
                                                {"q5_k_m", LLAMA_FTYPE_MOSTLY_Q5_K_M},
                                                {"q5_k_s", LLAMA_FTYPE_MOSTLY_Q5_K_S},
                                                {"q4_k_m", LLAMA_FTYPE_MOSTLY_Q4_K_M},
                                                {"q4_k_s", LLAMA_FTYPE_MOSTLY_Q4_K_S},
                                                {"q3_k_l", LLAMA_FTYPE_MOSTLY_Q3_K_L},
                                                {"q3_k_m", LLAMA_FTYPE_MOSTLY_Q3_K_M},
                                                {"q3_k_s", LLAMA_FTYPE_MOSTLY_Q3_K_S},
                                                {"q2_k", LLAMA_FTYPE_MOSTLY_Q2_K},
                                                {"iq4_nl", LLAMA_FTYPE_MOSTLY_IQ4_NL},
                                                {"iq4_xs", LLAMA_FTYPE_MOSTLY_IQ4_XS},
                                                {"iq3_m", LLAMA_FTYPE_MOSTLY_IQ3_M},
                                                {"iq3_s", LLAMA_FTYPE_MOSTLY_IQ3_S}};
    return all;
}
/// What llama.cpp writes only with an importance matrix, and the nearest type that needs none.
const std::map<std::string, std::string>& types_by_importance() {
    static const std::map<std::string, std::string> all{
        {"iq3_xs", "iq3_s"}, {"iq3_xxs", "iq3_s"}, {"q2_k_s", "q2_k"}, {"iq2_m", "q2_k"}, {"iq2_s", "q2_k"},
        {"iq2_xs", "q2_k"},  {"iq2_xxs", "q2_k"},  {"iq1_m", "q2_k"},  {"iq1_s", "q2_k"}};
    return all;
}
/// The mixtures that these short names stand for in llama.cpp.
const std::map<std::string, std::string>& short_names() {
    static const std::map<std::string, std::string> all{
        {"q5_k", "q5_k_m"}, {"q4_k", "q4_k_m"}, {"q3_k", "q3_k_m"}};
    return all;
}

std::string lower(std::string text) {
    for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return text;
}

const QuantizedType& find_type(const std::string& text) {
    std::string name = lower(text);
    if (const auto at = short_names().find(name); at != short_names().end()) name = at->second;
    for (const QuantizedType& type : types()) {
        if (type.name == name) return type;
    }
    if (const auto at = types_by_importance().find(name); at != types_by_importance().end())
        throw Error("tomograph cannot write " + name,
                    "so few bits need an importance matrix, which says what matters to a text",
                    fmt::format("use {}, or llama.cpp's own llama-quantize with --imatrix", at->second));
    throw Error("no weight type '" + text + "'", "",
                fmt::format("use one of {}", fmt::join(quantized_types(), ", ")));
}

/// Tensors whose rows do not divide into a type's blocks got another type: a sentence for each pair of types.
std::vector<std::string> fallback_notes(const std::vector<std::string>& warnings) {
    static const std::regex fallback(
        R"(warning: (\S+) +- ncols +([0-9]+) not divisible by +([0-9]+) \(required for type +(\S+)\).*falling back to +(\S+))");
    // (row, block, wanted, used) to how many, and the first of them.
    std::map<std::array<std::string, 4>, std::pair<int, std::string>> found;
    for (const std::string& line : warnings) {
        std::smatch match;
        if (!std::regex_search(line, match, fallback)) continue;
        auto& [count, first] = found[{match[2], match[3], lower(match[4]), lower(match[5])}];
        if (count++ == 0) first = match[1];
    }
    std::vector<std::string> notes;
    for (const auto& [what, of] : found) {
        const auto& [columns, block, wanted, used] = what;
        notes.push_back(
            fmt::format("{} ({}) became {} instead of {}: rows of {} do not divide into blocks of {}",
                        counted(of.first, "tensor"), of.first == 1 ? of.second : "such as " + of.second, used,
                        wanted, columns, block));
    }
    return notes;
}

/// What llama.cpp's `result` says of the file that it wrote. Errors: `cut` where not all could be written,
/// which llama.cpp may not notice: the file's own header says how long it should be; else Error of `failed`.
void check_written(int result, const std::string& file, const std::string& shown, const Error& cut,
                   const std::string& failed, const std::string& mend) {
    if (result != 0) {
        const std::string why = last_llama_error();
        if (why.find("iostream") != std::string::npos) throw cut;
        throw Error(failed, why, mend);
    }
    try {
        open_gguf(file, shown);
    } catch (const Error&) {
        throw cut;
    }
}

std::vector<std::string> write_quantized(const std::string& in, const std::filesystem::path& out,
                                         llama_model_quantize_params parameters, int threads,
                                         Progress& progress) {
    start_llama();
    const ModelFile source(in);
    for (const ModelPart& part : open_parts(source.path(), in)) {
        std::error_code error;
        if (std::filesystem::equivalent(part.path, out, error))
            throw Error("cannot quantize " + in + " onto itself", "", "name another output");
    }
    // Where a thread cannot start, llama.cpp ends the process.
    parameters.nthread = startable_threads(thread_count(threads));
    parameters.allow_requantize = true;
    AtomicFile file(out);
    clear_llama_errors();
    take_llama_warnings();
    int result = 0;
    {
        // llama.cpp names each tensor before it works on it: "[  12/ 272] blk.1.ffn_up.weight ...".
        bool begun = false;
        const LlamaListener listener([&](const std::string& text) {
            static const std::regex tensor(R"(^\[ *([0-9]+)/ *([0-9]+)\])");
            std::smatch match;
            if (!std::regex_search(text, match, tensor)) return;
            if (!std::exchange(begun, true))
                progress.begin("quantize " + in, std::stoll(match[2]), "tensors");
            progress.update(std::stoll(match[1]) - 1);
            if (progress.stop_requested()) throw Stopped("nothing is kept");
        });
        result = llama_model_quantize(source.path().c_str(), file.temporary().c_str(), &parameters);
        if (begun) progress.end();
    }
    const std::vector<std::string> warnings = take_llama_warnings();
    if (result != 0 && progress.stop_requested()) throw Stopped("nothing is kept");
    check_written(
        result, file.temporary().string(), out.string(),
        Error("cannot write " + out.string(), "it was cut", "free some disk space or write elsewhere"),
        "cannot quantize " + in, "");
    file.commit();
    return fallback_notes(warnings);
}

}  // namespace

std::vector<std::string> quantized_types() {
    std::vector<std::string> names;
    for (const QuantizedType& type : types()) names.push_back(type.name);
    return names;
}

void check_quantized_type(const std::string& type) {
    find_type(type);
}

std::vector<std::string> quantize(const std::string& in, const std::filesystem::path& out,
                                  const std::string& type, int threads, Progress& progress) {
    auto parameters = llama_model_quantize_default_params();
    parameters.ftype = find_type(type).file;
    return write_quantized(in, out, parameters, threads, progress);
}

int decode_into_memory(const std::string& in, int threads) {
    start_llama();
    const ModelFile source(in);
    open_parts(source.path(), in);
    const int descriptor = ::memfd_create("decoded", MFD_CLOEXEC);
    if (descriptor < 0)
        throw Error("cannot hold " + in + " in memory", std::strerror(errno), "use --weights as-stored");
    const std::string out = fmt::format("/proc/self/fd/{}", descriptor);
    auto parameters = llama_model_quantize_default_params();
    parameters.ftype = LLAMA_FTYPE_ALL_F32;
    parameters.nthread = startable_threads(thread_count(threads));
    parameters.allow_requantize = true;
    clear_llama_errors();
    try {
        const std::string failed = "cannot decode " + in, mend = "use --weights as-stored";
        check_written(llama_model_quantize(source.path().c_str(), out.c_str(), &parameters), out, in,
                      Error(failed, "memory ran out", mend), failed, mend);
    } catch (...) {
        ::close(descriptor);
        throw;
    }
    take_llama_warnings();
    return descriptor;
}

void quantize_parts(const std::string& in, const std::filesystem::path& out, const std::string& type,
                    const std::vector<WeightPart>& parts, int threads) {
    const QuantizedType& chosen = find_type(type);
    if (!ggml_is_quantized(chosen.tensor))
        throw Error("parts of a model cannot become '" + type + "'", "", "use q8_0, q5_0 or q4_0");
    // Patterns are tried in order, the first that fits decides; they are asked only where the file's own type
    // is quantised.
    auto parameters = llama_model_quantize_default_params();
    parameters.ftype = chosen.file;
    std::vector<llama_model_tensor_override> overrides;
    for (const WeightPart part : parts)
        overrides.push_back({part == WeightPart::attention ? R"(blk\.[0-9]+\.attn_(?!.*norm))"
                                                           : R"(blk\.[0-9]+\.ffn_(?!gate_inp|.*norm))",
                             chosen.tensor});
    overrides.push_back({".*", GGML_TYPE_F32});
    overrides.push_back({nullptr, GGML_TYPE_COUNT});
    parameters.tt_overrides = overrides.data();
    write_quantized(in, out, parameters, threads, no_progress());
}

}  // namespace tomograph
