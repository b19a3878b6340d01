#include "tomograph/model/record_graph.h"

#include <ggml-backend.h>

#include <algorithm>
#include <cstring>

namespace tomograph {
namespace {

bool is_weight(const ggml_tensor* t) {
    return t->op == GGML_OP_NONE && t->buffer != nullptr &&
           ggml_backend_buffer_get_usage(t->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

/// Where a part of the graph runs on another device, it reads copies of what it needs from before, named
/// DEVICE#NAME#NUMBER. The name that was copied; empty where it is no copy.
std::string_view copied_name(const ggml_tensor* t) {
    const std::string_view name = t->name;
    const std::size_t first = name.find('#'), last = name.rfind('#');
    if (t->op != GGML_OP_NONE || first == std::string_view::npos || first == last) return "";
    return name.substr(first + 1, last - first - 1);
}

GraphNode::Source leaf(const ggml_tensor* t) {
    const std::string_view copied = copied_name(t);
    GraphNode::Source source{-1, std::string(copied.empty() ? t->name : copied), is_weight(t)};
    if (t->type != GGML_TYPE_F32) return source;
    if (source.weight && ggml_nelements(t) == 1) {
        float value = 0;
        ggml_backend_tensor_get(t, &value, 0, sizeof value);
        source.value = value;
    }
    if ((t->flags & GGML_TENSOR_FLAG_INPUT) != 0 || !copied.empty()) source.width = t->ne[0];
    return source;
}

}  // namespace

GraphNode::Op op_of(const ggml_tensor* t) {
    using Op = GraphNode::Op;
    switch (t->op) {
        case GGML_OP_ADD:
            return Op::add;
        case GGML_OP_MUL:
            return Op::mul;
        case GGML_OP_SCALE: {
            // With a bias it is no scale: the second parameter.
            float parameters[2] = {1, 0};
            std::memcpy(parameters, t->op_params, sizeof parameters);
            return parameters[1] == 0 ? Op::scale : Op::other;
        }
        case GGML_OP_NORM:
        case GGML_OP_RMS_NORM:
            return Op::norm;
        case GGML_OP_MUL_MAT:
            return Op::mul_mat;
        case GGML_OP_MUL_MAT_ID:
            return Op::mul_mat_id;
        case GGML_OP_GET_ROWS:
            return Op::get_rows;
        case GGML_OP_VIEW:
        case GGML_OP_RESHAPE:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE:
            return Op::view;
        case GGML_OP_CONT:
        case GGML_OP_CPY:
        case GGML_OP_DUP:
            return Op::copy;
        case GGML_OP_PAD:
            return Op::pad;
        case GGML_OP_SOFT_MAX:
            return Op::soft_max;
        case GGML_OP_UNARY:
            return ggml_get_unary_op(t) == GGML_UNARY_OP_SIGMOID ? Op::sigmoid : Op::other;
        case GGML_OP_FLASH_ATTN_EXT:
            return Op::attention;
        case GGML_OP_SSM_CONV:
        case GGML_OP_SSM_SCAN:
        case GGML_OP_RWKV_WKV6:
        case GGML_OP_RWKV_WKV7:
        case GGML_OP_GATED_LINEAR_ATTN:
        case GGML_OP_GATED_DELTA_NET:
            return Op::recurrent;
        default:
            return Op::other;
    }
}

int GraphRecorder::original(std::string_view name) const {
    if (name.empty()) return -1;
    // Of several with one name the one before was written last.
    const auto found =
        std::find_if(nodes.rbegin(), nodes.rend(), [&](const GraphNode& n) { return n.name == name; });
    return static_cast<int>(nodes.rend() - found) - 1;
}

void GraphRecorder::add(const ggml_tensor* t) {
    GraphNode node;
    node.op = op_of(t);
    node.name = t->name;
    node.computed = (t->flags & GGML_TENSOR_FLAG_COMPUTE) != 0;
    std::copy(std::begin(t->ne), std::end(t->ne), node.shape.begin());
    node.kind = ggml_op_desc(t);
    if (node.op == GraphNode::Op::scale) std::memcpy(&node.factor, t->op_params, sizeof node.factor);
    for (const ggml_tensor* source : t->src) {
        if (source == nullptr) continue;
        const auto known = index_.find(source);
        const int from = known != index_.end() ? known->second : original(copied_name(source));
        if (from >= 0)
            node.sources.push_back({from, "", false});
        else
            node.sources.push_back(leaf(source));
    }
    index_[t] = static_cast<int>(nodes.size());
    nodes.push_back(std::move(node));
}

}  // namespace tomograph
