#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/words/site.h"

namespace tomograph::test {

/// Models of tests/golden/models whose activation is SiLU, exact in ggml, and those with GELU, which it looks
/// up in a half-precision table.
inline const std::vector<std::string>& silu_models() {
    static const std::vector<std::string> names{"cohere",  "granite", "lfm2",     "llama",
                                                "mixtral", "olmo2",   "qwen2moe", "qwen3"};
    return names;
}
inline const std::vector<std::string>& gelu_models() {
    static const std::vector<std::string> names{"bloom", "gemma2", "gemma3", "gpt2", "gptneox", "phi2"};
    return names;
}
inline std::vector<std::string> golden_models() {
    std::vector<std::string> names = silu_models();
    names.insert(names.end(), gelu_models().begin(), gelu_models().end());
    return names;
}

/// "families/NAME" of each model of tests/golden/models/families, which went through llama.cpp's converter.
inline const std::vector<std::string>& family_models() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> found;
        for (const auto& file : std::filesystem::directory_iterator(TOMOGRAPH_TEST_DATA "/models/families")) {
            if (file.path().extension() == ".gguf")
                found.push_back("families/" + file.path().stem().string());
        }
        std::ranges::sort(found);
        return found;
    }();
    return names;
}
inline bool has_gelu(const std::string& name) {
    static const std::set<std::string> families{
        "families/bert",        "families/falcon", "families/gemma",     "families/gemma4",
        "families/modern-bert", "families/mpt",    "families/starcoder", "families/starcoder2"};
    return families.contains(name) || std::ranges::find(gelu_models(), name) != gelu_models().end();
}

/// True before the model's first GELU, and everywhere where it has none.
inline bool before_gelu(const std::string& name, const Site& site) {
    if (!has_gelu(name)) return true;
    if (site.layer < 0) return site.component != Component::ln_final;
    if (site.layer > 0) return false;
    const bool post_norm = name == "families/bert" && site.component == Component::ln2;
    return site.component != Component::mlp_out && site.component != Component::ple_out &&
           site.component != Component::resid_post && !post_norm;
}

inline std::string golden_path(const std::string& file) {
    return TOMOGRAPH_TEST_DATA "/models/" + file;
}
inline std::string golden_model(const std::string& name) {
    return golden_path(name + ".gguf");
}

/// What transformers computed for one sequence.
struct Golden {
    std::vector<std::int32_t> tokens;
    std::vector<std::int32_t> source;     ///< of a decoder beside an encoder
    std::map<std::string, Matrix> sites;  ///< [n_tokens, width]
};

inline Golden read_golden(const std::string& name) {
    const Safetensors file(golden_path(name + ".safetensors"));
    Golden golden;
    golden.tokens = file.integers("token_id");
    for (const auto& [site, tensor] : file.tensors()) {
        if (site == "source_id") golden.source = file.integers(site);
        if (site == "token_id" || site == "source_id") continue;
        Matrix& values = golden.sites[site];
        values.resize(tensor.n_rows(), tensor.width());
        tensor.read_rows(0, tensor.n_rows(), values.data());
    }
    if (golden.tokens.empty() || golden.sites.empty())
        throw std::runtime_error(name + " has no golden values");
    return golden;
}

}  // namespace tomograph::test
