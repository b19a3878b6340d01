"""tomograph: the latent geometry of language models, captured, reduced, measured, changed and shown.

    import tomograph as tg

    model = tg.Model("model.gguf")
    run = model.capture(["The whale is a mammal."], out="run")
    rows, labels = run.select("attn_out,mlp_out", layers="2:9")
    points = tg.UMAP(metric="cosine").fit_transform(rows)

docs/python.md describes everything.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import plot as plot
    from ._bridges import from_cache as from_cache
    from ._bridges import import_vectors as import_vectors
    from ._bridges import to_anndata as to_anndata
    from ._errors import Error as Error
    from ._errors import FileError as FileError
    from ._errors import InputError as InputError
    from ._errors import MissingFileError as MissingFileError
    from ._estimators import PCA as PCA
    from ._estimators import UMAP as UMAP
    from ._estimators import KNeighborsTransformer as KNeighborsTransformer
    from ._estimators import NearestNeighbors as NearestNeighbors
    from ._findings import Comparison as Comparison
    from ._findings import Report as Report
    from ._findings import compare as compare
    from ._findings import measure as measure
    from ._lens import Lens as Lens
    from ._lens import Reading as Reading
    from ._models import Answer as Answer
    from ._models import Model as Model
    from ._models import merge as merge
    from ._rows import Rows as Rows
    from ._rows import Selection as Selection
    from ._runs import Moments as Moments
    from ._runs import Projection as Projection
    from ._runs import Run as Run
    from ._runs import open as open
    from ._statistics import anisotropy as anisotropy
    from ._statistics import cka as cka
    from ._statistics import clouds as clouds
    from ._statistics import comparable_positions as comparable_positions
    from ._statistics import entropy_rank as entropy_rank
    from ._statistics import helix as helix
    from ._statistics import lattice as lattice
    from ._statistics import map_quality as map_quality
    from ._statistics import massive_coordinates as massive_coordinates
    from ._statistics import mle_dimension as mle_dimension
    from ._statistics import participation_ratio as participation_ratio
    from ._statistics import procrustes as procrustes
    from ._statistics import shifted_cka as shifted_cka
    from ._statistics import subspace_overlap as subspace_overlap
    from ._statistics import twonn as twonn
    from ._table import Table as Table
    from ._tools import Directions as Directions
    from ._tools import direction as direction
    from ._tools import quantize as quantize
    from ._tools import randomize as randomize
    from ._view import View as View
    from ._view import view as view
    from ._view import write_report as write_report

    __version__: str

# Where each name lives: a module is imported when one of its names is first used, so that importing tomograph
# costs next to nothing and scikit-learn is only loaded for the estimators.
_HOMES = {
    "_bridges": ["from_cache", "import_vectors", "to_anndata"],
    "_errors": ["Error", "FileError", "InputError", "MissingFileError"],
    "_estimators": ["PCA", "UMAP", "KNeighborsTransformer", "NearestNeighbors"],
    "_findings": ["Comparison", "Report", "compare", "measure"],
    "_lens": ["Lens", "Reading"],
    "_models": ["Answer", "Model", "merge"],
    "_rows": ["Rows", "Selection"],
    "_runs": ["Moments", "Projection", "Run", "open"],
    "_statistics": [
        "anisotropy", "cka", "clouds", "comparable_positions", "entropy_rank", "helix", "lattice", "map_quality",
        "massive_coordinates", "mle_dimension", "participation_ratio", "procrustes", "shifted_cka",
        "subspace_overlap", "twonn",
    ],
    "_table": ["Table"],
    "_tools": ["Directions", "direction", "quantize", "randomize"],
    "_view": ["View", "view", "write_report"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

# open is left out, so that `from tomograph import *` leaves Python's own.
__all__ = sorted([*_HOME_OF, "plot"])  # pyright: ignore[reportUnsupportedDunderAll]
__all__.remove("open")


def _load_core() -> Any:
    """The compiled module. libgomp reads how long its threads spin while they wait as it is loaded, and its own choice takes
    the processor from whoever else has work to do: the program waits as long."""
    chosen = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
    if not chosen:
        os.environ["GOMP_SPINCOUNT"] = "1500"
    try:
        return importlib.import_module("tomograph._core")
    finally:
        if not chosen:
            del os.environ["GOMP_SPINCOUNT"]


def __getattr__(name: str) -> Any:
    if name == "_core":
        return _load_core()
    if name == "plot":
        return importlib.import_module("tomograph.plot")
    if name == "__version__":
        value = _load_core().version
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(f"tomograph.{_HOME_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'tomograph' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
