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

    from ._lens import Lens
    from ._table import Table

__all__ = ["category_color", "colormap", "component_color", "heat", "lens", "lines", "scatter"]


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


def _axes(ax: Axes | None, dims: int = 2) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6, 6), layout="constrained", subplot_kw={"projection": "3d"} if dims == 3 else {})[1]


def scatter(
    projection: Projection | Any,
    color: str | Any = "layer",
    *,
    dims: tuple[int, ...] = (0, 1),
    size: float = 4,
    means: bool = False,
    connect: bool = False,
    equal: bool | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A projection, or points [n, dims], as dots. color: a column of its labels (component, layer, position, label,
    sequence, norm, …), or values [n]; texts become categories. dims: which two or three, from 0; an `ax` for three has
    matplotlib's projection "3d". means: mark each category's mean. connect: join the points in the order of their rows.
    equal: one length for a unit on all axes; None: but of a PCA."""
    points = projection.points if isinstance(projection, Projection) else np.asarray(projection)
    if points.ndim != 2 or len(dims) not in (2, 3) or not all(0 <= dim < points.shape[1] for dim in dims):
        raise InputError(f"dimensions {dims} of points of shape {points.shape} cannot be drawn; give two or three, from 0")
    name = color if isinstance(color, str) else ""
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
    categories = values is not None and values.dtype.kind in "OUSb"
    if means and not categories:
        raise InputError("means are those of categories; colour by a column of texts, such as component or label")
    drawn: Any = _axes(ax, len(dims))
    places = [points[:, dim] for dim in dims]
    if connect:
        drawn.plot(*places, color="0.6", linewidth=0.5, zorder=0)
    if values is None:
        drawn.scatter(*places, s=size, c=category_color(0), linewidths=0)
    elif categories:
        for i, category in enumerate(dict.fromkeys(values.tolist())):
            here = values == category
            shade = component_color(category) if name == "component" else category_color(i)
            drawn.scatter(*(place[here] for place in places), s=size, c=shade, linewidths=0, label=str(category) or "none")
            if means:
                mean = ([float(np.nanmean(place[here]))] for place in places)
                drawn.scatter(*mean, s=90, c=shade, edgecolors="black", marker="X")
        drawn.legend(markerscale=3 if size < 20 else 1, frameon=False)
    else:
        dots = drawn.scatter(*places, s=size, c=values, cmap=colormap(), linewidths=0)
        drawn.figure.colorbar(dots, ax=drawn, label=name)
    method = projection.method if isinstance(projection, Projection) else ""
    word = {"pca": "PC", "umap": "UMAP"}.get(method, "dimension")
    for axis, dim in zip("xyz", dims):
        getattr(drawn, f"set_{axis}label")(f"{word} {dim + 1}")
    if method != "pca" if equal is None else equal:
        drawn.set_aspect("equal", adjustable="box" if len(dims) == 3 else "datalim")
    if title is not None:
        drawn.set_title(title)
    return drawn


def lens(lens: Lens, what: str = "kl", *, ax: Axes | None = None) -> Axes:
    """What layers would answer, by layer and in the order of the network: "kl" (nats), "rank" or "agrees" of the stream by
    both lenses, of attention and MLP outputs by the ridge lens, with the mean answer and twins as controls."""
    if what not in ("kl", "rank", "agrees"):
        raise InputError(f"a lens says no {what!r}; it says kl, rank and agrees")
    ax = _axes(ax)

    def line(table: Table, component: str, kind: str, **style: Any) -> None:
        here = (table["component"] == component) & (table["lens"] == kind)
        if here.any():
            ax.plot(table["layer"][here], table[what][here], **style)

    for component, name in (("resid_post", "stream"), ("attn_out", "attention"), ("mlp_out", "MLP")):
        line(lens.table, component, "ridge", color=component_color(component), label=f"{name}, ridge lens")
    line(lens.table, "resid_post", "logit", color=category_color(3), label="stream, logit lens")
    for number, twin in enumerate(lens.twins):
        line(twin, "resid_post", "ridge", color="0.5", linestyle=":", label="untrained twin" if number == 0 else None)
    if (mean := lens.mean_answer[what]) is not None:
        ax.axhline(mean, color="0.5", linestyle="--", label="mean answer")
    if what == "rank":
        ax.set_yscale("log")
    ax.set_xlabel("layer")
    ax.set_ylabel({"kl": "divergence from the answer, nats", "rank": "rank of the token that came", "agrees": "share that agrees"}[what])
    ax.legend(frameon=False)
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
