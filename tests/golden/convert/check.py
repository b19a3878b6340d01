"""Convert a model folder and compare what tomograph captures with what Hugging Face transformers computes.

    PYTHON check.py TOMOGRAPH [--python]

Makes a tiny random LLaMA with a SentencePiece tokenizer of its own, converts it with `tomograph convert`, captures a
text with `tomograph capture --exact`, runs the tokens that it read through transformers with hooks, and compares the
tokens and the stream after every block. A model with a tokenizer that the converter cannot know must be refused in one
line and leave nothing. PYTHON is one that has torch, transformers, sentencepiece and safetensors: that of the converter's environment
(~/.cache/tomograph/convert-*/python/bin/python) will do. With --python it converts too.
"""
import pathlib
import subprocess
import sys
import tempfile

import sentencepiece
import torch
import transformers
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).resolve().parent
BOOK = HERE.parents[2] / "models/moby-dick-chapter.txt"
TEXT = "Call me Ishmael. Some years ago - never mind how long precisely - I thought I would sail about a little."
TOLERANCE = 1e-4


def llama(folder):
    sentencepiece.SentencePieceTrainer.train(
        input=str(BOOK), model_prefix=str(folder / "tokenizer"), vocab_size=512, model_type="bpe",
        byte_fallback=True, character_coverage=1.0, bos_id=1, eos_id=2, unk_id=0, minloglevel=2)
    (folder / "tokenizer.vocab").unlink()
    config = transformers.LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=False)
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return model, transformers.LlamaTokenizer(str(folder / "tokenizer.model")), lambda m: m.model.layers


def unknown_tokenizer(folder):
    """A GPT-2 whose byte-level BPE splits text by no rule that the converter has a name for."""
    from tokenizers import ByteLevelBPETokenizer
    bpe = ByteLevelBPETokenizer()
    bpe.train([str(BOOK)], vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe.save_model(str(folder))
    transformers.GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    config = transformers.GPT2Config(vocab_size=400, n_positions=64, n_ctx=64, n_embd=64, n_layer=1, n_head=4)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)


def refused(make, tomograph, options, sentence):
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work, "model")
        folder.mkdir()
        make(folder)
        done = subprocess.run([tomograph, "convert", folder, "--out", f"{work}/m.gguf", *options],
                              capture_output=True, text=True)
        left = sorted(path.name for path in pathlib.Path(work).iterdir())
    print(done.stderr.strip())
    return done.returncode == 1 and sentence in done.stderr and left == ["model"]


def check(name, make, tomograph, options):
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as work:
        folder, run = pathlib.Path(work, "model"), pathlib.Path(work, "run")
        folder.mkdir()
        model, tokenizer, layers = make(folder)
        model = model.float().eval()
        subprocess.run([tomograph, "convert", folder, "--out", f"{work}/m.gguf", "--type", "f32", *options], check=True)
        subprocess.run([tomograph, "capture", f"{work}/m.gguf", "--prompt", TEXT, "--exact", "--dtype", "f32",
                        "--components", "resid_post", "--out", run], check=True)
        read = torch.tensor(load_file(run / "tokens.safetensors")["token_id"].astype("int64"))[None]
        wanted = tokenizer(TEXT)["input_ids"]
        # The start token is the model's own affair; the rest must be the tokenizer's.
        same = read[0].tolist() == wanted or read[0].tolist()[1:] == wanted
        seen = {}
        for i, layer in enumerate(layers(model)):
            layer.register_forward_hook(lambda _, __, out, i=i: seen.__setitem__(
                i, (out[0] if isinstance(out, tuple) else out)[0].detach()))
        with torch.no_grad():
            model(read)
        vectors = load_file(run / "shards/000000.safetensors")
        worst = max((torch.tensor(vectors[f"blocks.{i}.resid_post"]) - want.view(want.shape[-2:])).norm().item()
                    / want.norm().item() for i, want in seen.items())
    print(f"{name}: {read.shape[1]} tokens {'as the tokenizer has them' if same else 'OTHERWISE'}, "
          f"{len(seen)} blocks, worst relative error {worst:.2e}")
    return same and worst <= TOLERANCE


if __name__ == "__main__":
    program = sys.argv[1]
    chosen = ["--python", sys.executable] if "--python" in sys.argv[2:] else []
    results = [check("llama", llama, program, chosen),
               refused(unknown_tokenizer, program, chosen, "does not know this tokenizer's way of splitting text")]
    sys.exit(0 if all(results) else 1)
