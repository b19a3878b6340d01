"""Make tiny random-weight models and what Hugging Face transformers computes in each.

    python make.py                 # every model and the files in bad/, beside this script
    python make.py llama gpt2      # only these

For each model NAME it writes

    NAME.gguf          the weights for llama.cpp, every tensor F32
    NAME.safetensors   `token_id` i32 [n_tokens] and one f32 tensor [n_tokens, width] per site

Weights are drawn from generators seeded by the model's and the parameter's names, rounded to float32 once,
and then both written to the GGUF and run by transformers in float64 (see `in_float64`), so that a golden
is off by its last rounding only and a test's tolerance is llama.cpp's alone to use.
"""
import argparse
import contextlib
import dataclasses
import pathlib
import unittest.mock
import zlib
from collections.abc import Callable

import gguf
import numpy as np
import safetensors.numpy
import torch
import transformers

VOCAB, CONTEXT, TOKENS = 256, 64, 40
WIDTH, LAYERS, HEADS = 32, 3, 4
EPS = 1e-5
HERE = pathlib.Path(__file__).resolve().parent

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Modules:
    """Where one transformers family keeps what the sites are read from. Block-relative names but for the last four.

    `attn_add` and `mlp_add` are the modules whose output (times `scale`) enters the residual stream; `mid` is the
    one whose input is the stream between attention and MLP, None in a parallel block.
    """
    ln1: str | None = "input_layernorm"
    proj: str = "self_attn.o_proj"
    attn_add: str = "self_attn.o_proj"
    mid: str | None = "post_attention_layernorm"
    ln2: str | None = "post_attention_layernorm"
    mlp_add: str = "mlp"
    router: str | None = None
    scale: float = 1.0
    blocks: str = "model.layers"
    embed: str = "model.embed_tokens"
    pos_embed: str | None = None
    final: str = "model.norm"


@dataclasses.dataclass(frozen=True)
class Model:
    arch: str  # llama.cpp's name
    config: transformers.PretrainedConfig
    modules: Modules
    keys: Callable[[gguf.GGUFWriter], None]  # metadata that not every architecture has
    kv_heads: int = HEADS
    convert: Callable[[str, np.ndarray], np.ndarray] = lambda name, array: array
    # Norm weights that are stored as an offset from one (gemma) are drawn around zero.
    norm_centre: float = 1.0
    embed_std: float = 1.0


# --- weights ---------------------------------------------------------------------------------------------------------

def draw(model: Model, name: str, parameter: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random values under which activations stay O(1) and no two units are alike."""
    random = np.random.default_rng(zlib.crc32(f"{name}/{parameter}".encode()))
    if "norm" in parameter or ".ln_" in parameter:
        if parameter.endswith("bias"):
            return random.normal(0.0, 0.3, shape)
        return model.norm_centre + random.uniform(-0.5, 0.5, shape)
    if parameter.endswith("bias"):
        return random.normal(0.0, 0.3, shape)
    if any(part in parameter for part in ("embed", "wte", "wpe")) and "embed_out" not in parameter:
        return random.normal(0.0, model.embed_std, shape)
    # transformers' Conv1D (gpt2's) keeps [in, out], every other matrix [..., out, in].
    fan_in = shape[0] if parameter.startswith("transformer.h.") and ".c_" in parameter else shape[-1]
    # Wider than 1/sqrt(fan_in), so that attention is far from uniform and the MLP far from linear.
    return random.normal(0.0, 1.5 / fan_in ** 0.5, shape)


def new_weights(model: Model, name: str, network: torch.nn.Module) -> Arrays:
    return {parameter: draw(model, name, parameter, tuple(tensor.shape)).astype(np.float32)
            for parameter, tensor in network.named_parameters()}  # tied parameters come once


def permute_rope(weight: np.ndarray, heads: int) -> np.ndarray:
    """Query/key rows from transformers' order (first halves, then second) to GGML's "normal" RoPE (pairs adjacent)."""
    rows = weight.shape[0]
    pairs = weight.reshape(heads, 2, rows // heads // 2, -1)  # [heads, half, pair, in]
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def adjacent_pairs(kv_heads: int) -> Callable[[str, np.ndarray], np.ndarray]:
    def convert(name: str, array: np.ndarray) -> np.ndarray:
        if ".q_proj." in name:
            return permute_rope(array, HEADS)
        return permute_rope(array, kv_heads) if ".k_proj." in name else array
    return convert


def split_fused_heads(name: str, array: np.ndarray) -> np.ndarray:
    """gptneox and bloom fuse q, k, v head by head; GGUF wants all of q, then all of k, then all of v."""
    if "query_key_value" not in name:
        return array
    per_head = array.reshape(HEADS, 3, WIDTH // HEADS, -1)  # [heads, qkv, d_head, in]
    return per_head.swapaxes(0, 1).reshape(array.shape)


def transpose_conv1d(name: str, array: np.ndarray) -> np.ndarray:
    return array.T if ".c_" in name and array.ndim == 2 else array


def add_one_to_norms(name: str, array: np.ndarray) -> np.ndarray:
    return array + np.float32(1) if "norm" in name else array


# --- GGUF ------------------------------------------------------------------------------------------------------------

def byte_symbols() -> list[str]:
    """GPT-2's printable stand-in for each byte value, in byte order."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 256 + others.index(byte)) for byte in range(256)]


def add_vocabulary(writer: gguf.GGUFWriter) -> None:
    """Tokens are the 256 byte values, nothing else."""
    symbols = byte_symbols()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(symbols)
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCAB)
    writer.add_token_merges([f"{symbols[0]} {symbols[0]}"])  # llama.cpp refuses an empty list
    writer.add_add_bos_token(False)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_tensors(model: Model, weights: Arrays) -> Arrays:
    """The same weights under GGUF names, in GGML's layouts."""
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == model.arch)
    names = gguf.get_tensor_name_map(arch, LAYERS)
    tensors = {}
    for name, array in weights.items():
        array = model.convert(name, array)
        if name.endswith("experts.gate_up_proj"):  # [n_experts, 2 * d_ff, d_model], gates before ups
            stem = name.removesuffix("gate_up_proj")
            parts = dict(zip([stem + "gate_proj", stem + "up_proj"], np.split(array, 2, axis=1)))
        elif name.endswith("shared_expert_gate.weight"):
            parts = {name: array[0]}  # [1, d_model] -> [d_model]
        else:
            parts = {name: array}
        for part, values in parts.items():
            stem, dot, suffix = part.rpartition(".")
            if suffix not in ("weight", "bias"):  # experts are bare parameters
                stem, suffix = part, "weight"
            theirs = names.get_name(stem) or names.get_name(stem.removeprefix("transformer."))
            if theirs is None:
                raise ValueError(f"{model.arch}: no GGUF name for {part}")
            tensors[f"{theirs}.{suffix}"] = np.ascontiguousarray(values, dtype=np.float32)
    return tensors


def write_gguf(model: Model, name: str, weights: Arrays, path: pathlib.Path) -> None:
    writer = gguf.GGUFWriter(str(path), model.arch)
    writer.add_name(f"golden-{name}")
    writer.add_description("Random weights, for tests")
    writer.add_license("CC0-1.0")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(model.kv_heads)
    model.keys(writer)
    add_vocabulary(writer)
    for tensor, array in gguf_tensors(model, weights).items():
        writer.add_tensor(tensor, array)
    finish(writer)


# --- what transformers computes --------------------------------------------------------------------------------------

@contextlib.contextmanager
def in_float64():
    """Make transformers' own casts to float32 (norms, softmax, RoPE angles) casts to float64.

    A model moved to float64 would otherwise still compute those parts in single precision.
    """
    patch = unittest.mock.patch.object
    usual = torch.get_default_dtype()
    with (patch(torch, "float32", torch.float64), patch(torch, "float", torch.float64),
          patch(torch.Tensor, "float", torch.Tensor.double)):
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(usual)


def new_network(config: transformers.PretrainedConfig, dtype: torch.dtype) -> torch.nn.Module:
    # "eager": the plain loops, which also run in float64.
    network = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="eager",
                                                            experts_implementation="eager")
    return network.eval()


def first(value):
    return value[0] if isinstance(value, tuple) else value


def record(model: Model, weights: Arrays, token_id: np.ndarray, dtype: torch.dtype) -> Arrays:
    """Run transformers on one sequence; every site [n_tokens, width] and `logits` [n_tokens, VOCAB]."""
    network = new_network(model.config, dtype)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    where = model.modules
    sites: dict[str, torch.Tensor] = {}

    def keep(site: str, tensor: torch.Tensor, scale: float = 1.0) -> None:
        assert site not in sites, f"{site} computed twice"
        sites[site] = (tensor * scale).reshape(TOKENS, -1).clone()

    def on_input(module: torch.nn.Module, site: str) -> None:
        def hook(_, args, kwargs):
            keep(site, args[0] if args else kwargs["hidden_states"])
        module.register_forward_pre_hook(hook, with_kwargs=True)

    def on_output(module: torch.nn.Module, site: str, scale: float = 1.0) -> None:
        module.register_forward_hook(lambda _, args, output: keep(site, first(output), scale))

    for layer, block in enumerate(network.get_submodule(where.blocks)):
        prefix = f"blocks.{layer}."
        on_input(block, prefix + "resid_pre")
        on_output(block, prefix + "resid_post")
        on_input(block.get_submodule(where.proj), prefix + "z")
        on_output(block.get_submodule(where.attn_add), prefix + "attn_out", where.scale)
        on_output(block.get_submodule(where.mlp_add), prefix + "mlp_out", where.scale)
        if where.ln1:
            on_output(block.get_submodule(where.ln1), prefix + "ln1")
        if where.mid:
            on_input(block.get_submodule(where.mid), prefix + "resid_mid")
        if where.ln2:
            on_output(block.get_submodule(where.ln2), prefix + "ln2")
        if where.router:  # it returns the gate's logits first
            on_output(block.get_submodule(where.router), prefix + "router")
    on_output(network.get_submodule(where.final), "ln_final")
    if where.pos_embed:
        on_output(network.get_submodule(where.pos_embed), "pos_embed")

    tokens = torch.from_numpy(token_id.astype(np.int64))  # [n_tokens]
    with torch.no_grad():
        logits = network(tokens[None], use_cache=False).logits  # [1, n_tokens, VOCAB]
    # Looked up here, not hooked: gemma's embedding module scales what it returns.
    keep("embed", network.get_submodule(where.embed).weight.detach()[tokens])
    keep("logits", logits)
    for site in sites:
        if site.endswith(".router"):
            sites[site] = sites[site].softmax(dim=-1)
    return {site: tensor.numpy() for site, tensor in sites.items()}


def check(name: str, model: Model, sites: Arrays) -> None:
    """The components must add up to the stream, and no site may be degenerate."""
    for layer in range(LAYERS):
        site = {key.removeprefix(f"blocks.{layer}."): value for key, value in sites.items()}
        middle = site["resid_pre"] + site["attn_out"]
        if model.modules.mid:
            assert np.allclose(middle, site["resid_mid"], rtol=1e-12, atol=1e-12), f"{name} {layer}: resid_mid"
        assert np.allclose(middle + site["mlp_out"], site["resid_post"], rtol=1e-12, atol=1e-12), \
            f"{name} {layer}: resid_post"
        if layer:
            assert np.array_equal(site["resid_pre"], sites[f"blocks.{layer - 1}.resid_post"])
    for site, value in sites.items():
        assert np.isfinite(value).all(), f"{name} {site}: not finite"
        low, high = (0.01, 1.0) if site.endswith("router") else (0.1, 30.0)
        assert low < value.std(axis=0).mean() < high, f"{name} {site}: varies by {value.std(axis=0).mean():.3g}"
        if site.endswith("router"):
            ranked = np.sort(value, axis=1)  # [n_tokens, n_experts]
            margin = (ranked[:, -EXPERTS_USED] - ranked[:, -EXPERTS_USED - 1]).min()
            assert margin > 1e-4, f"{name} {site}: rounding could choose another expert, margin {margin:.1e}"


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.abs(got - want).max() / np.abs(want).max())


def make(name: str, model: Model, folder: pathlib.Path, logits_folder: pathlib.Path | None) -> None:
    weights = new_weights(model, name, new_network(model.config, torch.float32))
    token_id = np.random.default_rng(zlib.crc32(name.encode())).integers(0, VOCAB, TOKENS, dtype=np.int32)
    single = record(model, weights, token_id, torch.float32)
    with in_float64():
        sites = record(model, weights, token_id, torch.float64)
    assert all(value.dtype == np.float64 for value in sites.values())
    check(name, model, sites)
    # The patched casts must not have changed what is computed, only how finely.
    worst = max(relative_error(single[site], sites[site]) for site in sites)
    assert worst < 2e-5, f"{name}: float32 and float64 differ by {worst:.2g}"

    write_gguf(model, name, weights, folder / f"{name}.gguf")
    logits = sites.pop("logits")
    golden = {site: value.astype(np.float32) for site, value in sites.items()}
    (folder / f"{name}.safetensors").write_bytes(safetensors.numpy.save(
        {"token_id": token_id, **golden},
        metadata={"transformers": transformers.__version__}))  # a second key would be written in random order
    if logits_folder:
        np.save(logits_folder / f"{name}.npy", logits)
    print(f"{name:8} {len(golden):3} sites  float32 run off by {worst:.1e}  "
          f"gguf {(folder / f'{name}.gguf').stat().st_size:7,}  "
          f"safetensors {(folder / f'{name}.safetensors').stat().st_size:7,} bytes")


# --- the models ------------------------------------------------------------------------------------------------------

def rope(theta: float = 10000.0, partial: float = 1.0) -> dict:
    return {"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": partial}


SHAPE = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
             max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0, pad_token_id=None)
GPT2_NAMES = dict(ln1="ln_1", proj="attn.c_proj", attn_add="attn.c_proj", mid="ln_2", ln2="ln_2",
                  blocks="transformer.h", embed="transformer.wte", final="transformer.ln_f")


def common_keys(d_ff: int, rms: bool = True, d_rope: int | None = None, theta: float = 10000.0,
                more: Callable[[gguf.GGUFWriter], None] | None = None) -> Callable[[gguf.GGUFWriter], None]:
    def keys(writer: gguf.GGUFWriter) -> None:
        writer.add_feed_forward_length(d_ff)
        (writer.add_layer_norm_rms_eps if rms else writer.add_layer_norm_eps)(EPS)
        if d_rope:
            writer.add_rope_dimension_count(d_rope)
            writer.add_rope_freq_base(theta)
        if more:
            more(writer)
    return keys


def llama() -> Model:
    """Grouped-query attention, RoPE, RMSNorm, SwiGLU."""
    kv_heads, d_ff = 2, 80
    return Model(
        "llama", transformers.LlamaConfig(**SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff,
                                          rms_norm_eps=EPS, rope_parameters=rope()),
        Modules(), common_keys(d_ff, d_rope=WIDTH // HEADS), kv_heads, adjacent_pairs(kv_heads))


def gpt2() -> Model:
    """Learned positions, LayerNorm, biases, GELU, embedding tied to the output."""
    return Model(
        "gpt2", transformers.GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS,
                                        n_head=HEADS, layer_norm_epsilon=EPS, bos_token_id=0, eos_token_id=0),
        Modules(**GPT2_NAMES, pos_embed="transformer.wpe"), common_keys(4 * WIDTH, rms=False),
        convert=transpose_conv1d)


def gptneox() -> Model:
    """Parallel residual with a norm for each branch, RoPE on half of each head."""
    d_ff = 4 * WIDTH
    # Real ones have the exact GELU; llama.cpp computes the tanh form for them all, so this one asks for that.
    return Model(
        "gptneox", transformers.GPTNeoXConfig(**SHAPE, intermediate_size=d_ff, layer_norm_eps=EPS,
                                              hidden_act="gelu_new", use_parallel_residual=True,
                                              rope_parameters=rope(partial=0.5), tie_word_embeddings=False),
        Modules(proj="attention.dense", attn_add="attention.dense", mid=None, blocks="gpt_neox.layers",
                embed="gpt_neox.embed_in", final="gpt_neox.final_layer_norm"),
        common_keys(d_ff, rms=False, d_rope=WIDTH // HEADS // 2,
                    more=lambda writer: writer.add_parallel_residual(True)),
        convert=split_fused_heads)


def olmo2() -> Model:
    """Norms after attention and MLP only, and over all queries and all keys."""
    kv_heads, d_ff = 2, 80
    return Model(
        "olmo2", transformers.Olmo2Config(**SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff,
                                          rms_norm_eps=EPS, rope_parameters=rope(), tie_word_embeddings=False),
        Modules(ln1=None, attn_add="post_attention_layernorm", mid="mlp", ln2=None,
                mlp_add="post_feedforward_layernorm"),
        common_keys(d_ff, d_rope=WIDTH // HEADS), kv_heads)


GEMMA_NAMES = dict(attn_add="post_attention_layernorm", mid="pre_feedforward_layernorm",
                   ln2="pre_feedforward_layernorm", mlp_add="post_feedforward_layernorm")
WIDE_HEAD = 12  # HEADS * WIDE_HEAD != WIDTH, so z is wider than the stream
WINDOW = 16  # shorter than the sequence, so that the sliding window matters


def wide_heads(writer: gguf.GGUFWriter) -> None:
    writer.add_key_length(WIDE_HEAD)
    writer.add_value_length(WIDE_HEAD)


def gemma2() -> Model:
    """Norms before and after both branches, scaled embedding, soft caps, every other layer windowed."""
    kv_heads, d_ff, attention_cap, logit_cap = 2, 80, 4.0, 6.0  # low caps, so that they bend something

    def keys(writer: gguf.GGUFWriter) -> None:
        wide_heads(writer)
        writer.add_attn_logit_softcapping(attention_cap)
        writer.add_final_logit_softcapping(logit_cap)
        writer.add_sliding_window(WINDOW)

    return Model(
        "gemma2", transformers.Gemma2Config(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS, head_dim=WIDE_HEAD,
            query_pre_attn_scalar=WIDE_HEAD, attn_logit_softcapping=attention_cap,
            final_logit_softcapping=logit_cap, sliding_window=WINDOW, rope_parameters=rope()),
        Modules(**GEMMA_NAMES), common_keys(d_ff, d_rope=WIDE_HEAD, more=keys), kv_heads, add_one_to_norms,
        norm_centre=0.0, embed_std=WIDTH ** -0.5)


def gemma3() -> Model:
    """Like gemma2 without caps; norms over each head's query and key; two RoPE bases."""
    kv_heads, d_ff, theta, window_theta = 2, 80, 1e6, 1e4
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]  # [LAYERS]

    def keys(writer: gguf.GGUFWriter) -> None:
        wide_heads(writer)
        writer.add_sliding_window(WINDOW)
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in kinds])
        writer.add_rope_freq_base_swa(window_theta)

    return Model(
        "gemma3", transformers.Gemma3TextConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS, head_dim=WIDE_HEAD,
            query_pre_attn_scalar=WIDE_HEAD, sliding_window=WINDOW, layer_types=kinds,
            rope_parameters={"full_attention": rope(theta), "sliding_attention": rope(window_theta)}),
        Modules(**GEMMA_NAMES), common_keys(d_ff, d_rope=WIDE_HEAD, theta=theta, more=keys), kv_heads,
        add_one_to_norms, norm_centre=0.0, embed_std=WIDTH ** -0.5)


EXPERTS, EXPERTS_USED = 4, 2


def experts(writer: gguf.GGUFWriter) -> None:
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(EXPERTS_USED)


def mixtral() -> Model:
    """Mixture of experts, the chosen gates made to add up to one. llama.cpp runs it as a `llama`."""
    kv_heads, d_ff = 2, 24
    return Model(
        "llama", transformers.MixtralConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS,
            num_local_experts=EXPERTS, num_experts_per_tok=EXPERTS_USED, rope_parameters=rope()),
        Modules(router="mlp.gate"), common_keys(d_ff, d_rope=WIDTH // HEADS, more=experts), kv_heads,
        adjacent_pairs(kv_heads))


def qwen2moe() -> Model:
    """Mixture of experts with a gated shared expert, gates as they are; biases on q, k and v."""
    kv_heads, d_ff, d_expert, d_shared = 2, 80, 24, 40

    def keys(writer: gguf.GGUFWriter) -> None:
        experts(writer)
        writer.add_expert_feed_forward_length(d_expert)
        writer.add_expert_shared_feed_forward_length(d_shared)

    return Model(
        "qwen2moe", transformers.Qwen2MoeConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS,
            moe_intermediate_size=d_expert, shared_expert_intermediate_size=d_shared, num_experts=EXPERTS,
            num_experts_per_tok=EXPERTS_USED, decoder_sparse_step=1, norm_topk_prob=False, rope_parameters=rope()),
        Modules(router="mlp.gate"), common_keys(d_ff, d_rope=WIDTH // HEADS, more=keys), kv_heads)


def cohere() -> Model:
    """Parallel residual, both branches fed by one norm without bias."""
    kv_heads, d_ff, logit_scale = 2, 80, 0.25
    return Model(
        "command-r", transformers.CohereConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, layer_norm_eps=EPS,
            logit_scale=logit_scale, use_qk_norm=False, rope_parameters=rope()),
        Modules(mid=None, ln2=None),
        common_keys(d_ff, rms=False, d_rope=WIDTH // HEADS, more=lambda writer: writer.add_logit_scale(logit_scale)),
        kv_heads)  # RoPE pairs are adjacent in transformers too


def granite() -> Model:
    """A llama whose embedding, branches, attention and logits are scaled."""
    # Exact in float32.
    kv_heads, d_ff, embedding, residual, attention, logit = 2, 80, 3.0, 0.375, 0.25, 2.0

    def keys(writer: gguf.GGUFWriter) -> None:
        writer.add_embedding_scale(embedding)
        writer.add_residual_scale(residual)
        writer.add_attention_scale(attention)
        writer.add_logit_scale(logit)

    return Model(
        "granite", transformers.GraniteConfig(
            **SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff, rms_norm_eps=EPS,
            embedding_multiplier=embedding, residual_multiplier=residual, attention_multiplier=attention,
            logits_scaling=logit, rope_parameters=rope(), tie_word_embeddings=True),
        Modules(scale=residual), common_keys(d_ff, d_rope=WIDTH // HEADS, more=keys), kv_heads,
        adjacent_pairs(kv_heads), embed_std=0.3)


def qwen3() -> Model:
    """Norms over each head's query and key; heads wider than the stream divided by their number."""
    kv_heads, d_ff = 2, 80
    return Model(
        "qwen3", transformers.Qwen3Config(**SHAPE, num_key_value_heads=kv_heads, intermediate_size=d_ff,
                                          rms_norm_eps=EPS, head_dim=WIDE_HEAD, rope_parameters=rope()),
        Modules(), common_keys(d_ff, d_rope=WIDE_HEAD, more=wide_heads), kv_heads)


def phi2() -> Model:
    """Parallel residual, both branches fed by one LayerNorm, biases everywhere, RoPE on half of each head."""
    d_ff = 4 * WIDTH
    return Model(
        "phi2", transformers.PhiConfig(**SHAPE, num_key_value_heads=HEADS, intermediate_size=d_ff,
                                       layer_norm_eps=EPS, hidden_act="gelu_new", rope_parameters=rope(partial=0.5)),
        Modules(proj="self_attn.dense", attn_add="self_attn.dense", mid=None, ln2=None,
                final="model.final_layernorm"),
        common_keys(d_ff, rms=False, d_rope=WIDTH // HEADS // 2))


def bloom() -> Model:
    """ALiBi, LayerNorm on the embedding."""
    # transformers' attention and MLP modules add the residual themselves, so what they add is their last matrix's.
    return Model(
        "bloom", transformers.BloomConfig(vocab_size=VOCAB, hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS,
                                          layer_norm_epsilon=EPS, bos_token_id=0, eos_token_id=0),
        Modules(proj="self_attention.dense", attn_add="self_attention.dense", mlp_add="mlp.dense_4h_to_h",
                blocks="transformer.h", embed="transformer.word_embeddings", final="transformer.ln_f"),
        common_keys(4 * WIDTH, rms=False), convert=split_fused_heads)


MODELS = {function.__name__: function for function in (
    llama, gpt2, gptneox, olmo2, gemma2, mixtral, cohere, granite, qwen3, phi2, bloom, gemma3, qwen2moe)}


# --- inputs to refuse ------------------------------------------------------------------------------------------------

def write_bert(path: pathlib.Path) -> None:
    """An encoder: llama.cpp loads it, but it has no causal residual stream to record."""
    width, d_ff = 16, 32
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(str(path), "bert")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_feed_forward_length(d_ff)
    writer.add_layer_norm_eps(EPS)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(2)
    add_vocabulary(writer)
    matrices = {"token_embd": (VOCAB, width), "position_embd": (CONTEXT, width), "token_types": (2, width),
                "blk.0.attn_q": (width, width), "blk.0.attn_k": (width, width), "blk.0.attn_v": (width, width),
                "blk.0.attn_output": (width, width), "blk.0.ffn_up": (d_ff, width), "blk.0.ffn_down": (width, d_ff)}
    for name, shape in matrices.items():
        writer.add_tensor(f"{name}.weight", random.normal(0, shape[1] ** -0.5, shape).astype(np.float32))
    for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        writer.add_tensor(f"{name}.weight", random.uniform(0.5, 1.5, width).astype(np.float32))
        writer.add_tensor(f"{name}.bias", random.normal(0, 0.3, width).astype(np.float32))
    finish(writer)


def make_bad(folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)

    whole = folder / "whole.gguf"
    model = llama()
    write_gguf(model, "llama", new_weights(model, "llama", new_network(model.config, torch.float32)), whole)
    start = gguf.GGUFReader(whole).data_offset
    (folder / "truncated.gguf").write_bytes(whole.read_bytes()[:start + 10_000])
    whole.unlink()

    writer = gguf.GGUFWriter(str(folder / "not_a_model.gguf"), "unused")
    del writer.kv_data[0][gguf.Keys.General.ARCHITECTURE]
    writer.add_uint32("answer", 42)
    writer.add_string("note", "a GGUF file of something else")
    writer.add_tensor("numbers", np.arange(8, dtype=np.float32))
    finish(writer)

    writer = gguf.GGUFWriter(str(folder / "clip.gguf"), "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_tensor("v.patch_embd.weight", np.ones((2, 4), dtype=np.float32))
    finish(writer)

    noise = np.random.default_rng(2).bytes(1024)
    assert not noise.startswith(b"GGUF")
    (folder / "garbage.gguf").write_bytes(noise)

    write_bert(folder / "bert.gguf")
    for path in sorted(folder.iterdir()):
        print(f"bad/{path.name:17} {path.stat().st_size:7,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"only these of: {' '.join(MODELS)} bad")
    parser.add_argument("--logits", type=pathlib.Path, metavar="FOLDER",
                        help="also write NAME.npy, float64 [n_tokens, vocab], there: to compare with llama.cpp's")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)  # so that sums are always added up in one order
    for name in args.what or [*MODELS, "bad"]:
        if name == "bad":
            make_bad(HERE / "bad")
        else:
            make(name, MODELS[name](), HERE, args.logits)


if __name__ == "__main__":
    main()
