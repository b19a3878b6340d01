#include "tomograph/model/quantize.h"

#include <llama.h>

#include <utility>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/gguf_file.h"

namespace tomograph {

namespace {

struct QuantizedType {
    std::string name;
    llama_ftype file;
    ggml_type tensor;
};
const std::vector<QuantizedType>& types() {
    static const std::vector<QuantizedType> all{{"f32", LLAMA_FTYPE_ALL_F32, GGML_TYPE_F32},
                                                {"f16", LLAMA_FTYPE_MOSTLY_F16, GGML_TYPE_F16},
                                                {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0, GGML_TYPE_Q8_0},
                                                {"q5_0", LLAMA_FTYPE_MOSTLY_Q5_0, GGML_TYPE_Q5_0},
                                                {"q4_0", LLAMA_FTYPE_MOSTLY_Q4_0, GGML_TYPE_Q4_0}};
    return all;
}

const QuantizedType& find_type(const std::string& name) {
    for (const QuantizedType& type : types()) {
        if (type.name == name) return type;
    }
    throw Error("no weight type '" + name + "'", "", "use f32, f16, q8_0, q5_0 or q4_0");
}

void write_quantized(const std::string& in, const std::filesystem::path& out,
                     llama_model_quantize_params parameters, int threads) {
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
    const auto cut = [&] {
        return Error("cannot write " + out.string(), "it was cut", "free some disk space or write elsewhere");
    };
    AtomicFile file(out);
    clear_llama_errors();
    if (llama_model_quantize(source.path().c_str(), file.temporary().c_str(), &parameters) != 0) {
        const std::string why = last_llama_error();
        if (why.find("iostream") != std::string::npos) throw cut();
        throw Error("cannot quantize " + in, why, "");
    }
    // llama.cpp may not notice a full disk: the file's own header says how long it should be.
    try {
        open_gguf(file.temporary().string(), out.string());
    } catch (const Error&) {
        throw cut();
    }
    file.commit();
}

}  // namespace

void quantize(const std::string& in, const std::filesystem::path& out, const std::string& type, int threads) {
    auto parameters = llama_model_quantize_default_params();
    parameters.ftype = find_type(type).file;
    write_quantized(in, out, parameters, threads);
}

void quantize_parts(const std::string& in, const std::filesystem::path& out, const std::string& type,
                    const std::vector<WeightPart>& parts, int threads) {
    const QuantizedType& chosen = find_type(type);
    if (!ggml_is_quantized(chosen.tensor))
        throw Error("'" + type + "' is no quantised type", "", "use q8_0, q5_0 or q4_0");
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
    write_quantized(in, out, parameters, threads);
}

}  // namespace tomograph
