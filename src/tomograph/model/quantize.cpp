#include "tomograph/model/quantize.h"

#include <llama.h>

#include <utility>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/gguf_file.h"

namespace tomograph {

void quantize(const std::string& in, const std::filesystem::path& out, const std::string& type, int threads) {
    static const std::vector<std::pair<std::string, llama_ftype>> types{{"f32", LLAMA_FTYPE_ALL_F32},
                                                                        {"f16", LLAMA_FTYPE_MOSTLY_F16},
                                                                        {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
                                                                        {"q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
                                                                        {"q4_0", LLAMA_FTYPE_MOSTLY_Q4_0}};
    auto parameters = llama_model_quantize_default_params();
    bool known = false;
    for (const auto& [name, ftype] : types) {
        if (name != type) continue;
        parameters.ftype = ftype;
        known = true;
    }
    if (!known) throw Error("no weight type '" + type + "'", "", "use f32, f16, q8_0, q5_0 or q4_0");
    start_llama();
    const ModelFile source(in);
    open_gguf(source.path(), in);
    std::error_code error;
    if (std::filesystem::equivalent(source.path(), out, error))
        throw Error("cannot quantize " + in + " onto itself", "", "name another output");
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

}  // namespace tomograph
