#include "tomograph/model/watch.h"

#include <fmt/format.h>
#include <ggml-backend.h>

#include <algorithm>
#include <cstring>

#include "tomograph/base/error.h"
#include "tomograph/model/record_graph.h"

namespace tomograph {
namespace {

/// Call `each(offset in bytes, first value)` for every row of ne[0] values, in the order in which a row-major
/// matrix of tokens holds them.
template <class Each>
void for_each_row(const ggml_tensor* t, Each each) {
    std::size_t at = 0;
    for (std::int64_t i3 = 0; i3 < t->ne[3]; ++i3) {
        for (std::int64_t i2 = 0; i2 < t->ne[2]; ++i2) {
            for (std::int64_t i1 = 0; i1 < t->ne[1]; ++i1) {
                each(static_cast<std::size_t>(i1) * t->nb[1] + static_cast<std::size_t>(i2) * t->nb[2] +
                         static_cast<std::size_t>(i3) * t->nb[3],
                     at);
                at += static_cast<std::size_t>(t->ne[0]);
            }
        }
    }
}

}  // namespace

Watch::Watch(const GraphMap& map, std::span<const SiteShape> sites, const std::string& model,
             const Plan& plan, Tap& tap, SumCheck* check, bool whole)
    : map_(map), tap_(tap), check_(check), visits_(map.ops.size()), whole_(whole || !plan.logits.empty()) {
    for (const Write& write : plan.writes) {
        if (const std::string& why = map.unwritable[write.site]; !why.empty()) {
            throw Error(fmt::format("cannot write {} of {}", sites[write.site].site.name(), model), why,
                        "write another site");
        }
        visit(write.site).writes.push_back(&write);
    }
    for (std::size_t i = 0; i < plan.reads.size(); ++i) {
        Visit& read = visit(plan.reads[i]);
        read.reads.push_back(i);
        const SiteShape& site = sites[plan.reads[i]];
        if (of_sequence(site.site.component)) read.state = site.width();
    }
    if (plan.given) begin_at(*plan.given, model, sites);
    if (check == nullptr) return;
    for (std::size_t i = 0; i < check->sums.size(); ++i) visit(check->sums[i]).sums.push_back(i);
    for (std::size_t i = 0; i < check->parts.size(); ++i) visit(check->parts[i]).parts.push_back(i);
}

void Watch::begin_at(const Given& given, const std::string& model, std::span<const SiteShape> sites) {
    const auto fail = [&](const std::string& why) {
        throw Error(fmt::format("{} cannot begin at {}", model, sites[given.site].site.name()), why, "");
    };
    if (const std::string& why = map_.unwritable[given.site]; !why.empty()) fail(why);
    const int start = map_.sites[given.site].node;
    const auto all = visits_.begin();
    if ((start >= 0 && at_input_.wanted()) ||
        std::any_of(all, all + std::max(start, 0), [](const Visit& before) { return before.wanted(); }))
        fail("a site before it is wanted");
    visit(given.site).given = given.values.data();
    if (start < 0) return;
    // What later nodes read of earlier ones, but for the start, is still computed: masks and positions that
    // all blocks share.
    const auto first = static_cast<std::size_t>(start);
    needless_.assign(first + 1, true);
    std::vector<int> needed;
    for (std::size_t node = first + 1; node < map_.sources.size(); ++node)
        needed.insert(needed.end(), map_.sources[node].begin(), map_.sources[node].end());
    while (!needed.empty()) {
        const int node = needed.back();
        needed.pop_back();
        if (node >= start || !needless_[static_cast<std::size_t>(node)]) continue;
        needless_[static_cast<std::size_t>(node)] = false;
        const auto& sources = map_.sources[static_cast<std::size_t>(node)];
        needed.insert(needed.end(), sources.begin(), sources.end());
    }
}

Watch::Visit& Watch::visit(std::size_t site) {
    const int node = map_.sites[site].node;
    if (node < 0) return at_input_;
    last_node_ = std::max(last_node_, node);
    return visits_[static_cast<std::size_t>(node)];
}

void Watch::begin(std::int64_t first_token, std::int64_t n_tokens, std::int64_t d_model, float* input,
                  bool ends) {
    next_node_ = 0;
    ends_ = ends;
    first_token_ = first_token;
    n_tokens_ = n_tokens;
    if (input != nullptr) happen(at_input_, d_model, input);
}

bool Watch::on_eval(ggml_tensor* t, bool ask) {
    if (failure) {
        if (ask) leave_out(t);
        return false;
    }
    try {
        return ask ? want(t) : take(t);
    } catch (...) {
        // llama.cpp has state to unwind: the exception goes on once it has returned.
        failure = std::current_exception();
        return false;
    }
}

bool Watch::want(ggml_tensor* t) {
    const std::size_t node = next_node_++;
    // Logits are computed after the last node that is wanted. Without them take() has ended its device's part
    // of the graph there, but the next devices' parts still come.
    if (static_cast<int>(node) > last_node_) {
        if (!whole_) leave_out(t);
        return false;
    }
    const bool wanted = visits_[node].wanted();
    if (op_of(t) != map_.ops[node] || (wanted && map_.names[node] != t->name)) {
        throw Error("llama.cpp changed its graph between batches",
                    fmt::format("node {} is now '{}'", node, t->name), "please report this model");
    }
    if (node < needless_.size() && needless_[node]) leave_out(t);
    return wanted;
}

void Watch::leave_out(ggml_tensor* t) {
    if ((t->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) return;
    t->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
    left_out_.push_back(t);
}

void Watch::restore() {
    for (ggml_tensor* t : left_out_) t->flags |= GGML_TENSOR_FLAG_COMPUTE;
    left_out_.clear();
}

bool Watch::take(ggml_tensor* t) {
    const std::size_t node = next_node_ - 1;
    float* data = values(t);
    if (const std::int64_t state = visits_[node].state; state > 0) {
        for (const std::size_t read : visits_[node].reads)
            show_states(read, state, ggml_nelements(t) / state, data);
        return whole_ || static_cast<int>(node) < last_node_;
    }
    happen(visits_[node], ggml_nelements(t) / n_tokens_, data);
    const bool changed = visits_[node].given != nullptr || !visits_[node].writes.empty();
    if (changed && data == gathered_.data()) put_back(t);
    // What follows the last wanted node, the product with the vocabulary above all, need not be computed.
    return whole_ || static_cast<int>(node) < last_node_;
}

void Watch::happen(const Visit& visit, std::int64_t width, float* data) const {
    if (visit.given != nullptr) std::copy_n(visit.given + first_token_ * width, n_tokens_ * width, data);
    for (const std::size_t which : visit.sums) check_->take_sum(which, first_token_, n_tokens_, data);
    for (const Write* write : visit.writes) write->change({first_token_, n_tokens_, width, data});
    for (const std::size_t read : visit.reads) tap_.take({read, first_token_, n_tokens_, width, data});
    for (const std::size_t which : visit.parts) check_->take_part(which, first_token_, n_tokens_, data);
}

void Watch::show_states(std::size_t read, std::int64_t width, std::int64_t n_sequences,
                        const float* data) const {
    // A piece holds sequences of one length, or a part of one.
    const std::int64_t length = n_tokens_ / n_sequences;
    const std::vector<float> zeros(static_cast<std::size_t>(width));
    for (std::int64_t token = 0; token < n_tokens_; ++token) {
        const bool last = ends_ && (token + 1) % length == 0;
        tap_.take(
            {read, first_token_ + token, 1, width, last ? data + token / length * width : zeros.data()});
    }
}

/// The values of `t`, [n_tokens, width]: its own memory where that can be, otherwise a copy in gathered_.
float* Watch::values(const ggml_tensor* t) {
    if (t->type != GGML_TYPE_F32) {
        throw Error(fmt::format("cannot record '{}'", t->name),
                    fmt::format("it is {}", ggml_type_name(t->type)), "");
    }
    const bool host = ggml_backend_buffer_is_host(t->view_src != nullptr ? t->view_src->buffer : t->buffer);
    if (host && ggml_is_contiguous(t)) return static_cast<float*>(t->data);
    gathered_.resize(static_cast<std::size_t>(ggml_nelements(t)));
    if (ggml_is_contiguous(t)) {
        ggml_backend_tensor_get(t, gathered_.data(), 0, ggml_nbytes(t));
        return gathered_.data();
    }
    fetch(t);
    const std::size_t row = static_cast<std::size_t>(t->ne[0]) * sizeof(float);
    for_each_row(t, [&](std::size_t offset, std::size_t at) {
        std::memcpy(&gathered_[at], fetched_.data() + offset, row);
    });
    return gathered_.data();
}

/// All bytes between the first and the last value, in one piece: each costs a way to the device and back.
void Watch::fetch(const ggml_tensor* t) {
    fetched_.resize(ggml_nbytes(t));
    ggml_backend_tensor_get(t, fetched_.data(), 0, fetched_.size());
}

void Watch::put_back(ggml_tensor* t) {
    if (ggml_is_contiguous(t)) {
        ggml_backend_tensor_set(t, gathered_.data(), 0, ggml_nbytes(t));
        return;
    }
    // What lies between the rows goes back as it came: nothing computes meanwhile.
    const std::size_t row = static_cast<std::size_t>(t->ne[0]) * sizeof(float);
    for_each_row(t, [&](std::size_t offset, std::size_t at) {
        std::memcpy(fetched_.data() + offset, &gathered_[at], row);
    });
    ggml_backend_tensor_set(t, fetched_.data(), 0, fetched_.size());
}

}  // namespace tomograph
