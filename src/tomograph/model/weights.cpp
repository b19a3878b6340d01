#include "tomograph/model/weights.h"

#include <ggml.h>

#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"

namespace tomograph {

std::vector<WeightTensor> weight_tensors(const std::string& name_or_path) {
    start_llama();
    const ModelFile file(name_or_path);
    open_gguf(file.path(), name_or_path);
    ggml_context* raw = nullptr;
    const Gguf gguf(gguf_init_from_file(file.path().c_str(), {.no_alloc = true, .ctx = &raw}));
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(raw, &ggml_free);
    std::vector<WeightTensor> tensors;
    for (ggml_tensor* t = ggml_get_first_tensor(context.get()); t != nullptr;
         t = ggml_get_next_tensor(context.get(), t)) {
        WeightTensor& tensor = tensors.emplace_back();
        tensor.name = t->name;
        tensor.shape.assign(t->ne, t->ne + ggml_n_dims(t));
        tensor.bytes = ggml_nbytes(t);
    }
    return tensors;
}

}  // namespace tomograph
