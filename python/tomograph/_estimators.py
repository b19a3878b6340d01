"""PCA, UMAP and nearest neighbours as scikit-learn has them. They pass its check_estimator (docs/python.md says
with which exceptions) and do without it where it is not installed."""

from __future__ import annotations

import numbers
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from ._errors import InputError
from ._rows import Selection
from ._words import umap_options

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
else:
    try:
        from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
        from sklearn.utils.validation import check_is_fitted, validate_data
    except ImportError:
        from ._plain import (
            BaseEstimator,
            ClassNamePrefixFeaturesOutMixin,
            TransformerMixin,
            check_is_fitted,
            validate_data,
        )

__all__ = ["PCA", "UMAP", "KNeighborsTransformer", "NearestNeighbors"]

_KEPT = [np.float32, np.float64, np.float16]  # read as they are; anything else becomes the first


def _rows(estimator: Any, X: Any, *, reset: bool, least: int = 1) -> Any:
    """What the core reads: a selection as it is, else an array that passed the usual checks, in its own type
    and layout."""
    if isinstance(X, Selection):
        if reset:
            estimator.n_features_in_ = X.shape[1]
            if hasattr(estimator, "feature_names_in_"):
                del estimator.feature_names_in_
        elif X.shape[1] != estimator.n_features_in_:
            raise InputError(
                f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input"
            )
        return X._core
    X = validate_data(estimator, X, reset=reset, dtype=_KEPT, ensure_min_samples=least)
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def _threads(n_jobs: int | None) -> int:
    """-1 and None: all. The result does not depend on it."""
    if n_jobs is None or n_jobs == -1:
        return 0
    if not isinstance(n_jobs, numbers.Integral) or n_jobs < 1:
        raise InputError(f"n_jobs is {n_jobs!r}; it is a number of threads, or -1 for all")
    return int(n_jobs)


def _seed(random_state: Any) -> int:
    """None: 42, so that a map is the same every time."""
    if random_state is None:
        return 42
    if isinstance(random_state, numbers.Integral):
        if random_state < 0:
            raise InputError(f"random_state is {random_state}; a seed is 0 or more")
        return int(random_state)
    try:
        return int(random_state.randint(2**31 - 1))
    except AttributeError:
        return int(random_state.integers(2**31 - 1))


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Principal component analysis in one pass over the rows: memory is d * d numbers, however many rows there
    are. As sklearn.decomposition.PCA(svd_solver="covariance_eigh"), and to the same bytes at any number of
    threads.

    n_components: how many to keep, largest variance first; None: all; between 0 and 1: as many as explain that
        share. More than min(n_samples - 1, n_features) cannot carry variance: n_components_ is lowered to that.
    whiten: divide scores by their standard deviation.
    center: False: directions through the origin, as TruncatedSVD.
    n_jobs: threads; -1: all.

    Attributes: components_ [k, d], explained_variance_ [k], explained_variance_ratio_ [k], mean_ [d],
    n_components_, n_samples_seen_, total_variance_.
    """

    def __init__(
        self, n_components: int | float | None = None, *, whiten: bool = False, center: bool = True,
        n_jobs: int | None = -1,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.center = center
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> PCA:
        """X [n_samples, n_features]: an array of float16, 32 or 64 in any layout, a memory map, a data frame, or
        a run's selection."""
        rows = _rows(self, X, reset=True, least=2 if self.center else 1)
        self._moments = _core.GrowingMoments()
        return self._grow(rows)

    def partial_fit(self, X: Any, y: Any = None) -> PCA:
        """Fit to all rows given so far and these: any number of batches gives what one would."""
        first = not hasattr(self, "_moments")
        rows = _rows(self, X, reset=first)
        if first:
            self._moments = _core.GrowingMoments()
        return self._grow(rows)

    def _grow(self, rows: Any) -> PCA:
        wanted = self._wanted()
        self._moments.add(rows, _threads(self.n_jobs))
        self.n_samples_seen_ = self._moments.count
        if self.n_samples_seen_ < 2 and self.center:
            return self
        fitted = self._moments.fit(wanted if isinstance(wanted, int) else 0, self.center)
        keep = len(fitted["components"])
        if isinstance(wanted, float):
            reached = np.cumsum(fitted["explained_variance_ratio"])
            keep = min(keep, int(np.searchsorted(reached, wanted, side="right")) + 1)
        self.components_ = fitted["components"][:keep]
        self.explained_variance_ = fitted["explained_variance"][:keep]
        self.explained_variance_ratio_ = fitted["explained_variance_ratio"][:keep]
        self.mean_ = fitted["mean"]
        self.total_variance_ = fitted["total_variance"]
        self.n_components_ = keep
        return self

    def _wanted(self) -> int | float:
        wanted = self.n_components
        if wanted is None:
            return 0
        if isinstance(wanted, numbers.Integral) and 1 <= wanted < 2**31:
            return int(wanted)
        if isinstance(wanted, numbers.Real) and 0 < wanted < 1:
            return float(wanted)
        raise InputError(f"n_components is {wanted!r}; it is 1 or more, a share between 0 and 1, or None")

    def transform(self, X: Any) -> np.ndarray:
        """Scores, float32 [n_samples, n_components_]."""
        check_is_fitted(self, "components_")
        rows = _rows(self, X, reset=False)
        return _core.pca_transform(
            rows, self.mean_, np.ascontiguousarray(self.components_),
            np.ascontiguousarray(self.explained_variance_), self.center, self.whiten, _threads(self.n_jobs),
        )

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows from scores, float32 [n_samples, n_features]."""
        check_is_fitted(self, "components_")
        scores = np.asarray(X, dtype=np.float32)
        if self.whiten:
            scores = scores * np.sqrt(self.explained_variance_).astype(np.float32)
        return scores @ self.components_ + self.mean_

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __getstate__(self) -> dict[str, Any]:
        given: Any = super().__getstate__()
        state: dict[str, Any] = dict(given)
        if "_moments" in state:
            state["_moments"] = state["_moments"].state()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("_moments"), tuple):
            state["_moments"] = _core.GrowingMoments.of_state(*state["_moments"])
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class UMAP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """UMAP (McInnes, Healy & Melville, 2018), deterministic with all threads: the same rows and seed give the
    same bytes at any number of them, those of `tomograph project --method umap`.

    Parameters have umap-learn's names and defaults, except: n_components is 2 or 3; init is "multilevel" (a map
    of groups first), "pca" or "spectral"; metric is "euclidean", "cosine" or "correlation"; random_state None
    is 42, and costs no parallelism.

    Attributes: embedding_ [n_samples, n_components] float32, n_epochs_, init_, knn_recall_ (of the neighbour
    search, on a sample), n_neighbors_ (as used: at most n_samples).
    """

    def __init__(
        self, n_neighbors: int = 15, n_components: int = 2, metric: str = "euclidean", n_epochs: int | None = None,
        learning_rate: float = 1.0, init: str = "multilevel", min_dist: float = 0.1, spread: float = 1.0,
        negative_sample_rate: int = 5, repulsion_strength: float = 1.0, random_state: Any = None,
        n_jobs: int | None = -1,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.metric = metric
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.init = init
        self.min_dist = min_dist
        self.spread = spread
        self.negative_sample_rate = negative_sample_rate
        self.repulsion_strength = repulsion_strength
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _options(self, n_neighbors: int, seed: int) -> _core.UmapOptions:
        return umap_options(
            n_neighbors=n_neighbors, n_components=self.n_components, metric=self.metric, min_dist=self.min_dist,
            spread=self.spread, n_epochs=self.n_epochs, learning_rate=self.learning_rate,
            negative_sample_rate=self.negative_sample_rate, repulsion_strength=self.repulsion_strength,
            init=self.init, seed=seed, threads=_threads(self.n_jobs),
        )

    def fit(self, X: Any, y: Any = None) -> UMAP:
        """X [n_samples, n_features]: an array of float16, 32 or 64 in any layout, a memory map, a data frame, or
        a run's selection. It is kept, not copied, for transform() and for pickling. y is not looked at."""
        rows = _rows(self, X, reset=True, least=2)
        n_rows = rows.n_rows if isinstance(rows, _core.Selected) else rows.shape[0]
        n_neighbors = self.n_neighbors
        if isinstance(n_neighbors, numbers.Integral) and n_neighbors > n_rows:
            warnings.warn(f"n_neighbors is {n_neighbors}, there are {n_rows} samples: it is lowered to that", stacklevel=2)
            n_neighbors = n_rows
        self._seed = _seed(self.random_state)
        self._fitted = _core.fit_umap(rows, self._options(n_neighbors, self._seed), None)
        self._fit_rows = rows
        self._used = (n_neighbors, self._fitted.a, self._fitted.b)
        self.n_neighbors_ = int(n_neighbors)
        self.embedding_ = self._fitted.points
        self.n_epochs_ = self._fitted.n_epochs
        self.init_ = self._fitted.init
        self.knn_recall_ = self._fitted.knn_recall
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The map itself: embedding_."""
        return self.fit(X).embedding_

    def transform(self, X: Any) -> np.ndarray:
        """Place rows on the fitted map, which does not move, float32 [n_samples, n_components]. The rows that
        it was fitted to get their own places. A row's place depends on its index a little: pushes are drawn by
        it."""
        check_is_fitted(self, "embedding_")
        rows = _rows(self, X, reset=False)
        if rows is self._fit_rows or (
            isinstance(rows, np.ndarray) and isinstance(self._fit_rows, np.ndarray)
            and rows.shape == self._fit_rows.shape and np.array_equal(rows, self._fit_rows)
        ):
            return self.embedding_.copy()
        return self._map().transform(rows, None)

    def _map(self) -> _core.FittedUmap:
        if self._fitted is None:
            n_neighbors, a, b = self._used
            self._fitted = _core.restore_umap(
                self._fit_rows, np.ascontiguousarray(self.embedding_), self._options(n_neighbors, self._seed), a, b,
                self.n_epochs_, None,
            )
        return self._fitted

    @property
    def _n_features_out(self) -> int:
        return self.embedding_.shape[1]

    def __getstate__(self) -> dict[str, Any]:
        given: Any = super().__getstate__()
        state: dict[str, Any] = dict(given)
        if "_fitted" in state:
            state["_fitted"] = None  # made again from the rows when it is needed
            if isinstance(state["_fit_rows"], _core.Selected):
                state["_fit_rows"] = state["_fit_rows"].read(0, state["_fit_rows"].n_rows)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class NearestNeighbors(BaseEstimator):
    """Nearest neighbours, as sklearn.neighbors.NearestNeighbors, exact or by an index whose recall is measured.

    metric: "euclidean", "cosine" or "correlation". algorithm: "auto" (exact where that is a second's work),
    "exact" or "approximate". target_recall: what the approximate search goes on to.

    Attributes: n_samples_fit_; after kneighbors() of the fitted rows also recall_ and method_.
    """

    def __init__(
        self, n_neighbors: int = 5, *, metric: str = "euclidean", algorithm: str = "auto",
        target_recall: float = 0.95, random_state: Any = 0, n_jobs: int | None = -1,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.algorithm = algorithm
        self.target_recall = target_recall
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Any:
        """X [n_samples, n_features], of which the index takes a copy in float32."""
        rows = _rows(self, X, reset=True, least=2)
        self._fit_rows = rows
        self._index = self._make_index()
        self.n_samples_fit_ = self._index.n_rows
        return self

    def _make_index(self) -> _core.NeighborIndex:
        return _core.make_index(
            self._fit_rows, str(self.metric), str(self.algorithm), float(self.target_recall), _seed(self.random_state),
            _threads(self.n_jobs), None,
        )

    def _count(self, n_neighbors: int | None) -> int:
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        if not isinstance(k, numbers.Integral) or k < 1:
            raise InputError(f"n_neighbors is {k!r}; it is 1 or more")
        return int(k)

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """The nearest fitted rows of each row of X, nearest first: (distances, indices), each [n, k]. X None: of
        the fitted rows, none its own neighbour."""
        check_is_fitted(self, "n_samples_fit_")
        k = self._count(n_neighbors)
        if self._index is None:
            self._index = self._make_index()
        if X is None:
            distances, indices, self.recall_, self.method_ = self._index.neighbors(k, None)
        else:
            distances, indices, _, _ = self._index.query(_rows(self, X, reset=False), k, None)
        indices = indices.astype(np.int64)
        return (distances, indices) if return_distance else indices

    def kneighbors_graph(self, X: Any = None, n_neighbors: int | None = None, mode: str = "connectivity") -> Any:
        """The same as a sparse matrix [n, n_samples_fit_] of ones ("connectivity") or distances ("distance")."""
        from scipy.sparse import csr_matrix

        if mode not in ("connectivity", "distance"):
            raise InputError(f"mode is {mode!r}; it is 'connectivity' or 'distance'")
        distances, indices = self.kneighbors(X, n_neighbors)
        n, k = indices.shape
        values = distances if mode == "distance" else np.ones_like(distances)
        return csr_matrix((values.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, self.n_samples_fit_))

    def precomputed_knn(self, n_neighbors: int = 15) -> tuple[np.ndarray, np.ndarray]:
        """(indices, distances) of the fitted rows for umap-learn's precomputed_knn=, which counts each row as its
        own first neighbour: [n_samples, n_neighbors]."""
        distances, indices = self.kneighbors(n_neighbors=self._count(n_neighbors) - 1)
        own = np.arange(len(indices), dtype=indices.dtype)[:, None]
        zero = np.zeros((len(indices), 1), dtype=distances.dtype)
        return np.hstack([own, indices]), np.hstack([zero, distances])

    def __getstate__(self) -> dict[str, Any]:
        given: Any = super().__getstate__()
        state: dict[str, Any] = dict(given)
        if "_index" in state:
            state["_index"] = None
            if isinstance(state["_fit_rows"], _core.Selected):
                state["_fit_rows"] = state["_fit_rows"].read(0, state["_fit_rows"].n_rows)
        return state


class KNeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NearestNeighbors):
    """The graph of nearest neighbours as a transformer, for pipelines and for scanpy.pp.neighbors(transformer=):
    fit_transform() gives distances [n, n], each row its own first neighbour."""

    def fit_transform(self, X: Any, y: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        from scipy.sparse import csr_matrix

        self.fit(X)
        indices, distances = self.precomputed_knn(self._count(None) + 1)
        n, k = indices.shape
        return csr_matrix((distances.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))

    def transform(self, X: Any) -> Any:
        """Distances to the fitted rows, sparse [n, n_samples_fit_]."""
        return self.kneighbors_graph(X, self._count(None) + 1, mode="distance")

    @property
    def _n_features_out(self) -> int:
        return self.n_samples_fit_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
