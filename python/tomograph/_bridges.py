"""Vectors from elsewhere, and to elsewhere."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import _core
from ._errors import InputError
from ._progress import Progress, reporting
from ._rows import Selection
from ._runs import Run, open

_TYPES = {"float16": "F16", "float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64"}


def _tensor(name: str, value: Any) -> tuple[str, list[int], bytes]:
    """(safetensors' type, shape, bytes) of a NumPy array, a PyTorch tensor or what becomes an array."""
    kind = None
    if hasattr(value, "detach"):
        value = value.detach().cpu().contiguous()
        if str(value.dtype) == "torch.bfloat16":
            import torch  # type: ignore[import-not-found,unused-ignore]

            value, kind = value.view(torch.int16), "BF16"
        value = value.numpy()
    array = np.asarray(value)
    kind = kind or _TYPES.get(array.dtype.name)
    if kind is None:
        raise InputError(f"{name} is an array of {array.dtype}; it is one of float16, float32, float64 or bfloat16")
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return kind, list(array.shape), little.tobytes()


def import_vectors(
    files: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    site: str | None = None,
    layers: Iterable[int] = (),
    labels: str | os.PathLike[str] | None = None,
    replace: bool = False,
    progress: Progress = True,
) -> Run:
    """Make a run of .npy and safetensors files that were captured elsewhere, as `tomograph import`.

    Errors: FileError where they cannot be read so or do not fit each other.
    """
    paths = [os.fspath(files)] if isinstance(files, (str, os.PathLike)) else [os.fspath(file) for file in files]
    with reporting(progress) as report:
        _core.import_vectors(
            paths, os.fspath(out), site, list(layers), None if labels is None else os.fspath(labels), replace, report
        )
    return open(out)


def from_cache(
    cache: Mapping[str, Any], out: str | os.PathLike[str], *, labels: str | os.PathLike[str] | None = None,
    replace: bool = False, progress: Progress = True,
) -> Run:
    """Make a run of what hooks recorded elsewhere: names of sites ("blocks.6.attn_out"), of TransformerLens's hooks
    ("blocks.6.hook_resid_post") or of Hugging Face's modules ("model.layers.6.mlp") to arrays or PyTorch tensors,
    [n, d] or [sequence, position, d]; vLLM's {"hidden_states": [n, layers, d], "token_ids": [n]} too.

    Errors: InputError, FileError where no name says a site, or the arrays do not have the same rows.
    """
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, value in dict(cache).items():
        kind, shape, data = _tensor(str(name), value)
        header[str(name)] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    if not header:
        raise InputError("the cache is empty; give at least one array")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.safetensors"
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for data in parts:
                file.write(data)
        return import_vectors(path, out, labels=labels, replace=replace, progress=progress)


def to_anndata(selection: Selection) -> Any:
    """A selection as AnnData: rows as X, who they are as obs. Errors: ImportError where anndata is missing."""
    import anndata  # type: ignore[import-not-found,unused-ignore]

    obs = selection.labels.to_pandas()
    obs.index = obs.index.astype(str)
    return anndata.AnnData(X=np.array(selection.rows), obs=obs)
