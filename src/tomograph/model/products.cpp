#include "tomograph/model/products.h"

#include <ggml-backend-impl.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <cstring>
#include <string_view>

#include "tomograph/linear/attention.h"
#include "tomograph/linear/blas.h"
#include "tomograph/linear/weights_product.h"

namespace tomograph {
namespace {

// Below so many tokens the weights' way through memory decides, and ggml's kernels need no packing.
constexpr std::int64_t kMinTokens = 32;
constexpr std::int64_t kMinWidth = 32;

constexpr const char* kName = "tomograph";

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

/// Has OpenBLAS kernels for the processor that are as wide as those that ggml was built with?
bool multiplies() {
    static const bool wide = blas_is_wide(ggml_cpu_has_avx512() != 0);
    return wide;
}

bool is_product(const ggml_tensor* op) {
    if (op->op != GGML_OP_MUL_MAT || !multiplies()) return false;
    const ggml_tensor* weights = op->src[0];
    const ggml_tensor* rows = op->src[1];
    return weights->type == GGML_TYPE_F32 && rows->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 &&
           weights->ne[2] == 1 && weights->ne[3] == 1 && ggml_is_contiguous(weights) &&
           ggml_is_contiguous(rows) && ggml_is_contiguous(op) && weights->ne[0] >= kMinWidth &&
           weights->ne[1] >= kMinWidth && ggml_nrows(rows) >= kMinTokens &&
           op->op_params[1] != GGML_HINT_SRC0_IS_HADAMARD;
}

/// Attention under a mask, with nothing added to it: no positions in the scores, no bounds on them, no sinks.
bool is_attention(const ggml_tensor* op) {
    if (op->op != GGML_OP_FLASH_ATTN_EXT) return false;
    const ggml_tensor *queries = op->src[0], *keys = op->src[1], *values = op->src[2], *mask = op->src[3];
    float settings[3];  // scale, steepness of positions, bound
    std::memcpy(settings, op->op_params, sizeof settings);
    const auto fits = [&](const ggml_tensor* t) {
        const std::size_t size = ggml_type_size(t->type);
        return t->ne[3] == 1 && t->nb[0] == size && t->nb[1] % size == 0 && t->nb[2] % size == 0;
    };
    return mask != nullptr && op->src[4] == nullptr && settings[1] == 0 && settings[2] == 0 &&
           queries->type == GGML_TYPE_F32 && keys->type == values->type &&
           (keys->type == GGML_TYPE_F16 || keys->type == GGML_TYPE_F32) && mask->type == GGML_TYPE_F16 &&
           fits(queries) && fits(keys) && fits(values) && fits(mask) && mask->ne[2] == 1 &&
           queries->ne[1] >= kMinTokens && mask->ne[0] >= keys->ne[1] && mask->ne[1] >= queries->ne[1] &&
           keys->ne[2] == values->ne[2] && queries->ne[2] % keys->ne[2] == 0 && ggml_is_contiguous(op);
}

/// How far a token is from the next, and a head: in numbers.
std::int64_t step(const ggml_tensor* t, int axis) {
    return static_cast<std::int64_t>(t->nb[axis] / ggml_type_size(t->type));
}

void compute_attention(const ggml_tensor* op, int threads) {
    const ggml_tensor *queries = op->src[0], *keys = op->src[1], *values = op->src[2], *mask = op->src[3];
    float scale = 1;
    std::memcpy(&scale, op->op_params, sizeof scale);
    attend({.queries = static_cast<const float*>(queries->data),
            .query_step = step(queries, 1),
            .query_head_step = step(queries, 2),
            .keys = keys->data,
            .key_step = step(keys, 1),
            .key_head_step = step(keys, 2),
            .values = values->data,
            .value_step = step(values, 1),
            .value_head_step = step(values, 2),
            .mask = static_cast<const std::uint16_t*>(mask->data),
            .mask_step = step(mask, 1),
            .out = static_cast<float*>(op->data),
            .n_queries = queries->ne[1],
            .n_keys = keys->ne[1],
            .n_heads = queries->ne[2],
            .n_key_heads = keys->ne[2],
            .width = keys->ne[0],
            .value_width = values->ne[0],
            .scale = scale,
            .half = keys->type == GGML_TYPE_F16},
           threads);
}

void multiply(const ggml_tensor* op, int threads) {
    const ggml_tensor *weights = op->src[0], *rows = op->src[1];
    multiply_by_weights(static_cast<const float*>(rows->data), static_cast<const float*>(weights->data),
                        static_cast<float*>(op->data), ggml_nrows(rows), weights->ne[1], weights->ne[0],
                        threads);
}

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
    const auto& products = *static_cast<const Products*>(backend->context);
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
        const ggml_tensor* node = ggml_graph_node(graph, i);
        if ((node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || is_free(node)) continue;
        if (node->op == GGML_OP_FLASH_ATTN_EXT)
            compute_attention(node, products.threads);
        else
            multiply(node, products.threads);
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
        return is_free(op) || is_product(op) || is_attention(op);
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
    static const bool registered [[maybe_unused]] = (ggml_backend_register(&registry), true);
    return multiplies();
}

}  // namespace tomograph
