"""What Hugging Face transformers computes when hooks do to it what acts do here.

    python make.py                 # acts.json, the directions, what is patched from, and every model's logits

Reads the tiny models of ../models (see its README for the environment) and writes beside this script

    acts.json          a list of {"name", "acts"}: the specs, as `tomograph intervene --spec` takes them
    one.npy plane.npy  the directions that they name, f32 [1, width] and [2, width]
    other.txt          the text that they patch from: as many bytes as two sequences have tokens
    NAME.safetensors   `token_id` i32 [sequences, tokens] and for each spec f32 [sequences * kept, vocabulary]: the
                       logits at the positions KEPT of each sequence, computed in float64 and rounded once;
                       `plain` without any act

The hooks know nothing of the program under test: each act is written out from its sentence in
docs/interventions.md.
"""
import json
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

NAMES = ["gpt2", "llama", "gemma2", "mixtral", "qwen2moe"]
SEQUENCES, TOKENS = 2, 20
KEPT = [0, 7, 13, 19]
OTHER = "Call me Ishmael. Some years ago, never m"  # SEQUENCES * TOKENS bytes


def spec(name: str, *acts: dict) -> dict:
    return {"name": name, "acts": list(acts)}


ONE, PLANE = {"direction": "one.npy"}, {"direction": "plane.npy"}
ATTN, MLP, POST, Z = "blocks.1.attn_out", "blocks.1.mlp_out", "blocks.0.resid_post", "blocks.1.z"
SPECS = [
    spec("zero", {"act": "zero", "site": ATTN}),
    spec("zero_head", {"act": "zero", "site": Z, "heads": [0, 2]}),
    spec("zero_coordinates", {"act": "zero", "site": POST, "coordinates": [3, 17, 30]}),
    spec("zero_half", {"act": "zero", "site": MLP, "strength": 0.5, "positions": "5:"}),
    spec("mean", {"act": "mean", "site": MLP}),
    spec("mean_positions", {"act": "mean", "site": Z, "heads": [1], "positions": "-8:-2"}),
    spec("mean_direction", {"act": "mean", "site": POST, **PLANE}),
    spec("resample", {"act": "resample", "site": ATTN}),
    spec("project_out", {"act": "project_out", "site": POST, **PLANE}),
    spec("clamp", {"act": "clamp", "site": POST, "strength": 2.5, **ONE}),
    spec("add", {"act": "add", "site": ATTN, "strength": -1.5, **ONE}),
    spec("add_last_norm", {"act": "add", "site": "ln_final", "strength": 0.5, **ONE}),
    spec("patch", {"act": "patch", "site": POST, "from": "other.txt", "positions": "10:"}),
    spec("patch_half", {"act": "patch", "site": Z, "from": "other.txt", "strength": 0.5}),
    spec("rotate", {"act": "rotate", "site": POST, "strength": 70, **PLANE}),
    # The order counts: a direction that is added and then taken out is gone, and the other way round it stays.
    spec("add_then_project_out", {"act": "add", "site": POST, "strength": 3, **ONE},
         {"act": "project_out", "site": POST, **ONE}),
    spec("project_out_then_add", {"act": "project_out", "site": POST, **ONE},
         {"act": "add", "site": POST, "strength": 3, **ONE}),
    spec("several_sites", {"act": "rotate", "site": "blocks.2.resid_post", "strength": -30, **PLANE},
         {"act": "zero", "site": ATTN, "positions": "3"}, {"act": "mean", "site": "blocks.2.mlp_out"}),
]


def chosen(text: str | None) -> torch.Tensor:
    """Positions of a sequence that a range such as "5:", "-8:-2" or "3" names."""
    mask = torch.zeros(TOKENS, dtype=torch.bool)
    if text is None:
        return ~mask
    if ":" not in text:
        mask[int(text)] = True
        return mask
    begin, end = (int(part) if part else None for part in text.split(":"))
    mask[begin:end] = True
    return mask


def columns(act: dict, width: int) -> torch.Tensor:
    if "heads" in act:
        d_head = width // models.HEADS
        return torch.tensor([head * d_head + i for head in sorted(act["heads"]) for i in range(d_head)])
    return torch.tensor(act["coordinates"]) if "coordinates" in act else torch.arange(width)


def done(act: dict, x: torch.Tensor, plain: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor:
    """What an act makes of a site's values x [sequences, tokens, width]; `plain` and `other` are the values of the
    model without acts, on the same tokens and on the other text."""
    where, which = chosen(act.get("positions")), columns(act, x.shape[-1])
    part = x[..., which]
    rows = directions(act)
    basis = torch.linalg.qr(rows.T).Q if rows is not None else None  # [width, k]
    strength, kind = act.get("strength", 1.0), act["act"]
    if kind == "add":
        new = part + strength * rows.sum(0)
    elif kind == "clamp":
        unit = rows[0] / rows[0].norm()
        new = part - (part @ unit)[..., None] * unit + strength * unit
    elif kind == "rotate":
        first = rows[0] / rows[0].norm()
        second = rows[1] - (rows[1] @ first) * first
        second = second / second.norm()
        a, b, angle = part @ first, part @ second, np.deg2rad(strength)
        flat = part - a[..., None] * first - b[..., None] * second
        new = (flat + (np.cos(angle) * a - np.sin(angle) * b)[..., None] * first
               + (np.sin(angle) * a + np.cos(angle) * b)[..., None] * second)
    elif kind == "project_out":
        new = part - (part @ basis) @ basis.T
    else:
        if kind == "zero":
            target = torch.zeros_like(part)
        elif kind == "mean":
            target = plain[:, where][..., which].reshape(-1, len(which)).mean(0).expand_as(part)
        elif kind == "resample":  # of two sequences each gets the other's
            target = plain.flip(0)[..., which]
        elif kind == "patch":
            target = other[..., which]
        change = target - part
        new = part + (change if basis is None else (change @ basis) @ basis.T) * strength
    result = x.clone()
    result[:, where] = result[:, where].index_copy(-1, which, new[:, where])
    return result


def directions(act: dict) -> torch.Tensor | None:
    if "direction" not in act:
        return None
    return torch.from_numpy(np.load(HERE / act["direction"]).astype(np.float64))


class Run:
    """A network on some tokens, all values of its sites kept or changed on the way."""

    def __init__(self, model: models.Model, weights: dict):
        self.network = models.new_network(model.config, torch.float64)
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(torch.from_numpy(weights[name]))
        self.where = model.modules
        self.change = lambda site, x: x
        for layer, block in enumerate(self.network.get_submodule(self.where.blocks)):
            prefix = f"blocks.{layer}."
            self.before(block.get_submodule(self.where.proj), prefix + "z")
            self.after(block.get_submodule(self.where.attn_add), prefix + "attn_out")
            self.after(block.get_submodule(self.where.mlp_add), prefix + "mlp_out")
            self.after(block, prefix + "resid_post")
        self.after(self.network.get_submodule(self.where.final), "ln_final")

    def at(self, site: str, x: torch.Tensor) -> torch.Tensor:
        # The mixtures' MLP hands out its tokens flat.
        return self.change(site, x.reshape(SEQUENCES, TOKENS, -1)).reshape(x.shape)

    def before(self, module: torch.nn.Module, site: str) -> None:
        module.register_forward_pre_hook(lambda _, args: (self.at(site, args[0]), *args[1:]))

    def after(self, module: torch.nn.Module, site: str) -> None:
        def hook(_, args, output):
            changed = self.at(site, models.first(output))
            return (changed, *output[1:]) if isinstance(output, tuple) else changed
        module.register_forward_hook(hook)

    def values(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        kept = {}

        def keep(site, x):
            kept[site] = x.clone()
            return x
        self.logits(tokens, keep)
        return kept

    def logits(self, tokens: torch.Tensor, change=lambda site, x: x) -> torch.Tensor:
        self.change = change
        with torch.no_grad():
            return self.network(tokens, use_cache=False).logits  # [sequences, tokens, vocabulary]


def make(name: str) -> None:
    model = models.MODELS[name]()
    weights = models.new_weights(model, name, models.new_network(model.config, torch.float32))
    random = np.random.default_rng(zlib.crc32(f"acts/{name}".encode()))
    token_id = random.integers(0, models.VOCAB, (SEQUENCES, TOKENS), dtype=np.int32)
    tokens = torch.from_numpy(token_id.astype(np.int64))
    other_tokens = torch.tensor(list(OTHER.encode())).reshape(SEQUENCES, TOKENS)
    arrays = {"token_id": token_id}
    with models.in_float64():
        run = Run(model, weights)
        plain, other = run.values(tokens), run.values(other_tokens)
        logits = {"plain": run.logits(tokens)}
        for one in SPECS:
            def change(site, x):
                for act in one["acts"]:
                    if act["site"] == site:
                        x = done(act, x, plain[site], other[site])
                return x
            logits[one["name"]] = run.logits(tokens, change)
    for key, values in logits.items():
        assert values.dtype == torch.float64 and torch.isfinite(values).all(), key
        moved = float((values - logits["plain"]).norm() / logits["plain"].norm())
        assert key == "plain" or moved > 1e-3, f"{name} {key}: moves the logits by {moved:.1e} only"
        arrays[key] = values[:, KEPT].reshape(-1, models.VOCAB).numpy().astype(np.float32)
    path = HERE / f"{name}.safetensors"
    path.write_bytes(safetensors.numpy.save(arrays, metadata={"transformers": transformers.__version__}))
    print(f"{name:8} {len(SPECS)} specs, {path.stat().st_size:,} bytes")


def main() -> None:
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    random = np.random.default_rng(1)
    np.save(HERE / "one.npy", random.normal(0, 1, (1, models.WIDTH)).astype(np.float32))
    np.save(HERE / "plane.npy", random.normal(0, 1, (2, models.WIDTH)).astype(np.float32))
    (HERE / "other.txt").write_text(OTHER)
    (HERE / "acts.json").write_text(json.dumps(SPECS, indent=1) + "\n")
    for name in NAMES:
        make(name)


if __name__ == "__main__":
    main()
