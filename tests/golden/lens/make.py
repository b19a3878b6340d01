"""What Hugging Face transformers' own heads make of its streams: the logit lens.

    python make.py

Reads the tiny models of ../models (see its README for the environment) and writes beside this script, for each of NAMES,

    NAME.safetensors   `token_id` i32 [TOKENS]; `stream` f32 [layers * kept, width]: the stream after each block at the
                       positions KEPT; `logits` f32 [layers * kept, vocabulary]: what the model answers when that
                       stream takes the place of what enters its last norm. In float64, rounded once.

The last norm's input is replaced by a hook and the rest is the network's own forward pass, so that whatever an
architecture does to its logits (a scale, a cap, a bias) is done here too.
"""
import pathlib
import sys
import zlib

import numpy as np
import safetensors.numpy
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))
import make as models  # noqa: E402

# A LayerNorm with its bias, RMS norms, a cap, a norm without bias and a scale, a division, a bias of the vocabulary.
NAMES = ["gpt2", "llama", "gemma2", "cohere", "granite", "phi2"]
TOKENS = 12
KEPT = [1, 6, 11]


def make(name: str) -> None:
    model = models.MODELS[name]()
    weights = models.new_weights(model, name, models.new_network(model.config, torch.float32))
    token_id = np.random.default_rng(zlib.crc32(f"lens/{name}".encode())).integers(0, models.VOCAB, TOKENS, np.int32)
    tokens = torch.from_numpy(token_id.astype(np.int64))[None]
    with models.in_float64():
        network = models.new_network(model.config, torch.float64)
        with torch.no_grad():
            for parameter, tensor in network.named_parameters():
                tensor.copy_(torch.from_numpy(weights[parameter]))
        streams, replacement = [], None
        for block in network.get_submodule(model.modules.blocks):
            block.register_forward_hook(lambda _, args, output: streams.append(models.first(output).clone()))
        network.get_submodule(model.modules.final).register_forward_pre_hook(
            lambda _, args: args if replacement is None else (replacement, *args[1:]))
        with torch.no_grad():
            plain = network(tokens, use_cache=False).logits
            layers, logits = list(streams), []
            for replacement in layers:
                logits.append(network(tokens, use_cache=False).logits)
    assert len(layers) == models.LAYERS and torch.equal(logits[-1], plain), name
    assert all(float((one - plain).norm() / plain.norm()) > 1e-2 for one in logits[:-1]), name
    arrays = {"token_id": token_id}
    for key, values in (("stream", layers), ("logits", logits)):
        arrays[key] = torch.cat([one[0, KEPT] for one in values]).numpy().astype(np.float32)
    path = HERE / f"{name}.safetensors"
    path.write_bytes(safetensors.numpy.save(arrays, metadata={"transformers": transformers.__version__}))
    print(f"{name:8} {path.stat().st_size:,} bytes")


def main() -> None:
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name in NAMES:
        make(name)


if __name__ == "__main__":
    main()
