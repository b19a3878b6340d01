#include "tomograph/model/weight_layout.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <memory>

namespace tomograph {
namespace {

/// Whether a buffer type of the processor takes a matrix of this type and these extents for products.
bool takes(ggml_backend_dev_t device, ggml_backend_buffer_type_t kind, ggml_type type, std::int64_t width,
           std::int64_t rows) {
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(
        ggml_init({.mem_size = 4 * ggml_tensor_overhead(), .mem_buffer = nullptr, .no_alloc = true}),
        ggml_free);
    ggml_tensor* weights = ggml_new_tensor_2d(context.get(), type, width, rows);
    ggml_tensor* read = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, width, 512);
    ggml_tensor* product = ggml_mul_mat(context.get(), weights, read);
    const std::unique_ptr<ggml_backend_buffer, decltype(&ggml_backend_buffer_free)> empty(
        ggml_backend_buft_alloc_buffer(kind, 0), ggml_backend_buffer_free);
    weights->buffer = empty.get();
    return ggml_backend_dev_supports_op(device, product);
}

}  // namespace

bool laid_out_anew(const std::vector<ModelPart>& parts) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    const auto kinds_of =
        reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
            ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
    if (kinds_of == nullptr) return false;
    std::uint64_t all = 0;
    std::uint64_t anew = 0;
    for (const ModelPart& part : parts) {
        const gguf_context* gguf = part.gguf.get();
        for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
            const std::uint64_t bytes = gguf_get_tensor_size(gguf, i);
            const auto extents = gguf_get_tensor_ne(gguf, i);
            const ggml_type type = gguf_get_tensor_type(gguf, i);
            all += bytes;
            for (auto kind = kinds_of(device); kind != nullptr && *kind != nullptr; ++kind) {
                if (!ggml_is_quantized(type) || !takes(device, *kind, type, extents[0], extents[1])) continue;
                anew += bytes;
                break;
            }
        }
    }
    return anew > all / 2;
}

}  // namespace tomograph
