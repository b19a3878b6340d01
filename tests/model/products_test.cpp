#include "tomograph/model/products.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace tomograph {
namespace {

/// A flash attention as llama.cpp builds it: heads beside each other in each token's row, seen head by head.
struct Sketch {
    std::int64_t n_queries = 150, n_keys = 256, n_heads = 6, n_key_heads = 2, width = 32, value_width = 32;
    ggml_type type = GGML_TYPE_F16;
    float steepness = 0, bound = 0;
    bool sinks = false;
};

class AttentionDevice : public testing::Test {
  protected:
    AttentionDevice() {
        register_products();
        device = ggml_backend_dev_by_name("tomograph");
    }

    /// The op, with its inputs filled.
    ggml_tensor* build(const Sketch& s) {
        context.reset(ggml_init({.mem_size = 64 * ggml_tensor_overhead() + ggml_graph_overhead(),
                                 .mem_buffer = nullptr,
                                 .no_alloc = true}));
        ggml_context* c = context.get();
        ggml_tensor* queries = ggml_new_tensor_3d(c, GGML_TYPE_F32, s.width, s.n_heads, s.n_queries);
        ggml_tensor* keys = ggml_new_tensor_3d(c, s.type, s.width, s.n_key_heads, s.n_keys);
        ggml_tensor* values = ggml_new_tensor_3d(c, s.type, s.value_width, s.n_key_heads, s.n_keys);
        ggml_tensor* mask = ggml_new_tensor_2d(c, GGML_TYPE_F16, s.n_keys, s.n_queries + 10);
        ggml_tensor* sinks = s.sinks ? ggml_new_tensor_1d(c, GGML_TYPE_F32, s.n_heads) : nullptr;
        ggml_tensor* op =
            ggml_flash_attn_ext(c, ggml_permute(c, queries, 0, 2, 1, 3), ggml_permute(c, keys, 0, 2, 1, 3),
                                ggml_permute(c, values, 0, 2, 1, 3), mask, 0.25f, s.steepness, s.bound);
        ggml_flash_attn_ext_add_sinks(op, sinks);
        ggml_prec_set_acc(op, GGML_PREC_F32);
        graph = ggml_new_graph(c);
        ggml_build_forward_expand(graph, op);
        buffer.reset(ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type()));
        std::mt19937_64 random(3);
        std::normal_distribution<float> normal;
        for (ggml_tensor* tensor : {queries, keys, values, sinks}) {
            for (std::int64_t i = 0; tensor != nullptr && i < ggml_nelements(tensor); ++i) {
                const float number = 2 * normal(random);
                if (tensor->type == GGML_TYPE_F32)
                    static_cast<float*>(tensor->data)[i] = number;
                else if (tensor->type == GGML_TYPE_F16)
                    static_cast<ggml_fp16_t*>(tensor->data)[i] = ggml_fp32_to_fp16(number);
            }
        }
        for (std::int64_t i = 0; i < mask->ne[1]; ++i) {
            for (std::int64_t j = 0; j < s.n_keys; ++j)
                static_cast<ggml_fp16_t*>(mask->data)[i * s.n_keys + j] =
                    ggml_fp32_to_fp16(j <= i + 20 ? 0.0f : -INFINITY);
        }
        return op;
    }

    std::vector<float> run(ggml_backend_dev_t on, ggml_tensor* op) const {
        const std::unique_ptr<ggml_backend, decltype(&ggml_backend_free)> backend(
            ggml_backend_dev_init(on, nullptr), ggml_backend_free);
        EXPECT_EQ(ggml_backend_graph_compute(backend.get(), graph), GGML_STATUS_SUCCESS);
        const auto* values = static_cast<const float*>(op->data);
        std::vector<float> out(values, values + ggml_nelements(op));
        std::fill_n(static_cast<float*>(op->data), out.size(), NAN);
        return out;
    }

    ggml_backend_dev_t device = nullptr;
    std::unique_ptr<ggml_context, decltype(&ggml_free)> context{nullptr, ggml_free};
    std::unique_ptr<ggml_backend_buffer, decltype(&ggml_backend_buffer_free)> buffer{
        nullptr, ggml_backend_buffer_free};
    ggml_cgraph* graph = nullptr;
};

TEST_F(AttentionDevice, ComputesWhatGgmlDoes) {
    ASSERT_NE(device, nullptr);
    ggml_backend_dev_t processor = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    for (const Sketch& sketch : {Sketch{}, Sketch{.n_heads = 4, .n_key_heads = 4, .type = GGML_TYPE_F32},
                                 Sketch{.n_queries = 40, .width = 64, .value_width = 16}}) {
        ggml_tensor* op = build(sketch);
        ASSERT_TRUE(ggml_backend_dev_supports_op(device, op));
        const std::vector<float> theirs = run(processor, op), ours = run(device, op);
        double error = 0, size = 0;
        for (std::size_t i = 0; i < ours.size(); ++i) {
            error += std::pow(static_cast<double>(ours[i]) - static_cast<double>(theirs[i]), 2);
            size += std::pow(static_cast<double>(theirs[i]), 2);
        }
        ASSERT_GT(size, 0);
        // ggml itself may sum products of float16 in float16.
        EXPECT_LT(std::sqrt(error / size), sketch.type == GGML_TYPE_F32 ? 1e-6 : 1e-3);
    }
}

TEST_F(AttentionDevice, LeavesToGgmlWhatItDoesNotCompute) {
    ASSERT_NE(device, nullptr);
    for (const Sketch& sketch : {Sketch{.n_queries = 8}, Sketch{.steepness = 8}, Sketch{.bound = 30},
                                 Sketch{.sinks = true}, Sketch{.type = GGML_TYPE_Q8_0}})
        EXPECT_FALSE(ggml_backend_dev_supports_op(device, build(sketch)));
}

}  // namespace
}  // namespace tomograph
