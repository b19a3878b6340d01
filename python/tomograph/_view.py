"""The viewer in a notebook's cell."""

from __future__ import annotations

import atexit
import html
import os
import secrets
import weakref
from typing import Any

import numpy as np

from . import _core
from ._errors import InputError
from ._runs import Run, folder_of, open
from ._table import Table


class View:
    """A viewer that serves on this machine's own address, to those who have its token, until it is closed. In a
    notebook it shows itself; elsewhere open `url` in a browser. What is selected in the page comes back as `selection`."""

    def __init__(self, core: Any, height: int) -> None:
        self._core = core
        self._height = height
        _open.add(self)

    @property
    def url(self) -> str:
        return self._core.url

    @property
    def selection(self) -> np.ndarray:
        """Rows that are selected in the page, by lasso or otherwise: int64, ascending; of the projection that the page
        shows. Empty before anything is selected."""
        found = self._core.selection
        return np.zeros(0, np.int64) if found is None else found[2]

    @property
    def projection(self) -> str | None:
        """Name of the projection that the page shows, which `selection` counts rows of; None before a page was opened."""
        found = self._core.selection
        return None if found is None else found[1]

    @property
    def selected(self) -> Table:
        """Who the selected rows are: component, layer, position, token, label, norm, piece, …; without columns before a
        page was opened. Errors: FileError where the projection is gone or was never saved."""
        found = self._core.selection
        if found is None:
            return Table({})
        folder, name, rows = found
        with open(folder) as run:
            return run.projection(name).labels.take(rows)

    def close(self) -> None:
        self._core.close()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"View at {self.url}"

    def _repr_html_(self) -> str:
        url = html.escape(self.url, quote=True)
        return (
            f'<iframe src="{url}" width="100%" height="{self._height}" style="border:0" '
            f'title="tomograph"></iframe><p><a href="{url}" target="_blank" rel="noopener">in a tab of its own</a></p>'
        )


_open: weakref.WeakSet[View] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for view in list(_open):
        view.close()


def view(
    run: Run | str | os.PathLike[str], other: Run | str | os.PathLike[str] | None = None, *, height: int = 640,
    port: int = 0,
) -> View:
    """Look at a run, a study or two runs to compare, as `tomograph view`. Errors: FileError where there is nothing to
    see; InputError where the port is taken or the package was built without the viewer."""
    if not hasattr(_core, "view"):
        raise InputError("there is no viewer: the package was built with TOMOGRAPH_VIEWER=OFF; build it anew with it")
    folders = [folder_of(run)] + ([] if other is None else [folder_of(other)])
    return View(_core.view(folders, port, secrets.token_hex(16)), height)


def write_report(run: Run | str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """The viewer of a run or study as one HTML file that needs no server."""
    if not hasattr(_core, "write_report"):
        raise InputError("there is no viewer: the package was built with TOMOGRAPH_VIEWER=OFF; build it anew with it")
    _core.write_report(folder_of(run), os.fspath(out))
