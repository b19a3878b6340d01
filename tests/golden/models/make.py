"""Make tiny random-weight models and what Hugging Face transformers computes in each.

    python make.py                 # every model and the files in encoders/ and bad/, beside this script
    python make.py llama gpt2      # only these

For each model NAME it writes

    NAME.gguf          the weights for llama.cpp, every tensor F32
    NAME.safetensors   `token_id` i32 [n_tokens] and one f32 tensor [n_tokens, width] per site

Weights are drawn from generators seeded by the model's and the parameter's names, rounded to float32 once,
and then both written to the GGUF and run by transformers in float64 (see `in_float64`), so that a golden
is off by its last rounding only and a test's tolerance is llama.cpp's alone to use.
"""
import argparse
import pathlib

import gguf
import numpy as np
import torch
import transformers

from architectures import MODELS, llama
from recording import *
from sides import make_sides

HERE = pathlib.Path(__file__).resolve().parent

# --- without a golden ------------------------------------------------------------------------------------------------

def write_bert(path: pathlib.Path) -> None:
    """An encoder: every token sees all others, and the stream is normed behind each addition."""
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


def make_encoders(folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    write_bert(folder / "bert.gguf")


# --- inputs to refuse ------------------------------------------------------------------------------------------------

def make_bad(folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)

    whole = folder / "whole.gguf"
    model = llama()
    write_gguf(model, "llama", new_weights(model, "llama", new_network(model, torch.float32)), whole)
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

    for path in sorted(folder.iterdir()):
        print(f"bad/{path.name:17} {path.stat().st_size:7,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"only these of: {' '.join(MODELS)} t5 encoders bad")
    parser.add_argument("--logits", type=pathlib.Path, metavar="FOLDER",
                        help="also write NAME.npy, float64 [n_tokens, vocab], there: to compare with llama.cpp's")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)  # so that sums are always added up in one order
    for name in args.what or [*MODELS, "t5", "encoders", "bad"]:
        if name == "bad":
            make_bad(HERE / "bad")
        elif name == "t5":
            make_sides(HERE)
        elif name == "encoders":
            make_encoders(HERE / "encoders")
        else:
            make(name, MODELS[name](), HERE, args.logits)


if __name__ == "__main__":
    main()
