"""From Python's values to the command line's words."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any, Union

from . import _core
from ._errors import InputError

Span = Union[str, int, slice, range, "tuple[int, int]", None]
Words = Union[str, Iterable[str], None]


def span(value: Span, what: str) -> str:
    """A half-open range as the command line writes it: ":", "2:9", "-1". Takes that text, a number, a slice,
    a range or a pair."""
    if value is None:
        return ":"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise InputError(f"{value!r} is no range of {what}; give a number, a slice or a text such as '2:9'")
    if isinstance(value, tuple) and len(value) == 2:
        value = slice(value[0], value[1])
    if isinstance(value, range):
        if value.step != 1 or len(value) == 0:
            raise InputError(f"{value!r} is no range of {what}: its step must be 1 and it may not be empty")
        value = slice(value.start, value.stop)
    if isinstance(value, slice):
        if value.step not in (None, 1):
            raise InputError(f"{value!r} is no range of {what}: its step must be 1")
        begin = "" if value.start is None else str(int(value.start))
        end = "" if value.stop is None else str(int(value.stop))
        return f"{begin}:{end}"
    try:
        return str(value.__index__())  # type: ignore[union-attr]
    except AttributeError:
        raise InputError(
            f"{value!r} is no range of {what}; give a number, a slice or a text such as '2:9'"
        ) from None


def commas(value: Words) -> str:
    """Words, comma-separated."""
    if value is None:
        return ""
    return value if isinstance(value, str) else ",".join(str(word) for word in value)


def listed(value: Words) -> list[str]:
    """Words as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(word) for word in value]


def selection_words(
    *,
    components: Words = None,
    layers: Span = None,
    positions: Span = None,
    sequences: Span = None,
    labels: Words = None,
    where: Mapping[str, Any] | Words = None,
    normalize: str | None = None,
    mean: Words = None,
    rows: int = 0,
    seed: int = 42,
    layer_order: str = "given",
) -> _core.SelectionWords:
    """The selection that these words say; docs/python.md has the table."""
    words = _core.SelectionWords()
    words.components = commas(components)
    words.layers = span(layers, "layers")
    words.positions = span(positions, "positions")
    words.sequences = span(sequences, "sequences")
    words.labels = listed(labels)
    if isinstance(where, Mapping):
        words.where = [
            f"{name}={values if isinstance(values, (str, int)) else ','.join(str(v) for v in values)}"
            for name, values in where.items()
        ]
    else:
        words.where = listed(where)
    words.normalize = normalize or "none"
    words.mean = commas(mean)
    words.rows = rows
    words.seed = seed
    words.layer_order = layer_order
    return words


def umap_options(
    *,
    n_neighbors: int,
    n_components: int,
    metric: str,
    min_dist: float,
    spread: float,
    n_epochs: int | None,
    learning_rate: float,
    negative_sample_rate: int,
    repulsion_strength: float,
    init: str,
    seed: int,
    threads: int,
) -> _core.UmapOptions:
    """Errors: InputError for a word that is not known; the core checks the numbers."""
    options = _core.UmapOptions()
    whole = {
        "n_neighbors": n_neighbors,
        "n_components": n_components,
        "negative_sample_rate": negative_sample_rate,
        "n_epochs": 0 if n_epochs is None else n_epochs,
    }
    for name, value in whole.items():
        if not isinstance(value, numbers.Integral) or not -(2**31) <= value < 2**31:
            raise InputError(f"{name} is {value!r}; it is a whole number")
        setattr(options, name, int(value))
    options.metric = str(metric)
    options.min_dist = float(min_dist)
    options.spread = float(spread)
    options.learning_rate = float(learning_rate)
    options.repulsion_strength = float(repulsion_strength)
    options.set_init(str(init))
    options.seed = seed
    options.threads = threads
    return options
