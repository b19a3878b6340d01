"""A site's vectors over several shards, and selections of a run's vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from ._errors import InputError
from ._table import Table

if TYPE_CHECKING:
    from ._runs import Run


def widened(bits: np.ndarray) -> np.ndarray:
    """bfloat16, given as uint16, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Rows:
    """A site's vectors, [n_rows, ...], where no single array can show them: they lie in several shards, or are
    bfloat16, which NumPy does not know. Nothing is read before it is asked for. An index or slice within one
    shard of float16 or float32 is a view, all else a copy; np.asarray() reads everything."""

    def __init__(self, run: Run, site: str, shape: tuple[int, ...], bounds: list[tuple[int, int]]) -> None:
        self._run = run
        self.site = site
        self.shape = (bounds[-1][1] if bounds else 0, *shape)
        self._bounds = bounds
        # Where float16 does not hold a shard's values, that shard and all after it have a wider type.
        kept = [shard for shard, (begin, end) in enumerate(bounds) if end > begin]
        types = {run._core.stored(site, shard)[0] for shard in (kept[:1] + kept[-1:])}
        self.dtype = np.dtype(np.float16 if types == {"F16"} else np.float32)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def n_shards(self) -> int:
        return len(self._bounds)

    def __len__(self) -> int:
        return self.shape[0]

    def shard(self, number: int) -> np.ndarray:
        """The vectors of one shard: a read-only view of the mapped file, except of bfloat16, which is
        widened."""
        name, array, begin, end = self._run._core.stored(self.site, number)
        if array is None:
            return self._run._core.read(self.site, begin, end)
        return widened(array) if name == "BF16" else array

    def _between(self, begin: int, end: int) -> np.ndarray:
        parts = [
            self.shard(number)[max(begin - low, 0) : end - low]
            for number, (low, high) in enumerate(self._bounds)
            if low < min(high, end) and high > begin
        ]
        parts = [part if part.dtype == self.dtype else part.astype(self.dtype) for part in parts]
        if not parts:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def blocks(self, rows: int = 4096) -> Iterator[np.ndarray]:
        """All rows from the first on, so many at a time."""
        for begin in range(0, len(self), rows):
            yield self._between(begin, min(begin + rows, len(self)))

    def __getitem__(self, index: Any) -> np.ndarray:
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(first, slice):
            begin, end, step = first.indices(len(self))
            if step < 0:
                picked = self._pick(np.arange(begin, end, step))
            else:
                picked = self._between(begin, max(begin, end))[::step]
            return picked[(slice(None), *rest)] if rest else picked
        if isinstance(first, (int, np.integer)):
            row = int(first) + (len(self) if first < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(f"row {first} of {len(self)}")
            one = self._between(row, row + 1)[0]
            return one[rest] if rest else one
        rows = np.asarray(first)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise IndexError(f"a mask of shape {rows.shape} for {len(self)} rows")
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or (len(rows) > 0 and rows.dtype.kind not in "iu"):
            raise IndexError("rows are chosen by a number, a slice, a list of numbers or a mask")
        picked = self._pick(rows)
        return picked[(slice(None), *rest)] if rest else picked

    def _pick(self, rows: np.ndarray) -> np.ndarray:
        rows = rows.astype(np.int64)
        rows = np.where(rows < 0, rows + len(self), rows)
        if len(rows) > 0 and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"a row outside the {len(self)} that there are")
        out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        for number, (low, high) in enumerate(self._bounds):
            here = (rows >= low) & (rows < high)
            if here.any():
                out[here] = self.shard(number)[rows[here] - low]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False and self.n_shards != 1:
            raise ValueError("rows of several shards are no array without a copy")
        array = self._between(0, len(self))
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Rows of {self.site}: {self.shape} {self.dtype} in {self.n_shards} shards"


class Selection:
    """Selected vectors of a run and who they are. `rows, labels = run.select(...)` takes it apart; estimators
    take it whole and read it block by block."""

    def __init__(self, run: Run, core: _core.Selected) -> None:
        self._run = run
        self._core = core
        self._rows: np.ndarray | None = None
        self._labels: Table | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return (self._core.n_rows, self._core.dim)

    @property
    def n_rows(self) -> int:
        return self._core.n_rows

    @property
    def n_candidates(self) -> int:
        """How many rows there were before `rows=` cut them."""
        return self._core.n_candidates

    @property
    def rows(self) -> np.ndarray:
        """All selected vectors, float32 [n_rows, dim]; read on first use and kept."""
        if self._rows is None:
            rows: np.ndarray = self._core.read(0, self.n_rows)
            rows.flags.writeable = False
            self._rows = rows
        return self._rows

    def read(self, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end), float32. Errors: InputError outside the rows that there are."""
        if not 0 <= begin <= end <= self.n_rows:
            raise InputError(f"no rows {begin} to {end}: the selection has {self.n_rows}")
        return self._core.read(begin, end)

    def blocks(self, rows: int = 4096) -> Iterator[np.ndarray]:
        """All rows from the first on, so many at a time."""
        for begin in range(0, self.n_rows, rows):
            yield self._core.read(begin, min(begin + rows, self.n_rows))

    @property
    def labels(self) -> Table:
        """Who each row is: component, layer, position, token (place in run.tokens), token_id, piece, sequence,
        label, norm, and the run's further columns. -1 and "" stand for what an average has none of."""
        if self._labels is None:
            self._labels = self._run._label_table(self._core.labels())
        return self._labels

    def describe(self, row: int) -> str:
        """Site, token, sequence and position of one row, in words."""
        if not 0 <= row < self.n_rows:
            raise InputError(f"no row {row}: the selection has {self.n_rows}")
        return self._core.describe(row)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        rows = self.rows
        if copy:
            return np.array(rows, dtype=dtype)
        return rows if dtype is None else rows.astype(dtype, copy=False)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.rows, self.labels))

    def __repr__(self) -> str:
        return f"Selection of {self.shape[0]} rows of {self.shape[1]} from {self._run.path}"
