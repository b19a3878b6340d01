#include "tomograph/model/products.h"

#include <ggml-backend-impl.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <string_view>

#include "tomograph/linear/blas.h"
#include "tomograph/linear/weights_product.h"

namespace tomograph {
namespace {

// Below so many tokens the weights' way through memory decides, and ggml's kernels need no packing.
constexpr std::int64_t kMinTokens = 32;
constexpr std::int64_t kMinWidth = 32;

constexpr const char* kName = "OpenBLAS";

struct Products {
    int threads = 1;
};

bool is_free(const ggml_tensor* op) {
    switch (op->op) {
        case GGML_OP_NONE:
        case GGML_OP_RESHAPE:
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE:
            return true;
        default:
            return false;
    }
}

bool is_product(const ggml_tensor* op) {
    if (op->op != GGML_OP_MUL_MAT) return false;
    const ggml_tensor* weights = op->src[0];
    const ggml_tensor* rows = op->src[1];
    return weights->type == GGML_TYPE_F32 && rows->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 &&
           weights->ne[2] == 1 && weights->ne[3] == 1 && ggml_is_contiguous(weights) &&
           ggml_is_contiguous(rows) && ggml_is_contiguous(op) && weights->ne[0] >= kMinWidth &&
           weights->ne[1] >= kMinWidth && ggml_nrows(rows) >= kMinTokens &&
           op->op_params[1] != GGML_HINT_SRC0_IS_HADAMARD;
}

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
    const auto& products = *static_cast<const Products*>(backend->context);
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
        const ggml_tensor* node = ggml_graph_node(graph, i);
        if ((node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || is_free(node)) continue;
        const ggml_tensor* weights = node->src[0];
        const ggml_tensor* rows = node->src[1];
        multiply_by_weights(static_cast<const float*>(rows->data), static_cast<const float*>(weights->data),
                            static_cast<float*>(node->data), ggml_nrows(rows), weights->ne[1], weights->ne[0],
                            products.threads);
    }
    return GGML_STATUS_SUCCESS;
}

void set_threads(ggml_backend_t backend, int threads) {
    static_cast<Products*>(backend->context)->threads = threads;
}

ggml_guid_t guid() {
    static ggml_guid id{0x74, 0x6f, 0x6d, 0x6f, 0x67, 0x72, 0x61, 0x70,
                        0x68, 0x2d, 0x73, 0x67, 0x65, 0x6d, 0x6d, 0x31};
    return &id;
}

ggml_backend_t make_backend(ggml_backend_dev_t device, const char*) {
    ggml_backend_i calls{};
    calls.get_name = [](ggml_backend_t) { return kName; };
    calls.free = [](ggml_backend_t backend) {
        delete static_cast<Products*>(backend->context);
        delete backend;
    };
    calls.graph_compute = compute;
    return new ggml_backend{guid(), calls, device, new Products};
}

void properties(ggml_backend_dev_t, ggml_backend_dev_props* properties) {
    *properties = {};
    properties->name = properties->description = kName;
    properties->type = GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

ggml_backend_device_i device_calls() {
    ggml_backend_device_i calls{};
    calls.get_name = calls.get_description = [](ggml_backend_dev_t) { return kName; };
    calls.get_memory = [](ggml_backend_dev_t, std::size_t* free, std::size_t* total) { *free = *total = 0; };
    calls.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_ACCEL; };
    calls.get_props = properties;
    calls.init_backend = make_backend;
    calls.get_buffer_type = [](ggml_backend_dev_t) { return ggml_backend_cpu_buffer_type(); };
    calls.supports_op = [](ggml_backend_dev_t, const ggml_tensor* op) {
        return is_free(op) || is_product(op);
    };
    calls.supports_buft = [](ggml_backend_dev_t, ggml_backend_buffer_type_t buffer) {
        return ggml_backend_buft_is_host(buffer);
    };
    return calls;
}

ggml_backend_dev_t the_device(ggml_backend_reg_t registry, std::size_t) {
    static ggml_backend_device device{device_calls(), registry, nullptr};
    return &device;
}

void* find_call(ggml_backend_reg_t, const char* name) {
    return std::string_view(name) == "ggml_backend_set_n_threads" ? reinterpret_cast<void*>(set_threads)
                                                                  : nullptr;
}

}  // namespace

bool register_products() {
    static ggml_backend_reg registry{GGML_BACKEND_API_VERSION,
                                     {.get_name = [](ggml_backend_reg_t) { return kName; },
                                      .get_device_count = [](ggml_backend_reg_t) { return std::size_t{1}; },
                                      .get_device = the_device,
                                      .get_proc_address = find_call},
                                     nullptr};
    static const bool registered =
        blas_is_wide(ggml_cpu_has_avx512() != 0) && (ggml_backend_register(&registry), true);
    return registered;
}

}  // namespace tomograph
