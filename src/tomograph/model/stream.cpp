#include "tomograph/model/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tomograph {

using Op = GraphNode::Op;

std::optional<int> layer_of_name(std::string_view name) {
    // Views and copies carry a suffix such as " (reshaped)".
    if (const auto space = name.find(" ("); space != std::string_view::npos) name = name.substr(0, space);
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos || dash + 1 == name.size()) return std::nullopt;
    int layer = -1;
    const auto [end, error] = std::from_chars(name.data() + dash + 1, name.data() + name.size(), layer);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return layer;
}

std::optional<int> layer_of_weight(std::string_view name) {
    const auto at = name.find("blk.");
    if (at == std::string_view::npos) return std::nullopt;
    name.remove_prefix(at + 4);
    int layer = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
    if (error != std::errc{} || end == name.data() + name.size() || *end != '.') return std::nullopt;
    return layer;
}

Stream::Stream(const std::vector<GraphNode>& nodes, std::int64_t d_model, Kind kind)
    : nodes_(&nodes), d_model_(d_model), kind_(kind), stream_(nodes.size(), -1), readers_(nodes.size()) {
    for (int i = 0; i < size(); ++i) {
        for (const GraphNode::Source& source : node(i).sources) {
            if (source.node >= 0) readers_[static_cast<std::size_t>(source.node)].push_back(i);
        }
    }
    const auto usual = [](const GraphNode::Source& s) {
        return s.node < 0 && !s.weight && (is_leaf(s, "inp_embd") || s.leaf == "embd");
    };
    const bool named = std::any_of(nodes.begin(), nodes.end(), [&](const GraphNode& n) {
        return std::any_of(n.sources.begin(), n.sources.end(), usual);
    });
    if (named) return;
    // Some models name their input otherwise: it is what a norm, or what makes several streams of it, reads
    // straight from the batch.
    for (const GraphNode& n : nodes) {
        if ((n.op != Op::norm && n.kind != "REPEAT") || n.shape[0] != d_model_) continue;
        const GraphNode::Source* source = &n.sources[0];
        while (source->node >= 0 && node(source->node).op == Op::view)
            source = &node(source->node).sources[0];
        if (source->node < 0 && source->width == d_model_) {
            input_leaf_ = source->leaf;
            return;
        }
    }
}

bool Stream::is_input_vectors(const GraphNode::Source& source) const {
    if (source.node >= 0 || source.weight) return false;
    // llama.cpp names them twice, by where they come from and by what they become.
    return is_leaf(source, "inp_embd") || source.leaf == "embd" ||
           (!input_leaf_.empty() && source.leaf == input_leaf_);
}

bool Stream::is_token_embedding(int index) const {
    const GraphNode& n = node(index);
    return n.op == Op::get_rows && n.sources.size() > 1 && n.sources[0].weight && n.shape[0] == d_model_ &&
           is_leaf(n.sources[1], "inp_tokens");
}

bool Stream::is_position_embedding(int index) const {
    const GraphNode& n = node(index);
    return n.op == Op::get_rows && n.sources.size() > 1 && n.sources[0].weight &&
           is_leaf(n.sources[1], "inp_pos");
}

int Stream::passes_on(int index) const {
    const GraphNode& n = node(index);
    const bool picks_rows = n.op == Op::get_rows && !n.sources[0].weight;
    if (n.op != Op::view && n.op != Op::copy && !picks_rows) return kNone;
    if (n.sources[0].node >= 0) return n.sources[0].node;
    return is_input_vectors(n.sources[0]) ? kInput : kNone;
}

int Stream::scales(int index, double* factor) const {
    const GraphNode& n = node(index);
    const auto give = [&](const GraphNode::Source& source, double by) {
        if (source.node < 0 && !is_input_vectors(source)) return kNone;
        if (factor != nullptr) *factor = by;
        return source.node >= 0 ? source.node : kInput;
    };
    if (n.op == Op::scale) return give(n.sources[0], n.factor);
    if (n.op == Op::mul && n.sources.size() > 1 && n.sources[1].value)
        return give(n.sources[0], *n.sources[1].value);
    return kNone;
}

int Stream::norms(int index) const {
    const GraphNode& n = node(index);
    if (n.shape[0] != d_model_) return kNone;
    if (n.op == Op::norm) {
        if (n.sources[0].node >= 0) return n.sources[0].node;
        return is_input_vectors(n.sources[0]) ? kInput : kNone;
    }
    if ((n.op != Op::mul && n.op != Op::add) || n.sources.size() < 2) return kNone;
    for (std::size_t side = 0; side < 2; ++side) {
        const auto& weight = n.sources[1 - side];
        if (n.sources[side].node < 0 || !weight.weight || weight.value) continue;
        const int inner = n.sources[side].node;
        // A bias behind anything else, a product above all, belongs to that.
        if (node(inner).op == Op::norm || node(inner).op == Op::mul) return norms(inner);
    }
    return kNone;
}

int Stream::goes_through(int index) const {
    int inner = passes_on(index);
    if (inner == kNone) inner = scales(index);
    if (inner == kNone && kind_.post_norm) inner = norms(index);
    return inner;
}

int Stream::norm_output(int norm) const {
    int last = norm;
    const auto scales_it = [&](int reader) {
        const GraphNode& n = node(reader);
        if ((n.op != Op::mul && n.op != Op::add) || n.sources.size() < 2) return false;
        const std::size_t side = n.sources[0].node == last ? 0 : 1;
        return n.sources[side].node == last && n.sources[1 - side].weight && !n.sources[1 - side].value;
    };
    for (;;) {
        const auto& readers = readers_[static_cast<std::size_t>(last)];
        const auto next = std::ranges::find_if(readers, scales_it);
        if (next == readers.end()) return last;
        last = *next;
    }
}

// --- the embedding side
// ------------------------------------------------------------------------------------------

/// What an embedding passes on the way to the first block: a scale, room for more, or a norm with its
/// weights.
int Stream::stem_passes_on(int index, int norms) const {
    const GraphNode& n = node(index);
    const bool weighted = n.sources.size() > 1 && n.sources[1].weight;
    const bool of_a_block = weighted && layer_of_weight(n.sources[1].leaf).has_value();
    if (n.op == Op::scale || n.op == Op::pad ||
        (norms > 0 &&
         (n.op == Op::norm || ((n.op == Op::mul || n.op == Op::add) && weighted && !of_a_block)))) {
        if (n.sources[0].node >= 0) return n.sources[0].node;
        if (is_input_vectors(n.sources[0])) return kInput;
    }
    return kNone;
}

bool Stream::is_stem(int index, int norms) const {
    if (index == kInput) return true;
    if (is_token_embedding(index)) return true;
    int inner = passes_on(index);
    if (inner == kNone) inner = stem_passes_on(index, norms);
    const GraphNode& n = node(index);
    if (inner != kNone) return is_stem(inner, n.op == Op::norm ? norms - 1 : norms);
    if (n.op != Op::add) return false;
    for (std::size_t side = 0; side < 2; ++side) {
        const auto& other = n.sources[1 - side];
        if ((is_position_source(other) || is_type_source(other)) && is_stem_source(n.sources[side], norms))
            return true;
    }
    return false;
}

bool Stream::is_stem_source(const GraphNode::Source& s, int norms) const {
    return s.node >= 0 ? is_stem(s.node, norms) : is_input_vectors(s);
}

bool Stream::is_position_source(const GraphNode::Source& s) const {
    if (s.node < 0) return false;
    const int inner = passes_on(s.node);
    return is_position_embedding(s.node) || (inner >= 0 && is_position_embedding(inner));
}

/// One row of a table that every token gets, the type "first sentence" of BERT.
bool Stream::is_type_source(const GraphNode::Source& s) const {
    if (s.node < 0) return false;
    const GraphNode& n = node(s.node);
    return n.op == Op::view && n.sources[0].weight;
}

// --- the stream
// --------------------------------------------------------------------------------------------------

bool Stream::is_stream(int index) {
    if (index == kInput) return true;
    auto& known = stream_[static_cast<std::size_t>(index)];
    if (known >= 0) return known == 1;
    known = 0;
    bool result = is_stem(index);
    if (!result && !kind_.several.empty()) {
        result = kind_.several.contains(below_views(index));
    } else if (!result) {
        const GraphNode& n = node(index);
        if (const int inner = goes_through(index); inner != kNone) {
            result = is_stream(inner);
        } else if (n.op == Op::add && n.shape[0] == d_model_) {
            result = stream_operand(index) >= 0;
        }
    }
    stream_[static_cast<std::size_t>(index)] = result ? 1 : 0;
    return result;
}

int Stream::stream_operand(int index) {
    const GraphNode& n = node(index);
    // Rows picked of the stem are late in the graph, but early in the stream.
    const auto place = [&](int at) {
        const int below = station_below(at);
        return below == kInput || is_stem(below) ? kInput : below;
    };
    int found = -1, latest = kNone;
    for (int side = 0; side < 2; ++side) {
        const auto& source = n.sources[static_cast<std::size_t>(side)];
        const auto& other = n.sources[static_cast<std::size_t>(1 - side)];
        if (source.node < 0 && !is_input_vectors(source)) continue;
        if (other.node < 0 || !is_stream(source.node)) continue;
        if (const int at = place(source.node); found < 0 || at > latest) {
            found = side;
            latest = at;
        }
    }
    return found;
}

int Stream::below_views(int index) const {
    for (int inner; index != kInput && !is_stem(index) && (inner = passes_on(index)) != kNone;) index = inner;
    return index;
}

int Stream::station_below(int index) const {
    while (index != kInput && !is_stem(index)) {
        const int inner = goes_through(index);
        if (inner == kNone) break;
        index = inner;
    }
    return index;
}

bool Stream::is_attention_core(int index) const {
    const GraphNode& n = node(index);
    if (n.op == Op::attention) return true;
    if (n.op != Op::soft_max) return false;
    int at = n.sources[0].node;
    while (at >= 0) {
        const GraphNode& inner = node(at);
        if (inner.op == Op::mul_mat) return !inner.sources[0].weight;
        at = inner.sources.empty() ? -1 : inner.sources[0].node;
    }
    return false;
}

Stream::Ancestors Stream::ancestors(int value) {
    Ancestors found;
    std::vector<bool> seen(nodes_->size());
    std::vector<int> open{value};
    while (!open.empty()) {
        const int index = open.back();
        open.pop_back();
        if (index < 0 || seen[static_cast<std::size_t>(index)]) continue;
        seen[static_cast<std::size_t>(index)] = true;
        if (index != value && is_stream(index)) {
            found.reads.insert(below_views(index));
            continue;
        }
        const GraphNode& n = node(index);
        found.nodes.push_back(index);
        found.attention = found.attention || is_attention_core(index);
        found.recurrent = found.recurrent || n.op == Op::recurrent;
        found.experts = found.experts || n.op == Op::mul_mat_id;
        found.table = found.table || (n.op == Op::get_rows && n.sources[0].weight);
        for (const auto& source : n.sources) {
            if (source.node >= 0) {
                open.push_back(source.node);
            } else if (is_input_vectors(source)) {
                found.reads.insert(kInput);
            } else if (!source.weight) {
                // A state that is carried from token to token. The last few inputs of a convolution or of a
                // token shift alone ("cache_r_l") make no mixer.
                found.recurrent = found.recurrent || source.leaf.starts_with("cache_s_l");
                found.source = found.source || source.leaf == "cross_embd";
            }
        }
    }
    std::sort(found.nodes.begin(), found.nodes.end());
    return found;
}

std::string Stream::last_seen() {
    int last = kInput;
    for (int i = 0; i < size(); ++i) {
        if (node(i).computed && (is_stem(i) || (node(i).op == Op::add && is_stream(i)))) last = i;
    }
    const auto named = [&](int i) {
        return i == kInput ? std::string("the batch's own vectors")
                           : "'" + node(i).name + "' (" + node(i).kind + ")";
    };
    for (const GraphNode& n : *nodes_) {
        if (n.computed && n.kind.starts_with("DSV4_HC_"))
            return "its blocks read mixtures of several streams, from '" + n.name +
                   "' on, and what becomes of those is not seen";
    }
    std::string text = "the stream was last seen at " + named(last);
    for (int i = std::max(last, 0); i < size(); ++i) {
        const auto& sources = node(i).sources;
        const bool reads = std::any_of(sources.begin(), sources.end(),
                                       [&](const auto& s) { return s.node >= 0 && is_stream(s.node); });
        if (!reads || is_stream(i) || node(i).op == Op::norm) continue;
        if (node(i).kind == "REPEAT" && node(i).shape[1] > 1)
            return fmt::format(
                "its blocks read mixtures of {} streams (hyper-connections), which begin at {}",
                node(i).shape[1], named(i));
        return text + " and lost at " + named(i);
    }
    return text;
}

}  // namespace tomograph
