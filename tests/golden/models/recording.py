"""One tiny model: its weights, its GGUF file, and what transformers computes in it. See make.py."""
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
EXPERTS, EXPERTS_USED = 4, 2
EPS = 1e-5

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Modules:
    """Where one transformers family keeps what the sites are read from. Block-relative names but for the last four.
    None: the family has no such thing.

    `attn_add` and `mlp_add` are the modules whose output (times `scale`) enters the residual stream; `mid` is the
    one whose input is the stream between attention and MLP, None in a parallel block.
    """
    ln1: str | None = "input_layernorm"
    proj: str | None = "self_attn.o_proj"
    attn_add: str = "self_attn.o_proj"
    mid: str | None = "post_attention_layernorm"
    ln2: str | None = "post_attention_layernorm"
    mlp_add: str | None = "mlp"
    router: str | None = None
    mixer_add: str | None = None  # in layers that have it, attention's place is a recurrent mixer's
    ple_add: str | None = None
    scale: float = 1.0
    stream_scale: float = 1.0  # of what leaves a block
    end: str | None = None  # the norm that the stream passes behind the last addition, where there is one
    # What mixes several streams for attention and for the MLP: it gives (post, comb, the mixture). None: there is one.
    attn_hc: str | None = None
    mlp_hc: str | None = None
    score: Callable[[torch.Tensor], torch.Tensor] = lambda logits: logits.softmax(dim=-1)  # of the router's logits
    blocks: str = "model.layers"
    embed: str = "model.embed_tokens"
    pos_embed: str | None = None
    final: str | None = "model.norm"


@dataclasses.dataclass(frozen=True)
class Model:
    arch: str  # llama.cpp's name
    config: transformers.PretrainedConfig
    modules: Modules
    keys: Callable[[gguf.GGUFWriter], None] | None  # metadata that not every architecture has
    kv_heads: int | list[int] = HEADS  # of each layer; 0 where it does not attend
    convert: Callable[[str, np.ndarray], np.ndarray] = lambda name, array: array
    # Norm weights that are stored as an offset from one (gemma) are drawn around zero.
    norm_centre: float = 1.0
    embed_std: float = 1.0
    gain: float = 1.5  # of a matrix on independent numbers
    # What is to be changed in a new network before it runs.
    prepare: Callable[[torch.nn.Module], None] = lambda network: None
    # What llama.cpp's converter is told beside the configuration, or instead; None: the key is not there.
    told: dict = dataclasses.field(default_factory=dict)
    encoder: bool = False  # nothing is predicted, and every token sees all others


# --- weights ---------------------------------------------------------------------------------------------------------

def draw(model: Model, name: str, parameter: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random values under which activations stay O(1) and no two units are alike."""
    random = np.random.default_rng(zlib.crc32(f"{name}/{parameter}".encode()))
    if "norm" in parameter.lower() or ".ln_" in parameter:
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
    return random.normal(0.0, model.gain / fan_in ** 0.5, shape)


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


def new_network(model: Model, dtype: torch.dtype) -> torch.nn.Module:
    # "eager": the plain loops, which also run in float64.
    kind = transformers.AutoModel if model.encoder else transformers.AutoModelForCausalLM
    network = kind.from_config(model.config, dtype=dtype, attn_implementation="eager", experts_implementation="eager")
    model.prepare(network)
    return network.eval()


def first(value):
    return value[0] if isinstance(value, tuple) else value


def part(block: torch.nn.Module, path: str | None) -> torch.nn.Module | None:
    """That part of the block; None where it has none: hybrids' blocks differ."""
    if path is None:
        return None
    for name in path.split("."):
        block = getattr(block, name, None)
    return block


def record(model: Model, weights: Arrays, token_id: np.ndarray, dtype: torch.dtype) -> Arrays:
    """Run transformers on one sequence; every site [n_tokens, width] and, of a decoder, `logits` [n_tokens, VOCAB]."""
    network = new_network(model, dtype)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    where = model.modules
    sites: dict[str, torch.Tensor] = {}

    def keep(site: str, tensor: torch.Tensor, scale: float = 1.0) -> None:
        assert site not in sites, f"{site} computed twice"
        sites[site] = (tensor * scale).reshape(len(token_id), -1).clone()

    def on_input(module: torch.nn.Module, site: str) -> None:
        def hook(_, args, kwargs):
            keep(site, args[0] if args else kwargs["hidden_states"])
        module.register_forward_pre_hook(hook, with_kwargs=True)

    def on_output(module: torch.nn.Module, site: str, scale: float = 1.0) -> None:
        module.register_forward_hook(lambda _, args, output: keep(site, first(output), scale))

    outputs = {"mixer_out": where.mixer_add, "attn_out": where.attn_add, "mlp_out": where.mlp_add,
               "ple_out": where.ple_add, "ln1": where.ln1, "ln2": where.ln2,
               "router": where.router}  # it returns the gate's logits first
    inputs = {"z": where.proj, "resid_mid": where.mid}
    mixers = {"attn": where.attn_hc, "mlp": where.mlp_hc}

    def on_mixing(module: torch.nn.Module, prefix: str) -> None:
        def hook(_, args, output):
            for name, tensor in zip(("_hc_post", "_hc_comb", "_in"), output):
                keep(prefix + name, tensor)
        module.register_forward_hook(hook)

    for layer, block in enumerate(network.get_submodule(where.blocks)):
        prefix = f"blocks.{layer}."
        on_input(block, prefix + "resid_pre")
        if where.end:
            on_input(part(block, where.end), prefix + "resid_post")
        else:
            on_output(block, prefix + "resid_post")
        for site, path in outputs.items():
            if (module := part(block, path)) is not None:
                on_output(module, prefix + site, where.scale if site.endswith("_out") else 1.0)
        for site, path in inputs.items():
            if (module := part(block, path)) is not None:
                on_input(module, prefix + site)
        for whose, path in mixers.items():
            if path is not None:
                on_mixing(part(block, path), prefix + whose)
    if where.final:
        on_output(network.get_submodule(where.final), "ln_final")
    if where.pos_embed:
        on_output(network.get_submodule(where.pos_embed), "pos_embed")

    tokens = torch.from_numpy(token_id.astype(np.int64))  # [n_tokens]
    with torch.no_grad():
        output = network(tokens[None], **({} if model.encoder else {"use_cache": False}))
    # Looked up here, not hooked: gemma's embedding module scales what it returns.
    keep("embed", network.get_submodule(where.embed).weight.detach()[tokens])
    if not model.encoder:
        keep("logits", output.logits)  # [1, n_tokens, VOCAB]
    for site in sites:
        if site.endswith(".router"):
            sites[site] = where.score(sites[site])
    return {site: tensor.numpy() for site, tensor in sites.items()}


def check(name: str, model: Model, sites: Arrays) -> None:
    """The components must add up to the stream, and no site may be degenerate."""
    for layer in range(sum(key.endswith(".resid_post") for key in sites)):
        site = {key.removeprefix(f"blocks.{layer}."): value for key, value in sites.items()}
        if model.modules.attn_hc:
            check_streams(f"{name} {layer}", site)
        elif not model.modules.end:
            middle = site["resid_pre"] + site.get("attn_out", 0) + site.get("mixer_out", 0)
            if "resid_mid" in site:
                assert np.allclose(middle, site["resid_mid"], rtol=1e-12, atol=1e-12), f"{name} {layer}: resid_mid"
            end = (middle + site.get("mlp_out", 0) + site.get("ple_out", 0)) * model.modules.stream_scale
            assert np.allclose(end, site["resid_post"], rtol=1e-12, atol=1e-12), f"{name} {layer}: resid_post"
        if layer and not model.modules.end:
            assert np.array_equal(site["resid_pre"], sites[f"blocks.{layer - 1}.resid_post"])
    for site, value in sites.items():
        assert np.isfinite(value).all(), f"{name} {site}: not finite"
        low, high = (0.01, 1.0) if site.endswith("router") or "_hc_" in site else (0.1, 30.0)
        assert low < value.std(axis=0).mean() < high, f"{name} {site}: varies by {value.std(axis=0).mean():.3g}"
        if site.endswith("router"):
            ranked = np.sort(value, axis=1)  # [n_tokens, n_experts]
            margin = (ranked[:, -EXPERTS_USED] - ranked[:, -EXPERTS_USED - 1]).min()
            assert margin > 1e-4, f"{name} {site}: rounding could choose another expert, margin {margin:.1e}"


def check_streams(name: str, site: Arrays) -> None:
    """Of several streams each goes on into each by `comb`, and what is written is dealt out by `post`."""
    before = site["resid_pre"]
    for whose, after in (("attn", "resid_mid"), ("mlp", "resid_post")):
        post, write = site[f"{whose}_hc_post"], site[f"{whose}_out"]  # [n_tokens, n], [n_tokens, WIDTH]
        n = post.shape[1]
        streams = np.einsum("tfc,tfd->tcd", site[f"{whose}_hc_comb"].reshape(-1, n, n), before.reshape(-1, n, WIDTH))
        streams += post[:, :, None] * write[:, None, :]
        assert np.allclose(streams.reshape(before.shape), site[after], rtol=1e-12, atol=1e-12), f"{name}: {after}"
        before = site[after]


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.abs(got - want).max() / np.abs(want).max())


def compute(name: str, model: Model, weights: Arrays, n_tokens: int) -> tuple[np.ndarray, Arrays, float]:
    """The sequence, every site in float64 and how far a float32 run is off."""
    token_id = np.random.default_rng(zlib.crc32(name.encode())).integers(0, VOCAB, n_tokens, dtype=np.int32)
    single = record(model, weights, token_id, torch.float32)
    with in_float64():
        sites = record(model, weights, token_id, torch.float64)
    assert all(value.dtype == np.float64 for value in sites.values())
    check(name, model, sites)
    # The patched casts must not have changed what is computed, only how finely.
    worst = max(relative_error(single[site], sites[site]) for site in sites)
    assert worst < 2e-5, f"{name}: float32 and float64 differ by {worst:.2g}"
    return token_id, sites, worst


def write_golden(name: str, token_id: np.ndarray, sites: Arrays, worst: float, folder: pathlib.Path) -> None:
    golden = {site: value.astype(np.float32) for site, value in sites.items() if site != "logits"}
    (folder / f"{name}.safetensors").write_bytes(safetensors.numpy.save(
        {"token_id": token_id, **golden},
        metadata={"transformers": transformers.__version__}))  # a second key would be written in random order
    print(f"{name:8} {len(golden):3} sites  float32 run off by {worst:.1e}  "
          f"gguf {(folder / f'{name}.gguf').stat().st_size:7,}  "
          f"safetensors {(folder / f'{name}.safetensors').stat().st_size:7,} bytes")


def make(name: str, model: Model, folder: pathlib.Path, logits_folder: pathlib.Path | None) -> None:
    weights = new_weights(model, name, new_network(model, torch.float32))
    token_id, sites, worst = compute(name, model, weights, TOKENS)
    write_gguf(model, name, weights, folder / f"{name}.gguf")
    write_golden(name, token_id, sites, worst, folder)
    if logits_folder:
        np.save(logits_folder / f"{name}.npy", sites["logits"])
