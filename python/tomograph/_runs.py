"""Runs: what was captured, as arrays and tables."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._errors import FileError, InputError, about
from ._progress import Progress, reporting
from ._rows import Rows, Selection
from ._table import Table, strings
from ._words import Span, Words, selection_words, umap_options

if TYPE_CHECKING:
    from ._findings import Report


class Site(NamedTuple):
    """A place in the model: its name, the shape of its value for one token, and whether the run keeps its
    vectors (or norms and means only)."""

    name: str
    shape: tuple[int, ...]
    vectors: bool


@dataclass(frozen=True)
class Moments:
    """First and second moments of rows: count, mean [d] and covariance [d, d] (over count - 1), float64."""

    count: int
    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Projection:
    """Rows of a run in few dimensions: points [n, dims] float32, who they are, how they were made (`info`, as
    in the run's projections/NAME.json) and, of a PCA, its basis (mean, components, explained_variance)."""

    name: str
    points: np.ndarray
    labels: Table
    info: dict[str, Any]
    basis: dict[str, np.ndarray] | None = None

    @property
    def method(self) -> str:
        return str(self.info.get("method", "?"))

    @property
    def notes(self) -> list[str]:
        """What to know of it, a sentence each."""
        return list(self.info.get("notes", []))

    def __repr__(self) -> str:
        return f"Projection {self.name!r} ({self.method}): {self.points.shape[0]} points in {self.points.shape[1]} dimensions"


def opened(run: Run | str | os.PathLike[str]) -> Run:
    """A run that is at hand, or the one in a folder."""
    return run if isinstance(run, Run) else open(run)


def folder_of(run: Run | str | os.PathLike[str]) -> str:
    """Where a run is, at hand or not."""
    return os.fspath(run.path if isinstance(run, Run) else run)


def open(path: str | os.PathLike[str]) -> Run:  # noqa: A001  (the word that h5py, PIL and safetensors use)
    """Open a run folder for reading.

    Errors: MissingFileError where there is nothing; FileError where `path` is no run, is a study (a folder of
    runs), was written by another version of the format, or is damaged.
    """
    try:
        return Run(_core.open_run(os.fspath(path)))
    except FileError as error:
        raise about(path, error) from None


class Run(Mapping[str, Any]):
    """A run: a mapping from the names of sites whose vectors are kept to their vectors. Safe from several
    threads. Use it in a with block, or close() it; arrays that were taken from it stay valid."""

    def __init__(self, core: _core.Run) -> None:
        self._core = core
        self._sites = {name: Site(name, tuple(shape), vectors) for name, shape, vectors in core.sites()}
        self._tokens: Table | None = None
        self._bounds: list[tuple[int, int]] | None = None  # rows of each shard
        self._path = Path(core.path)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the run; using it afterwards is an InputError."""
        self._core.close()

    @property
    def closed(self) -> bool:
        return self._core.closed

    @property
    def path(self) -> Path:
        return self._path

    @property
    def json(self) -> dict[str, Any]:
        """run.json: docs/run-format.md describes every key."""
        return self._core.json

    @property
    def complete(self) -> bool:
        """False after a capture that was stopped or killed: the run is then that of what it has."""
        return self._core.complete

    @property
    def model(self) -> dict[str, Any]:
        """What the model's header says of it."""
        return self.json["model"]

    @property
    def d_model(self) -> int:
        return self._core.d_model

    @property
    def n_layers(self) -> int:
        return self._core.n_layers

    @property
    def n_tokens(self) -> int:
        return self._core.n_tokens

    @property
    def n_rows(self) -> int:
        """Tokens whose vectors are kept."""
        return self._core.n_rows

    @property
    def sites(self) -> list[Site]:
        """All sites, in network order."""
        return list(self._sites.values())

    # --- vectors ---

    def __getitem__(self, site: str) -> np.ndarray | Rows:
        """A site's vectors, [n_rows, ...]. Of one shard of float16 or float32: a read-only view of the mapped
        file, no copy. Else (a study's `resid_mid`, which is added up, too) a Rows, which is sliced like an array and reads
        what is asked for."""
        _, shape, vectors = self._site(site)
        if not vectors:
            raise InputError(
                f"no vectors of {site} are kept: the run holds its norms and means only; capture it again with its vectors"
            )
        if self._bounds is None:
            self._bounds = [(begin, end) for begin, end in (shard["rows"] for shard in self.json["shards"])]
        bounds = self._bounds
        if len(bounds) == 1:
            name, array, _, _ = self._core.stored(site, 0)
            if array is not None and name != "BF16":
                return array
        return Rows(self, site, shape, bounds)

    def __iter__(self) -> Iterator[str]:
        return (site.name for site in self._sites.values() if site.vectors)

    def __len__(self) -> int:
        return sum(site.vectors for site in self._sites.values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._sites and self._sites[name].vectors

    def _site(self, name: str) -> Site:
        if name in self._sites:
            return self._sites[name]
        names = list(self._sites)
        raise InputError(f"no site {name} in {self.path}: it has {len(names)} sites, {names[0]} to {names[-1]}")

    @property
    def rows(self) -> np.ndarray:
        """Place in `tokens` of each stored vector, [n_rows]."""
        return self._core.rows()

    def norms(self, site: str) -> np.ndarray:
        """Norm of every token at a site, float32 [n_tokens]; kept of all sites."""
        return self._core.norms(self._site(site).name)

    def means(self, site: str) -> np.ndarray:
        """Mean over sequences at each position, float32 [longest sequence, width]; kept of all sites."""
        return self._core.means(self._site(site).name)

    def select(
        self,
        components: Words = None,
        layers: Span = None,
        positions: Span = None,
        *,
        sequences: Span = None,
        labels: Words = None,
        where: Mapping[str, Any] | Words = None,
        normalize: str | None = None,
        mean: Words = None,
        rows: int = 0,
        seed: int = 42,
        layer_order: str = "given",
    ) -> Selection:
        """Choose vectors, in the command line's words.

        components: "attn_out,mlp_out" or a list; None: all of the model's width.
        layers, positions, sequences: "2:9", a number, a slice; negative ones count from the end.
        labels, where: only tokens with these labels; where={"role": ["user"]} for further columns.
        normalize: "unit" or "layernorm". mean: average over "samples", "positions", "layers" or several.
        rows: at most so many, drawn by seed.

        Errors: InputError where a word is not known or nothing is left.
        """
        words = selection_words(
            components=components,
            layers=layers,
            positions=positions,
            sequences=sequences,
            labels=labels,
            where=where,
            normalize=normalize,
            mean=mean,
            rows=rows,
            seed=seed,
            layer_order=layer_order,
        )
        return Selection(self, _core.select(self._core, words))

    def moments(self, *, progress: Progress = False, **words: Any) -> Moments:
        """Moments of a selection, in one pass and without holding it. `words` are select()'s."""
        with reporting(progress) as report:
            count, mean, comoment = _core.moments(self.select(**words)._core, report)
        return Moments(count, mean, comoment / max(count - 1, 1))

    # --- who they are ---

    @property
    def tokens(self) -> Table:
        """Every token, in the order in which the model read them: token_id, position, sequence, label, row (of
        its vector; -1: not kept), the run's further columns (role, turn, part, …), its scores where they were
        kept, and piece: its text, in which a broken character is U+FFFD; `pieces` has the bytes."""
        if self._tokens is None:
            columns = dict(self._core.token_columns())
            columns["label"] = self._named(columns["label"], self._core.labels)
            for name, words in self._core.column_words().items():
                if words:
                    columns[name] = self._named(columns[name], words)
            for name in self._core.scores:
                columns[name] = self._core.score(name)
            columns["piece"] = strings([piece.decode("utf-8", "replace") for piece in self.pieces])
            self._tokens = Table(columns)
        return self._tokens

    @property
    def pieces(self) -> list[bytes]:
        """The bytes of every token; a character may lie across several."""
        return self._core.pieces()

    @staticmethod
    def _named(index: np.ndarray, words: list[str]) -> np.ndarray:
        return strings(["", *words])[np.asarray(index) + 1]

    def _label_table(self, columns: dict[str, np.ndarray]) -> Table:
        columns = dict(columns)
        columns["component"] = np.array(_core.component_names())[columns["component"]]
        columns["label"] = self._named(columns["label"], self._core.labels)
        token = columns["token"]
        tokens = self.tokens
        known = {"token_id", "position", "sequence", "label", "row"}
        for name in tokens:
            if name in known:
                continue
            values = tokens[name]
            blank: Any = "" if values.dtype == object else np.nan if values.dtype.kind == "f" else -1
            columns[name] = np.where(token >= 0, values[np.maximum(token, 0)], blank)
            if values.dtype == object:
                columns[name] = columns[name].astype(object)
        return Table(columns)

    # --- what was made of them ---

    @property
    def projections(self) -> list[str]:
        """Names of the projections that the run has."""
        return _core.projection_names(self._core)

    def _projection(self, parts: tuple[Any, ...]) -> Projection:
        name, points, labels, info, basis = parts
        return Projection(name, points, self._label_table(labels), info, basis)

    def projection(self, name: str) -> Projection:
        """One of them. Errors: FileError where there is no such one, or it is damaged."""
        return self._projection(_core.load_projection(self._core, name))

    def remove_projection(self, name: str) -> None:
        """Delete one. Errors: FileError where there is no such one, or the folder cannot be written."""
        _core.remove_projection(self._core, name)

    def pca(
        self,
        name: str | None = None,
        *,
        dims: int = 6,
        basis_of: str = "",
        from_moments: bool = False,
        center: bool = True,
        threads: int = 0,
        progress: Progress = True,
        **words: Any,
    ) -> Projection:
        """PCA of a selection, as `tomograph project`. `words` are select()'s. With a name it is saved in the
        run. basis_of: the name of an earlier one whose basis is used. from_moments: fit the axes to the moments
        that the run keeps, of all tokens of the sites chosen. Errors: as select(); a basis that does not fit; no
        moments; a folder that cannot be written."""
        with reporting(progress) as report:
            return self._projection(
                _core.project_pca(
                    self._core, name or "unsaved", selection_words(**words), dims, basis_of, from_moments, center,
                    threads, name is not None, report,
                )
            )

    def umap(
        self,
        name: str | None = None,
        *,
        metric: str = "cosine",
        pre_dims: int = 0,
        fit_rows: int = 100_000,
        fit_sample: str = "cover",
        seed: int = 42,
        progress: Progress = True,
        n_neighbors: int = 15,
        n_components: int = 2,
        min_dist: float = 0.1,
        spread: float = 1.0,
        n_epochs: int | None = None,
        negative_sample_rate: int = 5,
        repulsion_strength: float = 1.0,
        init: str = "multilevel",
        threads: int = 0,
        **words: Any,
    ) -> Projection:
        """UMAP of a selection, as `tomograph project --method umap`, to the same bytes. `words` are select()'s;
        with a name it is saved in the run. fit_sample: which rows are fitted where not all are, "cover" or
        "uniform"."""
        options = umap_options(
            n_neighbors=n_neighbors, n_components=n_components, metric=metric, min_dist=min_dist, spread=spread,
            n_epochs=n_epochs, learning_rate=1.0, negative_sample_rate=negative_sample_rate,
            repulsion_strength=repulsion_strength, init=init, seed=seed, threads=threads,
        )
        with reporting(progress) as report:
            return self._projection(
                _core.project_umap(
                    self._core, name or "unsaved", selection_words(seed=seed, **words), options, pre_dims, fit_rows,
                    fit_sample, name is not None, report,
                )
            )

    @property
    def findings(self) -> Report:
        """What measure() has saved in the run. Errors: FileError where it has not."""
        from ._findings import Report

        return Report(_core.load_findings(self._core))

    # --- for eyes ---

    def __repr__(self) -> str:
        if self.closed:
            return f"Run {self.path}, closed"
        return (
            f"Run {self.path}: {self._core.model_name}, {self.n_tokens} tokens, {len(self._sites)} sites, "
            f"{self.n_rows} rows of vectors"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"

    # A run is what it is, not what it holds.
    def __hash__(self) -> int:
        return object.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return self is other
