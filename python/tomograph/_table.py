"""Columns of equal length with names."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class Table(Mapping[str, np.ndarray]):
    """A table: a mapping from column names to NumPy arrays of one length. pandas, pyarrow and whatever reads
    Arrow's stream protocol (polars, duckdb) take it as theirs."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = {name: np.asarray(values) for name, values in columns.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """How many columns there are, as of any mapping; n_rows says how long they are."""
        return len(self._columns)

    @property
    def n_rows(self) -> int:
        return 0 if not self._columns else len(next(iter(self._columns.values())))

    def take(self, rows: Any) -> Table:
        """The same columns of some rows: an index array, a mask or a slice."""
        return Table({name: values[rows] for name, values in self._columns.items()})

    def to_pandas(self) -> Any:
        """A pandas DataFrame. Errors: ImportError where pandas is missing."""
        import pandas

        return pandas.DataFrame(self._columns)

    def to_arrow(self) -> Any:
        """A pyarrow Table. Errors: ImportError where pyarrow is missing."""
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return pyarrow.table({name: pyarrow.array(values.tolist()) if values.dtype == object else values
                              for name, values in self._columns.items()})

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _cells(self, row: int) -> list[str]:
        def shown(value: Any) -> str:
            if isinstance(value, (float, np.floating)):
                return "" if np.isnan(value) else f"{value:.4g}"
            return "" if value is None else str(value)

        return [shown(values[row]) for values in self._columns.values()]

    def __repr__(self) -> str:
        return f"Table of {self.n_rows} rows: {', '.join(self._columns)}"

    def _repr_html_(self) -> str:
        most = 20
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self._columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in self._cells(row)) + "</tr>"
            for row in range(min(self.n_rows, most))
        )
        more = f"<p>{most} of {self.n_rows} rows</p>" if self.n_rows > most else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def strings(values: list[Any]) -> np.ndarray:
    """An array of texts (objects): NumPy's own text type takes as much for each as for the longest."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def records(entries: list[dict[str, Any]]) -> Table:
    """A table of JSON objects: a column a key, in order of appearance. Numbers that are null become NaN."""
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    columns: dict[str, Any] = {}
    for name in names:
        values = [entry.get(name) for entry in entries]
        if values and all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values):
            if all(isinstance(v, int) for v in values):
                columns[name] = np.array(values)
            else:
                columns[name] = np.array([np.nan if v is None else v for v in values], dtype=float)
        else:
            columns[name] = strings(values)
    return Table(columns)
