"""Findings of a run, and what moved between two."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import _core
from ._progress import Progress, reporting
from ._runs import Run, opened
from ._table import Table, records
from ._words import Words, commas


class Report(Mapping[str, "dict[str, Any]"]):
    """Findings by name, each {"effect", "interval", "null", "p", "verdict", …} as `tomograph measure --json` has it;
    beside them outliers, first_tokens, tables, notes and how it was measured. docs/measures.md says what each
    number means."""

    def __init__(self, json: dict[str, Any]) -> None:
        self.json = json
        self.outliers = json.get("outliers", [])
        self.first_tokens = json.get("first_tokens", [])
        self.tables: dict[str, Any] = json.get("tables", {})
        self.notes: list[str] = json.get("notes", [])
        self.how: dict[str, Any] = json.get("how", {})
        self._findings = {finding["name"]: finding for finding in json["findings"]}

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._findings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._findings)

    def __len__(self) -> int:
        return len(self._findings)

    @property
    def table(self) -> Table:
        """One row a finding."""
        return records(list(self._findings.values()))

    def to_pandas(self) -> Any:
        return self.table.to_pandas()

    def __repr__(self) -> str:
        held = [name for name, finding in self._findings.items() if finding.get("verdict") == "holds"]
        return f"Report of {len(self)} findings; {len(held)} hold: {', '.join(held) or 'none'}"

    def _repr_html_(self) -> str:
        def number(value: Any) -> str:
            return "–" if value is None else f"{value:.3g}" if isinstance(value, (int, float)) else html.escape(str(value))

        def interval(value: Any) -> str:
            return "–" if not value else f"{number(value[0])} to {number(value[1])}"

        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{number(f.get('effect'))}</td><td>{interval(f.get('interval'))}</td>"
            f"<td>{number(f.get('null'))}</td><td>{number(f.get('p'))}</td><td>{html.escape(str(f.get('verdict', '')))}</td></tr>"
            for name, f in self._findings.items()
        )
        head = "".join(f"<th>{word}</th>" for word in ("finding", "effect", "interval", "null", "p", "verdict"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def measure(
    run: Run | str | os.PathLike[str],
    *,
    twins: Iterable[Run | str | os.PathLike[str]] = (),
    rope_off_run: Run | str | os.PathLike[str] | None = None,
    rope_dose_runs: Iterable[Run | str | os.PathLike[str]] = (),
    context_run: Run | str | os.PathLike[str] | None = None,
    positions_run: Run | str | os.PathLike[str] | None = None,
    repeat_run: Run | str | os.PathLike[str] | None = None,
    planted_run: Run | str | os.PathLike[str] | None = None,
    reference: Run | str | os.PathLike[str] | None = None,
    fdr: float = 0.05,
    only: Words = None,
    rows: int = 4000,
    bootstrap: int = 100,
    seed: int = 42,
    threads: int = 0,
    save: bool = False,
    progress: Progress = True,
) -> Report:
    """Every finding of a run as a number with its interval and its null, as `tomograph measure`. Numbers that cannot be
    had are None.

    Other runs of the same model, which some findings need or are held against:
        twins: of untrained twins, on the same prompts.
        rope_off_run, rope_dose_runs, context_run, planted_run: of the same text, captured with rope_off=True, other
            values of rope_frequency, a short context, plant_start.
        positions_run, repeat_run: of kind="positions" and of one token repeated.
        reference: of ordinary text; outliers are what it does not account for, at a false discovery rate of fdr.
    only: the names of the findings that are wanted, and no outliers: faster. rows: of a site, for what compares rows.
    save: also into the run's folder, without figures.

    Errors: InputError where another run does not fit, or a finding is not known.
    """

    def core(other: Run | str | os.PathLike[str] | None) -> _core.Run | None:
        return None if other is None else opened(other)._core

    with reporting(progress) as report:
        return Report(
            _core.measure(
                opened(run)._core,
                twins=[opened(twin)._core for twin in twins],
                rope_off=core(rope_off_run),
                rope_doses=[opened(dose)._core for dose in rope_dose_runs],
                context=core(context_run),
                positions=core(positions_run),
                repeat=core(repeat_run),
                planted=core(planted_run),
                reference=core(reference),
                fdr=fdr,
                only=[name for name in commas(only).split(",") if name],
                rows=rows,
                bootstrap=bootstrap,
                seed=seed,
                threads=threads,
                save=save,
                report=report,
            )
        )


class Comparison:
    """How far each site has moved from run a to run b: sites (a table), ranking (layers, most moved first),
    common_tokens, notes."""

    def __init__(self, json: dict[str, Any]) -> None:
        self.json = json
        self.common_tokens = int(json["common_tokens"])
        self.notes: list[str] = json["notes"]
        self.sites = records(json["sites"])
        self.ranking = records(json["ranking"])

    def __repr__(self) -> str:
        return f"Comparison of {self.json['a']} and {self.json['b']}: {self.sites.n_rows} sites, {self.common_tokens} tokens"

    def _repr_html_(self) -> str:
        return self.sites._repr_html_()


def compare(
    a: Run | str | os.PathLike[str],
    b: Run | str | os.PathLike[str],
    *,
    rows: int = 4000,
    bootstrap: int = 100,
    seed: int = 42,
    threads: int = 0,
    progress: Progress = True,
) -> Comparison:
    """What moved between two runs that read the same text. Errors: InputError where the texts differ or no site is
    common."""
    with reporting(progress) as report:
        return Comparison(_core.compare(opened(a)._core, opened(b)._core, rows, seed, bootstrap, threads, report))
