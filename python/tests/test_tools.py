from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import program

import tomograph as tg


def test_writes_the_programs_models(tmp_path: Path) -> None:
    (note,) = tg.quantize("bytes-llama", tmp_path / "ours.gguf", "q8_0", progress=False)
    assert "became f16 instead of q8_0" in note
    program("quantize", "bytes-llama", "--type", "q8_0", "--out", tmp_path / "theirs.gguf")
    assert (tmp_path / "ours.gguf").read_bytes() == (tmp_path / "theirs.gguf").read_bytes()
    tg.randomize("bytes-llama", tmp_path / "twin.gguf", keep="spectrum", seed=7, progress=False)
    program("randomize", "bytes-llama", "--keep", "spectrum", "--seed", 7, "--out", tmp_path / "other.gguf")
    assert (tmp_path / "twin.gguf").read_bytes() == (tmp_path / "other.gguf").read_bytes()
    with pytest.raises(tg.FileError, match="exists"):
        tg.quantize("bytes-llama", tmp_path / "ours.gguf", "q8_0", progress=False)
    tg.quantize("bytes-llama", tmp_path / "ours.gguf", "f16", replace=True, progress=False)
    with pytest.raises(tg.InputError, match="q9"):
        tg.quantize("bytes-llama", tmp_path / "none.gguf", "q9", progress=False)
    with pytest.raises(tg.InputError, match="there are scale and spectrum"):
        tg.randomize("bytes-llama", tmp_path / "none.gguf", keep="all", progress=False)
    with pytest.raises(FileNotFoundError):
        tg.randomize(tmp_path / "missing.gguf", tmp_path / "none.gguf", progress=False)
    assert not (tmp_path / "none.gguf").exists()


def test_directions_are_the_programs_and_acts_take_them(model: tg.Model, tmp_path: Path) -> None:
    texts = [f"{word} {i} and so on" for word in ("cold", "warm") for i in range(6)]
    labels = ["cold"] * 6 + ["warm"] * 6
    run = model.capture(texts, tmp_path / "run", labels=labels, progress=False)
    found = tg.direction(run, "cold", "warm", permutations=5, out=tmp_path / "d.gguf", progress=False)
    words = ["--from", "label=cold", "--to", "label=warm", "--permutations", 5]
    theirs = json.loads(program("direction", run.path, *words, "--out", tmp_path / "theirs.gguf", "--json"))
    assert found.json == theirs
    assert (tmp_path / "d.gguf").read_bytes() == (tmp_path / "theirs.gguf").read_bytes()
    assert found.vectors.shape == (4, 128) and found.layers.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), found.table["norm"], rtol=1e-5)
    np.testing.assert_array_equal(found[2], found.vectors[2])
    with pytest.raises(KeyError, match="no direction at layer 9"):
        found[9]
    act = {"act": "add", "site": "blocks.2.resid_post", "direction": found[2]}
    assert model.intervene("cold 7", act, control=False, progress=False)["loss"]["change"] != 0
    with pytest.raises(tg.InputError, match="hot"):
        tg.direction(run, "cold", "hot", progress=False)
    with pytest.raises(tg.InputError):
        tg.direction(run, "cold", "warm", component="embed", progress=False)
