"""What is made of models and runs besides arrays: other weights, untrained twins, directions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core
from ._errors import FileError, about
from ._progress import Progress, reporting
from ._runs import Run, opened
from ._table import Table, records
from ._words import Span, span


def _about_model(model: str | os.PathLike[str], error: FileError) -> FileError:
    """The same error, as one of a missing file where the model is neither there nor built in."""
    return error if os.fspath(model) in _core.embedded_models() else about(model, error)


def quantize(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    type: str,  # noqa: A002  (the command line's word)
    *,
    threads: int = 0,
    replace: bool = False,
    progress: Progress = True,
) -> list[str]:
    """Write a GGUF with other weight types, as `tomograph quantize`: "f32", "f16", "q8_0", "q4_k", …. Returns a sentence
    for each type that llama.cpp replaced by another one. Errors: InputError for a type that cannot be written; FileError."""
    try:
        with reporting(progress) as report:
            return _core.quantize(os.fspath(model), os.fspath(out), type, threads, replace, report)
    except FileError as error:
        raise _about_model(model, error) from None


def randomize(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    keep: str = "scale",
    seed: int = 42,
    threads: int = 0,
    replace: bool = False,
    progress: Progress = True,
) -> list[str]:
    """Write an untrained twin of a GGUF, random weights in its shapes, as `tomograph randomize`: a control for measure() and
    Model.lens(). keep: of each matrix its "scale" (Gaussian values) or its "spectrum" (the singular values). Returns the
    tensors that became F16, since their type needs calibration data. Errors: FileError."""
    try:
        with reporting(progress) as report:
            return _core.randomize(os.fspath(model), os.fspath(out), keep, seed, threads, replace, report)
    except FileError as error:
        raise _about_model(model, error) from None


@dataclass(frozen=True)
class Directions:
    """From one label to another, by layer: layers [l]; vectors [l, d] float32, as long as the difference of the means is
    along each; table: auroc of held-out rows, mean and 95 % quantile of the same under permuted labels, p, norm and its share of
    the rows' norm; json, as `tomograph direction --json` prints it. A vector is a direction that an act takes."""

    layers: np.ndarray
    vectors: np.ndarray
    table: Table
    json: dict[str, Any]

    def __getitem__(self, layer: int) -> np.ndarray:
        """The vector of a layer. Errors: KeyError where there is none."""
        found = np.flatnonzero(self.layers == layer)
        if len(found) == 0:
            raise KeyError(f"no direction at layer {layer}; there are layers {self.layers.tolist()}")
        return self.vectors[found[0]]

    def __repr__(self) -> str:
        return f"Directions from {self.json['from']!r} to {self.json['to']!r} at {len(self.layers)} layers"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def direction(
    run: Run | str | os.PathLike[str],
    from_label: str,
    to_label: str,
    *,
    component: str = "resid_post",
    layers: Span = None,
    method: str = "mean",
    rows: int = 2000,
    permutations: int = 20,
    seed: int = 42,
    threads: int = 0,
    out: str | os.PathLike[str] | None = None,
    replace: bool = False,
    progress: Progress = True,
) -> Directions:
    """What leads from rows of one label to those of another, by layer, as `tomograph direction`. method: "mean", "probe"
    or "pca". out: also as a control vector of llama.cpp's, a .gguf file. Errors: InputError where a label or the
    component's vectors are not there, or too few rows."""
    with reporting(progress) as report:
        json, numbers, vectors = _core.direction(
            opened(run)._core, from_label, to_label, component, span(layers, "layers"), method, rows, permutations, seed,
            threads, None if out is None else os.fspath(out), replace, report,
        )
    table = [
        {
            "layer": one["layer"],
            "auroc": one["auroc"],
            "null_mean": one["null"]["mean"],
            "null_high": one["null"]["high"],
            "p": one["p"],
            "norm": one["norm"],
            "norm_share": one["norm_share"],
        }
        for one in json["layers"]
    ]
    return Directions(numbers, vectors, records(table), json)
