#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tomograph {

/// What is recorded, in network order. Names and shapes are TransformerLens's where it has one; they are
/// pinned by a test because every file format and every command line speaks them.
enum class Component {
    embed,      ///< token embedding row, [d_model]
    pos_embed,  ///< learned position embedding, [d_model] (GPT-2 kind only)
    resid_pre,  ///< residual stream entering a block, [d_model]; where there are several [n_streams, d_model]
    attn_hc_pre,  ///< hyper-connections: each stream's weight in attn_in, [n_streams]
    attn_depth,   ///< each stream's weight in attn_in: those that were put aside, and it, [n_kept + 1]
    attn_in,      ///< the mixture of streams that attention or a recurrent mixer reads, [d_model]
    ln1,          ///< output of the norm before attention, [d_model]; in a post-norm model of the first norm
    z,            ///< what each head gives before the output projection, [n_heads, d_head]
    state,        ///< what a recurrent mixer carries on, behind a sequence's last token; flat, [state]
    attn_out,     ///< what attention adds to the stream, bias included, [d_model]
    mixer_out,  ///< what a recurrent mixer adds to it (state space, linear attention, convolution), [d_model]
    cross_ln,   ///< output of the norm before attention to the source, [d_model]
    cross_z,    ///< what each head of attention to the source gives, [n_heads, d_head]
    cross_attn_out,  ///< what attention to the source adds to a decoder's stream, [d_model]
    attn_hc_comb,    ///< each stream's weight in each stream past attention, [n_streams, n_streams]
    attn_hc_post,    ///< what attn_out or mixer_out is multiplied by for each stream, [n_streams]
    resid_mid,       ///< stream after attention, as resid_pre; absent where attention and MLP run in parallel
    mlp_hc_pre,      ///< each stream's weight in mlp_in, [n_streams]
    mlp_depth,       ///< as attn_depth, in mlp_in
    mlp_in,          ///< the mixture of streams that the MLP reads, [d_model]
    ln2,             ///< output of the norm before the MLP, [d_model]; absent where the block shares ln1
    router,          ///< expert gate of a mixture, after its softmax, [n_experts]
    mlp_out,         ///< what the MLP or the mixture of experts adds to the stream, [d_model]
    moe_out,         ///< what a mixture adds beside an MLP that adds for itself, [d_model]
    ple_out,         ///< what the layer's own embedding of the token adds, gated by the stream, [d_model]
    skip_out,        ///< what is added of an earlier stream, the embedding's above all, [d_model]
    mlp_hc_comb,     ///< as attn_hc_comb, past the MLP
    mlp_hc_post,     ///< what mlp_out is multiplied by for each stream, [n_streams]
    resid_post,      ///< stream leaving a block, as resid_pre
    ln_final,        ///< output of the last norm, [d_model]
};

/// All of them, in network order.
std::span<const Component> all_components();
std::string_view component_name(Component component);
/// Empty when no component has that name.
std::optional<Component> find_component(std::string_view name);
/// False for embed, pos_embed and ln_final, which belong to no block.
bool in_block(Component component);
/// Is it the stream itself, within a block: resid_pre, resid_mid, resid_post?
bool is_stream(Component component);
/// Is it added to the stream: attn_out, mixer_out, cross_attn_out, mlp_out, moe_out, ple_out, skip_out?
bool writes_to_stream(Component component);

/// Does it belong to sequences, not to tokens: behind the last token of each there is one, everything else is
/// zeros?
bool of_sequence(Component component);

/// A component at a layer: "blocks.6.attn_out"; outside blocks bare: "embed".
struct Site {
    Component component;
    int layer = -1;  ///< -1 outside blocks

    std::string name() const;
    auto operator<=>(const Site&) const = default;
};

/// A site of an open model and the shape of its value for one token.
struct SiteShape {
    Site site;
    std::vector<std::int64_t> shape;  ///< row-major, as Component says

    std::int64_t width() const {
        std::int64_t product = 1;
        for (const std::int64_t extent : shape) product *= extent;
        return product;
    }
};

/// Network order: embeddings, then block by block, then the last norm.
bool network_order(const Site& a, const Site& b);
/// Empty when `name` is no site's name.
std::optional<Site> parse_site(std::string_view name);

}  // namespace tomograph
