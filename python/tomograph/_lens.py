"""What a model's vectors would answer, layer by layer."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._table import Table, records


def _series(json: dict[str, Any]) -> Table:
    rows = []
    for one in json["series"]:
        parts = one["site"].split(".")
        rows.append(
            {
                "site": one["site"],
                "component": parts[-1],
                "layer": int(parts[1]) if len(parts) == 3 else -1,
                "lens": one["lens"],
                "kl": one["kl"],
                "rank": one["rank"],
                "agrees": one["agrees"],
                "shifted_kl": _mean(json, one["shifted"]["kl"]),
                "explained": one.get("explained"),
            }
        )
    return records(rows)


def _mean(json: dict[str, Any], by_sequence: list[float | None]) -> float | None:
    """Of numbers that are means over sequences, over tokens."""
    kept = [(value, rows) for value, rows in zip(by_sequence, json["rows"]) if value is not None]
    total = sum(rows for _, rows in kept)
    return sum(value * rows for value, rows in kept) / total if total else None


class Lens:
    """What each layer would answer, against what the model does answer, of a run's tokens: what `tomograph lens --json`
    prints, as `json`. table: a row a site and lens (logit: the model's own last norm and head; ridge: an affine map into
    them, fitted on other sequences): kl in nats, rank of the token that came (geometric mean), agrees (share whose
    most probable token is the answer's), shifted_kl (against another token's answer: what chance gives), explained (of the
    ridge lens's fit). depth: the first layer that knows the answer, by lens, as docs/measures.md has it, or None.
    token_depth: by lens, [n_tokens] float32, the first layer from which on the most probable token stays the answer's;
    NaN where a token was not read. mean_answer: kl, rank and agrees of the mean answer, whatever the token. twins: tables of
    untrained twins."""

    def __init__(self, json: dict[str, Any], token_depth: dict[str, np.ndarray]) -> None:
        self.json = json
        self.token_depth = token_depth
        self.table = _series(json)
        self.depth: dict[str, dict[str, int | None]] = json["depth"]
        self.twins = [_series(twin) for twin in json["twins"]]
        unigram = json["unigram"]
        log_rank = _mean(json, unigram["log_rank"])
        self.mean_answer = {
            "kl": _mean(json, unigram["kl"]),
            "rank": None if log_rank is None else math.exp(log_rank),
            "agrees": _mean(json, unigram["agrees"]),
        }

    def to_pandas(self) -> Any:
        return self.table.to_pandas()

    def __repr__(self) -> str:
        depth = {lens: found["by_kl"] for lens, found in self.depth.items()}
        said = ", ".join(f"{lens} lens: {'none' if layer is None else f'layer {layer}'}" for lens, layer in depth.items())
        return f"Lens of {sum(self.json['rows'])} tokens; half of the answer is there after {said}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@dataclass(frozen=True)
class Reading:
    """What each layer would say after each token of a prompt: tokens [t] ids that were read, pieces [t] their texts, layers
    [l]; top [l, t, k] ids, the most probable first, words [l, t, k] their texts, probabilities [l, t, k]; kl [l, t] from the
    model's own answer, in nats; of that answer model_top, model_words and model_probabilities [t, k]."""

    tokens: np.ndarray
    pieces: np.ndarray
    layers: np.ndarray
    top: np.ndarray
    words: np.ndarray
    probabilities: np.ndarray
    kl: np.ndarray
    model_top: np.ndarray
    model_words: np.ndarray
    model_probabilities: np.ndarray

    def __repr__(self) -> str:
        return f"Reading of {''.join(self.pieces)!r}: {len(self.layers)} layers, next {self.model_words[-1, 0]!r}"

    def _repr_html_(self) -> str:
        """The most probable word of each layer, the last one on top."""

        def row(name: str, cells: Any, tag: str = "td") -> str:
            return f"<tr><th>{name}</th>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

        lines = [row(str(layer), self.words[i, :, 0]) for i, layer in enumerate(self.layers)]
        head = row("reads", self.pieces, "th") + row("model", self.model_words[:, 0])
        return f"<table>{head}{''.join(reversed(lines))}</table>"
