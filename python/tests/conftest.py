"""Shared by the tests: a small run of a built-in model, and the program itself."""

from __future__ import annotations

import os
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
