"""Pure numbers: arrays in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._errors import InputError


def _matrix(values: Any, what: str, dtype: Any = np.float32) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what} is an array of {array.dtype}; it is one of numbers")
    if array.ndim != 2:
        raise InputError(f"{what} has {array.ndim} dimensions; it is [n_rows, n_columns]")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=dtype)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise InputError(f"row {int(np.argmin(finite))} of {what} holds NaN or Inf; leave that row out")
    return array


def _vector(values: Any, what: str) -> np.ndarray:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"{what} is a list of finite numbers, [n]")
    return array


def _same_rows(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = _matrix(x, "x"), _matrix(y, "y")
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} rows and y has {len(y)}; both describe the same rows")
    return x, y


def cka(x: Any, y: Any) -> float:
    """Debiased linear centred kernel alignment of two descriptions x [n, d_x], y [n, d_y] of the same rows. 1:
    equal up to rotation, shift and scale; 0 on average where nothing is shared. NaN for fewer than 4 rows.

    Errors: InputError for other shapes, NaN or Inf. Sources: Song et al. (2012), "Feature selection via dependence
    maximization"; Kornblith et al. (2019), "Similarity of neural network representations revisited".
    """
    x, y = _same_rows(x, y)
    return _core.cka(x, y)


class ShiftedCka(NamedTuple):
    value: float
    shifted: float
    p: float


def shifted_cka(x: Any, y: Any, *, threads: int = 0) -> ShiftedCka:
    """cka() of two curves x [n, d_x], y [n, d_y], a row a place in order, with 97.5 % of what it is when one is
    shifted along itself, and the chance of such a value among the shifts. At least 16 places.

    Errors: InputError as cka().
    """
    x, y = _same_rows(x, y)
    if len(x) < 16:
        raise InputError(f"{len(x)} places are too few to be shifted; at least 16 are needed")
    return ShiftedCka(*_core.shifted_cka(x, y, threads))


def procrustes(x: Any, y: Any) -> float:
    """Orthogonal Procrustes distance of x [n, d_x] and y [n, d_y], each centred and of Frobenius norm 1: what is
    left after the best rotation, squared. 0: equal up to rotation, shift and scale; 2: nothing shared.

    Errors: InputError as cka(). Source: Williams et al. (2021), "Generalized shape metrics on neural
    representations".
    """
    x, y = _same_rows(x, y)
    return _core.procrustes(x, y)


class SubspaceOverlap(NamedTuple):
    value: float
    random: float


def subspace_overlap(a: Any, b: Any) -> SubspaceOverlap:
    """Share of the smaller of two subspaces that lies in the larger, from orthonormal bases a [k_a, d] and
    b [k_b, d], and what two random ones would share. 0: orthogonal; 1: contained.

    Errors: InputError where the rows are not orthonormal or their widths differ.
    """
    a, b = _matrix(a, "a", np.float64), _matrix(b, "b", np.float64)
    if a.shape[1] != b.shape[1] or len(a) == 0 or len(b) == 0:
        raise InputError(f"bases of shapes {a.shape} and {b.shape} span no subspaces of one space")
    for name, basis in (("a", a), ("b", b)):
        if not np.allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-3):
            raise InputError(f"the rows of {name} are not orthonormal; numpy.linalg.qr(rows.T)[0].T makes them so")
    return SubspaceOverlap(*_core.subspace_overlap(a, b))


class Clouds(NamedTuple):
    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float


def clouds(a: Any, b: Any) -> Clouds:
    """How far apart two clouds of rows a [n_a, d], b [n_b, d] lie for the size that they have: silhouette by
    cosine distance (1: apart, 0: one cloud), Davies-Bouldin and Calinski-Harabasz by euclidean distance, as
    sklearn.metrics has them. NaN where a cloud has fewer than 2 rows.

    Errors: InputError where widths differ. Sources: Rousseeuw (1987); Davies & Bouldin (1979); Calinski &
    Harabasz (1974).
    """
    a, b = _matrix(a, "a"), _matrix(b, "b")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"clouds in {a.shape[1]} and in {b.shape[1]} dimensions cannot be compared")
    return Clouds(*_core.clouds(a, b))


def participation_ratio(variances: Any) -> float:
    """How many dimensions a spectrum of variances [k] uses: (sum)^2 / sum of squares; k equal ones give k.

    Source: Gao et al. (2017), "A theory of multineuronal dimensionality, dynamics and measurement".
    """
    return _core.participation_ratio(_vector(variances, "variances"))


def entropy_rank(variances: Any) -> float:
    """exp of the entropy of the variances' [k] shares; k equal ones give k.

    Source: Roy & Vetterli (2007), "The effective rank".
    """
    return _core.entropy_rank(_vector(variances, "variances"))


def _nearest(rows: np.ndarray, groups: Any, k: int, threads: int) -> np.ndarray:
    if len(rows) <= k:
        raise InputError(f"{len(rows)} rows have not {k} neighbours each")
    if groups is not None:
        groups = np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int32)
        if groups.shape != (len(rows),):
            raise InputError(f"groups has the shape {groups.shape}; it is one number a row, [{len(rows)}]")
        return _core.nearest_of_other_groups(rows, groups, k, threads)
    index = _core.make_index(rows, "euclidean", "exact", 1.0, 0, threads, None)
    return index.neighbors(k, None)[0]


def twonn(rows: Any, *, groups: Any = None, threads: int = 0) -> float:
    """Intrinsic dimension of rows [n, d] by TwoNN, from the ratio of each row's two nearest distances. groups
    [n]: neighbours are looked for in other groups only (sequences: neighbours in a text are near because they
    are neighbours). Rows that have an equal are left out.

    Errors: InputError for fewer than 3 rows. Source: Facco et al. (2017), "Estimating the intrinsic dimension of
    datasets by a minimal neighborhood information"; as skdim.id.TwoNN.
    """
    return _core.two_nn(_nearest(_matrix(rows, "rows"), groups, 2, threads))


def mle_dimension(rows: Any, *, k: int = 20, groups: Any = None, threads: int = 0) -> float:
    """Intrinsic dimension of rows [n, d] by maximum likelihood from k nearest distances. groups: as twonn().

    Errors: InputError for k rows or fewer. Sources: Levina & Bickel (2004); MacKay & Ghahramani (2005); as
    skdim.id.MLE.
    """
    if k < 2:
        raise InputError(f"k is {k}; at least 2 neighbours are needed")
    return _core.mle_dimension(_nearest(_matrix(rows, "rows"), groups, k, threads))


@dataclass(frozen=True)
class Helix:
    """How a curve turns about an axis: `shape` is helix, circle, several, wave, line or none; `p` the chance of
    such a coil in random curves; `turns` net turns about its middle. docs/measures.md describes the others."""

    shape: str
    words: str
    p: float
    p_by_kind: list[float]
    p_turning: float
    turning: float
    chance_turning: float
    share: float
    frequency: float
    turns: float
    one_way: float
    roundness: float
    rise: float
    p_axis: float
    line_r2: float
    recurrence: float
    recurrence_lag: float
    variance_ratio: list[float]
    lines: list[tuple[float, float]]
    points: int
    why_not: str

    def __repr__(self) -> str:
        return f"Helix({self.shape}: {self.words or self.why_not})"


def helix(
    curve: Any, *, replicates: int = 199, seed: int = 42, level: float = 0.025, threads: int = 0
) -> Helix:
    """Whether a curve [n, d], one row a place in order, is a helix, against random walks and smooth random curves
    of its own spread, noise and memory. p cannot be below 1 / (replicates + 1). Fewer than 32 points: shape
    "none" and the reason in why_not. Of a model's position table, comparable_positions() says which rows are
    places among others.

    Errors: InputError for another shape, NaN or Inf. Source: Mooers (1973); Antognini & Sohl-Dickstein (2018).
    """
    if replicates < 0:
        raise InputError(f"replicates is {replicates}; it is 0 or more")
    return Helix(**_core.helix(_matrix(curve, "curve"), replicates, seed, level, threads))


def comparable_positions(table: Any) -> tuple[slice, list[str]]:
    """Rows of a position table [n, d] that can be compared, as a slice, and why the others cannot: the first is no
    place among others, and some at the end may never have been trained."""
    first, count, left_out = _core.comparable_positions(_matrix(table, "table"))
    return slice(first, first + count), left_out


class Lattice(NamedTuple):
    score: float
    first: int
    second: int
    n_points: int


def lattice(points: Any, *, most: int = 1000, seed: int = 42) -> Lattice:
    """Whether points [n, k] form a lattice in two of their first three components: the height of the second Bragg
    peak, 0 to 1. NaN for fewer than 16 points.

    Source: the structure factor of crystallography; Torquato (2018), "Hyperuniform states of matter".
    """
    return Lattice(*_core.lattice(_matrix(points, "points", np.float64), most, seed))


@dataclass(frozen=True)
class Anisotropy:
    raw: float
    centred: float
    without_rogue: float
    rogue: list[int]
    rogue_share: float


def anisotropy(rows: Any) -> Anisotropy:
    """Mean cosine of all pairs of rows [n, d]: raw, with the mean of all rows taken away, and without the three
    coordinates that add most to it (`rogue`).

    Errors: InputError for fewer than 2 rows or 4 coordinates. Sources: Ethayarajh (2019), "How contextual are
    contextualized word representations?"; Timkey & van Schijndel (2021), "All bark and no bite".
    """
    rows = _matrix(rows, "rows")
    if rows.shape[0] < 2 or rows.shape[1] < 4:
        raise InputError(f"rows of shape {rows.shape}; at least 2 rows of 4 coordinates are needed")
    return Anisotropy(**_core.anisotropy(rows))


@dataclass(frozen=True)
class MassiveCoordinates:
    coordinates: list[int]
    shares: list[float]
    top_share: float
    half: int


def massive_coordinates(rows: Any) -> MassiveCoordinates:
    """Coordinates of rows [n, d] that carry at least 2 % of the squared norm and ten times their even share, largest
    first; the share of the top hundredth; and how few carry half.

    Source: Sun et al. (2024), "Massive activations in large language models".
    """
    array = _matrix(rows, "rows")
    if len(array) == 0:
        raise InputError("there are no rows")
    return MassiveCoordinates(**_core.massive_coordinates(np.square(array, dtype=np.float64).mean(axis=0)))


@dataclass(frozen=True)
class MapQuality:
    trustworthiness: float
    neighbor_recall: float
    n_sampled: int
    k: int


def map_quality(
    rows: Any, points: Any, *, metric: str = "euclidean", k: int = 15, sample: int = 5000, seed: int = 0,
    threads: int = 0,
) -> MapQuality:
    """What to believe of a map: points [n, dims] of rows [n, d] (an array or a run's selection), on a seeded sample.
    trustworthiness as sklearn.manifold.trustworthiness; neighbor_recall: share of each row's k nearest in space
    that are among its k nearest on the map.

    Errors: InputError where the numbers of rows differ or are below 4.
    """
    from ._rows import Selection

    core: Any = rows._core if isinstance(rows, Selection) else _matrix(rows, "rows")
    return MapQuality(**_core.measure_quality(core, _matrix(points, "points"), metric, k, sample, seed, threads))
