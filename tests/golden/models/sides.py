"""A tiny T5, whose encoder and decoder are two streams: its GGUF and what transformers computes on each side."""
import pathlib
import zlib

import gguf
import numpy as np
import safetensors.numpy
import torch
import transformers

from recording import *

ENCODER_LAYERS, DECODER_LAYERS, D_HEAD, D_FF, BUCKETS = 3, 2, 12, 80, 8
SOURCE_TOKENS, TARGET_TOKENS = 40, 24
START, END = 0, 1


def config() -> transformers.T5Config:
    return transformers.T5Config(
        vocab_size=VOCAB, d_model=WIDTH, d_kv=D_HEAD, d_ff=D_FF, num_layers=ENCODER_LAYERS,
        num_decoder_layers=DECODER_LAYERS, num_heads=HEADS, relative_attention_num_buckets=BUCKETS,
        feed_forward_proj="relu", layer_norm_epsilon=EPS, decoder_start_token_id=START, pad_token_id=START,
        eos_token_id=END, dropout_rate=0.0)


def new_network(dtype: torch.dtype) -> torch.nn.Module:
    network = transformers.AutoModelForSeq2SeqLM.from_config(config(), dtype=dtype, attn_implementation="eager")
    return network.eval()


def draw_weight(parameter: str, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(f"t5/{parameter}".encode()))
    if "layer_norm" in parameter:
        return 1 + random.uniform(-0.5, 0.5, shape)
    if "shared" in parameter or "relative_attention_bias" in parameter or "embed" in parameter:
        return random.normal(0.0, 1.0, shape)
    scale = 1.5 / shape[1] ** 0.5
    # T5 does not divide its scores by the root of the heads' width.
    return random.normal(0.0, scale / D_HEAD ** 0.5 if ".q." in parameter else scale, shape)


def write(weights: Arrays, path: pathlib.Path) -> None:
    writer = gguf.GGUFWriter(str(path), "t5")
    writer.add_name("golden-t5")
    writer.add_description("Random weights, for tests")
    writer.add_license("CC0-1.0")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(D_FF)
    writer.add_block_count(ENCODER_LAYERS)
    writer.add_decoder_block_count(DECODER_LAYERS)
    writer.add_head_count(HEADS)
    writer.add_key_length(D_HEAD)
    writer.add_value_length(D_HEAD)
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_relative_attn_buckets_count(BUCKETS)
    writer.add_decoder_start_token_id(START)
    add_vocabulary(writer)
    writer.add_eos_token_id(END)
    writer.add_add_eos_token(True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, ENCODER_LAYERS)
    for name, array in weights.items():
        theirs = names.get_name(name.removesuffix(".weight"))
        if theirs is None:
            raise ValueError(f"no GGUF name for {name}")
        writer.add_tensor(theirs + ".weight", array)
    finish(writer)


def record_sides(weights: Arrays, source: np.ndarray, target: np.ndarray, dtype: torch.dtype) -> dict[str, Arrays]:
    """Every site of both sides, [n_tokens, width]."""
    network = new_network(dtype)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    sides: dict[str, dict[str, torch.Tensor]] = {"source": {}, "target": {}}

    def keep(side: str, site: str, tensor: torch.Tensor) -> None:
        assert site not in sides[side], f"{site} computed twice"
        sides[side][site] = tensor.reshape(SOURCE_TOKENS if side == "source" else TARGET_TOKENS, -1).clone()

    def on_input(module: torch.nn.Module, side: str, site: str) -> None:
        def hook(_, args, kwargs):
            keep(side, site, args[0] if args else kwargs["hidden_states"])
        module.register_forward_pre_hook(hook, with_kwargs=True)

    def on_output(module: torch.nn.Module, side: str, site: str) -> None:
        module.register_forward_hook(lambda _, args, output: keep(side, site, first(output)))

    for side, stack in (("source", network.encoder), ("target", network.decoder)):
        for layer, block in enumerate(stack.block):
            prefix = f"blocks.{layer}."
            on_input(block, side, prefix + "resid_pre")
            on_output(block, side, prefix + "resid_post")
            on_output(block.layer[0].layer_norm, side, prefix + "ln1")
            on_input(block.layer[0].SelfAttention.o, side, prefix + "z")
            on_output(block.layer[0].SelfAttention.o, side, prefix + "attn_out")
            if side == "target":
                on_output(block.layer[1].layer_norm, side, prefix + "cross_ln")
                on_input(block.layer[1].EncDecAttention.o, side, prefix + "cross_z")
                on_output(block.layer[1].EncDecAttention.o, side, prefix + "cross_attn_out")
            on_input(block.layer[-1].layer_norm, side, prefix + "resid_mid")
            on_output(block.layer[-1].layer_norm, side, prefix + "ln2")
            on_output(block.layer[-1].DenseReluDense.wo, side, prefix + "mlp_out")
        on_output(stack.final_layer_norm, side, "ln_final")
    with torch.no_grad():
        network(input_ids=torch.from_numpy(source.astype(np.int64))[None],
                decoder_input_ids=torch.from_numpy(target.astype(np.int64))[None], use_cache=False)
    table = network.shared.weight.detach()
    keep("source", "embed", table[source.astype(np.int64)])
    keep("target", "embed", table[target.astype(np.int64)])
    return {side: {site: tensor.numpy() for site, tensor in sites.items()} for side, sites in sides.items()}


def check_sides(sides: dict[str, Arrays]) -> None:
    for side, sites in sides.items():
        for layer in range(ENCODER_LAYERS if side == "source" else DECODER_LAYERS):
            site = {key.removeprefix(f"blocks.{layer}."): value for key, value in sites.items()}
            middle = site["resid_pre"] + site["attn_out"] + site.get("cross_attn_out", 0)
            assert np.allclose(middle, site["resid_mid"], rtol=1e-12, atol=1e-12), f"{side} {layer}: resid_mid"
            assert np.allclose(middle + site["mlp_out"], site["resid_post"], rtol=1e-12, atol=1e-12), f"{side} {layer}"
        for site, value in sites.items():
            assert np.isfinite(value).all(), f"{side} {site}: not finite"
            assert 0.1 < value.std(axis=0).mean() < 30, f"{side} {site}: varies by {value.std(axis=0).mean():.3g}"


def make_sides(folder: pathlib.Path) -> None:
    weights = {name: draw_weight(name, tuple(tensor.shape)).astype(np.float32)
               for name, tensor in new_network(torch.float32).named_parameters()}
    random = np.random.default_rng(zlib.crc32(b"t5"))
    source = random.integers(2, VOCAB, SOURCE_TOKENS, dtype=np.int32)
    target = random.integers(2, VOCAB, TARGET_TOKENS, dtype=np.int32)
    target[0] = START
    single = record_sides(weights, source, target, torch.float32)
    with in_float64():
        sides = record_sides(weights, source, target, torch.float64)
    check_sides(sides)
    worst = max(relative_error(single[side][site], sites[site]) for side, sites in sides.items() for site in sites)
    assert worst < 2e-5, f"t5: float32 and float64 differ by {worst:.2g}"
    write(weights, folder / "t5.gguf")
    for side, tokens in (("source", source), ("target", target)):
        golden = {site: value.astype(np.float32) for site, value in sides[side].items()}
        if side == "target":
            golden["source_id"] = source
        (folder / f"t5-{side}.safetensors").write_bytes(safetensors.numpy.save(
            {"token_id": tokens, **golden}, metadata={"transformers": transformers.__version__}))
    print(f"t5       {sum(map(len, sides.values())):3} sites  float32 run off by {worst:.1e}  "
          f"gguf {(folder / 't5.gguf').stat().st_size:7,}")
