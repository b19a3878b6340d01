"""Shared by the tests: a small run of a built-in model, and the program itself."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import tomograph as tg

matplotlib.use("Agg")

PROMPTS = ["The whale is white.", "Call me Ishmael. Some years ago.", "There she blows!"]


def program(*words: object) -> str:
    """What the program prints. It is the one that the module was built beside."""
    done = subprocess.run(
        [os.environ["TOMOGRAPH_BINARY"], *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_start_token(golden: Path, folder: Path) -> Path:
    """A copy of a golden model whose header names token 1 as the start token."""
    data = bytearray((golden / "models/llama.gguf").read_bytes())
    key = lambda name: struct.pack("<Q", len(name)) + name  # noqa: E731
    # Together 64 bytes, so that the tensors stay aligned.
    entries = key(b"tokenizer.ggml.bos_token_id") + struct.pack("<Ii", 4, 1) + key(b"test.pad") + struct.pack("<I?", 7, False)
    assert len(entries) == 64
    data[16:24] = struct.pack("<Q", struct.unpack("<Q", data[16:24])[0] + 2)
    data[24:24] = entries
    path = folder / "with-start.gguf"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="session")
def golden() -> Path:
    return Path(os.environ["TOMOGRAPH_TEST_DATA"])


@pytest.fixture(scope="session")
def model() -> Iterator[tg.Model]:
    with tg.Model("bytes-gpt2", threads=1) as opened:
        yield opened


@pytest.fixture(scope="session")
def run_folder(model: tg.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    model.capture(PROMPTS, out, scores=True).close()
    return out


@pytest.fixture
def run(run_folder: Path) -> Iterator[tg.Run]:
    with tg.open(run_folder) as opened:
        yield opened


@pytest.fixture(scope="session")
def text_run(model: tg.Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tg.Run]:
    """8 sequences of 64 tokens of Moby-Dick."""
    out = tmp_path_factory.mktemp("runs") / "text"
    with model.capture(kind="text", out=out, sequences=8, length=64) as captured:
        yield captured


@pytest.fixture
def blobs() -> np.ndarray:
    """Three clouds, float32 [300, 8]."""
    random = np.random.default_rng(0)
    return np.concatenate([random.normal(size=(100, 8)) + 6 * i for i in range(3)]).astype(np.float32)
