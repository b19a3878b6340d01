"""How long work is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Union

Report = Callable[[str, int, int, str], Any]
Progress = Union[bool, Report]


@contextmanager
def reporting(progress: Progress) -> Iterator[Report | None]:
    """What the core calls while it works: `progress` itself where it is a function of (task, done, total,
    unit); for True a bar of tqdm's, where tqdm is installed; for False nothing."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield None
        return
    try:
        from tqdm.auto import tqdm  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        yield None
        return
    bar: Any = None

    def show(task: str, done: int, total: int, unit: str) -> None:
        nonlocal bar
        if bar is None or bar.desc != task:
            if bar is not None:
                bar.close()
            bar = tqdm(total=total, unit=" " + unit, leave=False)
            bar.desc = task
        bar.n = done
        bar.refresh()

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
