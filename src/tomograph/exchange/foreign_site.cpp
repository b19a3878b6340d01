#include "tomograph/exchange/foreign_site.h"

#include <charconv>
#include <limits>
#include <span>
#include <utility>

namespace tomograph {
namespace {

using Names = std::span<const std::pair<std::string_view, Component>>;

constexpr std::pair<std::string_view, Component> kWhole[] = {
    {"hook_embed", Component::embed},
    {"hook_pos_embed", Component::pos_embed},
    {"ln_final.hook_normalized", Component::ln_final},
    {"embed_tokens", Component::embed},
    {"wte", Component::embed},
    {"wpe", Component::pos_embed},
    {"norm", Component::ln_final},
    {"ln_f", Component::ln_final},
    {"last_hidden_state", Component::ln_final},
};
constexpr std::pair<std::string_view, Component> kHooks[] = {
    {"hook_resid_pre", Component::resid_pre},       {"hook_resid_mid", Component::resid_mid},
    {"hook_resid_post", Component::resid_post},     {"hook_attn_out", Component::attn_out},
    {"hook_mlp_out", Component::mlp_out},           {"attn.hook_z", Component::z},
    {"ln1.hook_normalized", Component::ln1},        {"ln2.hook_normalized", Component::ln2},
    {"mlp.hook_expert_weights", Component::router},
};
constexpr std::pair<std::string_view, Component> kModules[] = {
    {"", Component::resid_post},     {"self_attn", Component::attn_out},
    {"attn", Component::attn_out},   {"attention", Component::attn_out},
    {"mlp", Component::mlp_out},     {"input_layernorm", Component::ln1},
    {"ln_1", Component::ln1},        {"linear_attn", Component::mixer_out},
    {"mamba", Component::mixer_out}, {"mixer", Component::mixer_out},
    {"conv", Component::mixer_out},
};

std::optional<Component> find(Names names, std::string_view name) {
    for (const auto& [its_name, component] : names) {
        if (its_name == name) return component;
    }
    return std::nullopt;
}

/// Take a number off the front; empty where there is none, or one with a zero before it.
std::optional<int> take_number(std::string_view& text) {
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < 0 || value == std::numeric_limits<int>::max()) return std::nullopt;
    const auto length = static_cast<std::size_t>(end - text.data());
    if (text.front() == '0' && length > 1) return std::nullopt;
    text.remove_prefix(length);
    return value;
}

/// "PREFIX6" or "PREFIX6.REST".
std::optional<Site> in_layer(std::string_view name, std::string_view prefix, Names names) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    const auto layer = take_number(name);
    if (!layer || (!name.empty() && name.front() != '.')) return std::nullopt;
    const auto component = find(names, name.empty() ? name : name.substr(1));
    return component ? std::optional(Site{*component, *layer}) : std::nullopt;
}

std::optional<Site> hidden_state(std::string_view name) {
    for (const std::string_view prefix : {"hidden_states.", "hidden_states_", "hidden_states["}) {
        if (!name.starts_with(prefix)) continue;
        name.remove_prefix(prefix.size());
        const auto number = take_number(name);
        if (!number || name != (prefix.back() == '[' ? "]" : "")) return std::nullopt;
        return *number == 0 ? Site{Component::resid_pre, 0} : Site{Component::resid_post, *number - 1};
    }
    return std::nullopt;
}

}  // namespace

std::optional<Site> foreign_site(std::string_view name) {
    if (const auto own = parse_site(name)) return own;
    if (const auto state = hidden_state(name)) return state;
    if (const auto hook = in_layer(name, "blocks.", kHooks)) return hook;
    for (const std::string_view prefix : {"model.", "transformer.", "gpt_neox.", "backbone."}) {
        if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
            break;
        }
    }
    if (name.ends_with(".output")) name.remove_suffix(std::string_view(".output").size());
    for (const std::string_view prefix : {"layers.", "h."}) {
        if (const auto module = in_layer(name, prefix, kModules)) return module;
    }
    if (const auto whole = find(kWhole, name)) return Site{*whole, -1};
    return std::nullopt;
}

}  // namespace tomograph
