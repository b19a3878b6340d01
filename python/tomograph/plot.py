"""Pictures with matplotlib, in the program's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from ._errors import InputError
from ._runs import Projection, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap

__all__ = ["category_color", "colormap", "component_color", "heat", "lines", "scatter"]


def _hex(color: int) -> str:
    return f"#{color:06X}"


def category_color(i: int) -> str:
    """The i-th colour for categories, "#RRGGBB"; the first seven are Okabe and Ito's."""
    if i < 0:
        raise InputError(f"there is no colour {i}; they count from 0")
    return _hex(_core.category_color(i))


def component_color(component: str) -> str:
    """A component's colour, the same in every figure."""
    return _hex(_core.component_color(component))


def colormap(name: str = "sequential") -> ListedColormap:
    """The program's "sequential" or "diverging" map for matplotlib."""
    from matplotlib.colors import ListedColormap

    if name not in ("sequential", "diverging"):
        raise InputError(f"no map is called {name!r}; there are sequential and diverging")
    return ListedColormap([_hex(_core.map_color(name == "diverging", i / 255)) for i in range(256)], name=f"tomograph-{name}")


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6, 6), layout="constrained")[1]


def scatter(
    projection: Projection | Any, color: str | Any = "layer", *, dims: tuple[int, int] = (0, 1), size: float = 4,
    ax: Axes | None = None,
) -> Axes:
    """A projection, or points [n, dims], as dots. color: a column of its labels (component, layer, position, label,
    sequence, norm, …), or values [n]; texts become categories. dims: which two, from 0."""
    points = projection.points if isinstance(projection, Projection) else np.asarray(projection)
    if points.ndim != 2 or not all(0 <= dim < points.shape[1] for dim in dims):
        raise InputError(f"dimensions {dims[0]} and {dims[1]} of points of shape {points.shape} cannot be drawn")
    title = color if isinstance(color, str) else ""
    if isinstance(color, str):
        if not isinstance(projection, Projection):
            values: Any = None
        elif color not in projection.labels:
            raise InputError(f"no label is called {color!r}; there are {', '.join(projection.labels)}")
        else:
            values = projection.labels[color]
    else:
        values = np.asarray(color)
        if values.shape != (len(points),):
            raise InputError(f"colours of shape {values.shape} for {len(points)} points")
    ax = _axes(ax)
    x, y = points[:, dims[0]], points[:, dims[1]]
    if values is None:
        ax.scatter(x, y, s=size, c=category_color(0), linewidths=0)
    elif values.dtype.kind in "OUSb":
        for i, name in enumerate(dict.fromkeys(values.tolist())):
            here = values == name
            shade = component_color(name) if title == "component" else category_color(i)
            ax.scatter(x[here], y[here], s=size, c=shade, linewidths=0, label=str(name) or "none")
        ax.legend(markerscale=3, frameon=False)
    else:
        dots = ax.scatter(x, y, s=size, c=values, cmap=colormap(), linewidths=0)
        ax.figure.colorbar(dots, ax=ax, label=title)
    method = projection.method if isinstance(projection, Projection) else ""
    word = {"pca": "PC", "umap": "UMAP"}.get(method, "dimension")
    ax.set_xlabel(f"{word} {dims[0] + 1}")
    ax.set_ylabel(f"{word} {dims[1] + 1}")
    if method != "pca":
        ax.set_aspect("equal", adjustable="datalim")
    return ax


def lines(values: Any, *, labels: Any = None, ax: Axes | None = None) -> Axes:
    """Curves [n_curves, n] or one [n], a colour each."""
    array = np.atleast_2d(np.asarray(values, dtype=float))
    ax = _axes(ax)
    for i, curve in enumerate(array):
        ax.plot(curve, color=category_color(i), label=None if labels is None else str(labels[i]))
    if labels is not None:
        ax.legend(frameon=False)
    return ax


def heat(run: Run, component: str = "resid_post", *, ax: Axes | None = None) -> Axes:
    """Mean norm over sequences of a component by layer and position, on a logarithmic scale."""
    from matplotlib.colors import LogNorm

    names = [site.name for site in run.sites if site.name.endswith("." + component)]
    if not names:
        raise InputError(f"the run has no {component}; it has {', '.join(sorted({s.name.split('.')[-1] for s in run.sites}))}")
    position = run.tokens["position"]
    count = np.bincount(position)
    table = np.stack([np.bincount(position, weights=run.norms(name)) / np.maximum(count, 1) for name in names])
    table = np.where(table > 0, table, np.nan)
    ax = _axes(ax)
    image = ax.imshow(table, aspect="auto", origin="lower", cmap=colormap(), norm=LogNorm())
    ax.figure.colorbar(image, ax=ax, label=f"norm of {component}")
    ax.set_xlabel("position")
    ax.set_ylabel("layer")
    return ax
