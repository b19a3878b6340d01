"""docs/architectures.md from what check_architectures --json says: scripts/architectures --page."""
import json
import pathlib
import re
import sys

# Where llama.cpp's name is another.
GOLDEN_ARCHITECTURES = {"cohere": "command-r", "mixtral": "llama", "deepseek3": "deepseek2", "olmo3": "olmo2"}
EVERYWHERE = {"embed", "resid_pre", "resid_post"}

HEAD = """# Architectures

What `scripts/architectures` says; that script writes this page. llama.cpp's own generator makes a tiny random model of each
architecture that it can (a T5 of both sides is ours), and each is captured in four modes (text, repeat, vocabulary, positions), with `--exact` and
without. What is checked of each:

- **sum**: every block adds up, at every token, and so does what it reads where it mixes that of several streams: the largest relative
  error (float32 itself errs by 1e-7);
- **alone**: a sequence gives the same in a batch of others, shorter, longer and as long, as alone;
- **vectors**: rows of the embedding table, given as vectors, give what their tokens give;
- a block's stream is the one that the next block reads, to the bit; a router holds probabilities, or scores; in a causal model no
  token changes with a later one (*both ways*: every token does).

Half-precision weights make the last two differ by a rounding. *Parity*: the family is also compared with Hugging Face
transformers, site by site: to 1e-5 of each row's norm, 2e-3 behind ggml's GELU; `tests/golden/models` says where the two differ and why. Sites that all have, `embed`, `resid_pre` and `resid_post`, are left out. [Kinds of models](kinds.md) shows some in pictures.
"""


def number(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}"


def reason(error: str) -> str:
    """The middle part of an error: why."""
    text = error.split(": ", 1)[1] if ": " in error else error
    return text.split("; only models whose")[0].replace("|", "\\|")


def main() -> None:
    golden = {GOLDEN_ARCHITECTURES.get(path.stem, path.stem) for path in pathlib.Path(sys.argv[1]).rglob("*.gguf")
              if path.with_suffix(".safetensors").exists() or path.stem == "t5"}
    lines = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    captured = [r for r in lines if not r["refused"] and not r["failed"]]
    # Files that llama.cpp's own generator leaves without what its loader needs say nothing of us.
    unwritten = [r for r in lines if r["refused"].startswith("llama.cpp cannot load")]
    lines = [r for r in lines if r not in unwritten]
    refused = [r for r in lines if r["refused"]]
    failed = [r for r in lines if r["failed"]]
    names = {r["architecture"] or re.sub(r"-(dense|moe)$", "", r["model"]) for r in lines}
    print(HEAD)
    print(f"{len(captured)} of {len(lines)} models of {len(names)} architectures are captured, {len(refused)} refused"
          + (f", {len(failed)} captured wrongly" if failed else "") + ".\n")
    print("| model | sites | sum | alone | vectors | parity |\n|---|---|---|---|---|---|")
    for r in captured:
        sites = ", ".join(f"`{c}`" for c in r["components"] if c not in EVERYWHERE)
        sites += "" if r["causal"] else "; both ways"
        vectors = ("refused [^vectors]" if r["absent"] else "without `ple_out`'s token" if r["vectors"] < 0
                   else number(r["vectors"]))
        parity = "yes" if r["architecture"] in golden else ""
        print(f"| {r['model']} | {sites} | {number(r['sum'])} | {number(r['isolation'])} | {vectors} | {parity} |")
    print("\n## Refused\n\n| model | why |\n|---|---|")
    for r in refused:
        print(f"| {r['model']} | {reason(r['refused'])} |")
    for r in failed:
        print(f"| {r['model']} | **captured wrongly**: {r['failed']} |")
    if unwritten:
        print("\nllama.cpp cannot load what its generator writes of these, and they are not counted: "
              + ", ".join(r["model"] for r in unwritten) + ".")
    absent = sorted({reason(why) for r in captured for why in r["absent"].values()})
    if absent:
        print(f"\n[^vectors]: {'; '.join(absent)}.")


if __name__ == "__main__":
    main()
