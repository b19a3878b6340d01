#include "tomograph/words/site.h"

#include <array>
#include <charconv>
#include <tuple>

namespace tomograph {
namespace {

constexpr std::array<std::pair<Component, std::string_view>, 30> kNames{{
    {Component::embed, "embed"},
    {Component::pos_embed, "pos_embed"},
    {Component::resid_pre, "resid_pre"},
    {Component::attn_hc_pre, "attn_hc_pre"},
    {Component::attn_depth, "attn_depth"},
    {Component::attn_in, "attn_in"},
    {Component::ln1, "ln1"},
    {Component::z, "z"},
    {Component::state, "state"},
    {Component::attn_out, "attn_out"},
    {Component::mixer_out, "mixer_out"},
    {Component::cross_ln, "cross_ln"},
    {Component::cross_z, "cross_z"},
    {Component::cross_attn_out, "cross_attn_out"},
    {Component::attn_hc_comb, "attn_hc_comb"},
    {Component::attn_hc_post, "attn_hc_post"},
    {Component::resid_mid, "resid_mid"},
    {Component::mlp_hc_pre, "mlp_hc_pre"},
    {Component::mlp_depth, "mlp_depth"},
    {Component::mlp_in, "mlp_in"},
    {Component::ln2, "ln2"},
    {Component::router, "router"},
    {Component::mlp_out, "mlp_out"},
    {Component::moe_out, "moe_out"},
    {Component::ple_out, "ple_out"},
    {Component::skip_out, "skip_out"},
    {Component::mlp_hc_comb, "mlp_hc_comb"},
    {Component::mlp_hc_post, "mlp_hc_post"},
    {Component::resid_post, "resid_post"},
    {Component::ln_final, "ln_final"},
}};

constexpr std::string_view kBlocks = "blocks.";

}  // namespace

std::span<const Component> all_components() {
    static constexpr auto components = [] {
        std::array<Component, kNames.size()> all{};
        for (std::size_t i = 0; i < kNames.size(); ++i) all[i] = kNames[i].first;
        return all;
    }();
    return components;
}

std::string_view component_name(Component component) {
    return kNames[static_cast<std::size_t>(component)].second;
}

std::optional<Component> find_component(std::string_view name) {
    for (const auto& [component, its_name] : kNames) {
        if (its_name == name) return component;
    }
    return std::nullopt;
}

bool in_block(Component component) {
    return component != Component::embed && component != Component::pos_embed &&
           component != Component::ln_final;
}

bool is_stream(Component component) {
    return component == Component::resid_pre || component == Component::resid_mid ||
           component == Component::resid_post;
}

bool writes_to_stream(Component component) {
    return component == Component::attn_out || component == Component::mixer_out ||
           component == Component::cross_attn_out || component == Component::mlp_out ||
           component == Component::moe_out || component == Component::ple_out ||
           component == Component::skip_out;
}

bool of_sequence(Component component) {
    return component == Component::state;
}

std::string Site::name() const {
    const std::string bare(component_name(component));
    return layer < 0 ? bare : std::string(kBlocks) + std::to_string(layer) + "." + bare;
}

bool network_order(const Site& a, const Site& b) {
    const auto key = [](const Site& site) {
        const int part = site.component == Component::ln_final ? 2 : in_block(site.component) ? 1 : 0;
        return std::tuple(part, site.layer, site.component);
    };
    return key(a) < key(b);
}

std::optional<Site> parse_site(std::string_view name) {
    const std::string_view whole = name;
    int layer = -1;
    if (name.starts_with(kBlocks)) {
        name.remove_prefix(kBlocks.size());
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
        if (error != std::errc{} || layer < 0 || end == name.data() + name.size() || *end != '.')
            return std::nullopt;
        name.remove_prefix(static_cast<std::size_t>(end - name.data()) + 1);
    }
    const auto component = find_component(name);
    if (!component || in_block(*component) != (layer >= 0)) return std::nullopt;
    const Site site{*component, layer};
    if (site.name() != whole) return std::nullopt;  // "blocks.01.z": one site, one name
    return site;
}

}  // namespace tomograph
