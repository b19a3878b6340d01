from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import program
from sklearn.base import clone
from sklearn.decomposition import PCA as Reference
from sklearn.neighbors import NearestNeighbors as ReferenceNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import tomograph as tg

PLACE = "a row is placed by its index too: pushes are drawn by it, and fitted rows keep their own places"
ONE = "the check asks for a map of one dimension; maps have two or three"


class Wide(tg.UMAP):
    """Where a check asks for a map of one dimension, it gets two, so that the check looks at something."""

    def _options(self, n_neighbors: int, seed: int) -> Any:
        asked, self.n_components = self.n_components, max(2, self.n_components)
        try:
            return super()._options(n_neighbors, seed)
        finally:
            self.n_components = asked


@pytest.mark.parametrize(
    ("estimator", "exceptions"),
    [
        (tg.PCA(), {}),
        (tg.NearestNeighbors(), {}),
        (tg.KNeighborsTransformer(), {}),
        (
            Wide(n_epochs=20),
            {"check_methods_sample_order_invariance": PLACE, "check_methods_subset_invariance": PLACE},
        ),
        (
            tg.UMAP(n_epochs=20),
            {
                "check_dont_overwrite_parameters": ONE,
                "check_fit2d_1feature": ONE,
                "check_fit2d_predict1d": ONE,
                "check_methods_sample_order_invariance": PLACE,
                "check_methods_subset_invariance": PLACE,
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_passes_scikit_learns_checks(estimator: Any, exceptions: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, expected_failed_checks=exceptions, on_fail=None)
    assert len(results) > 30
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert failed == {}


def test_pca_agrees_with_scikit_learn(blobs: np.ndarray) -> None:
    ours, theirs = tg.PCA(3).fit(blobs), Reference(3, svd_solver="covariance_eigh").fit(blobs)
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(np.abs(np.sum(ours.components_ * theirs.components_, axis=1)), 1, rtol=1e-4)
    scores = ours.transform(blobs)
    np.testing.assert_allclose(np.abs(scores), np.abs(theirs.transform(blobs)), atol=1e-3)
    np.testing.assert_allclose(
        tg.PCA().fit(blobs).inverse_transform(tg.PCA().fit_transform(blobs)), blobs, atol=1e-4
    )


def test_pca_takes_a_share(blobs: np.ndarray) -> None:
    some = tg.PCA(0.95).fit(blobs)
    assert some.explained_variance_ratio_.sum() >= 0.95
    assert some.explained_variance_ratio_[:-1].sum() < 0.95
    with pytest.raises(tg.InputError, match="n_components is 0"):
        tg.PCA(0).fit(blobs)


def test_pca_grows_by_batches(blobs: np.ndarray) -> None:
    grown = tg.PCA(3)
    for begin in range(0, 300, 70):
        grown.partial_fit(blobs[begin : begin + 70])
    whole = tg.PCA(3).fit(blobs)
    assert grown.n_samples_seen_ == 300
    np.testing.assert_allclose(grown.explained_variance_, whole.explained_variance_, rtol=1e-5)
    again = pickle.loads(pickle.dumps(grown)).partial_fit(blobs)
    assert again.n_samples_seen_ == 600


LAYOUTS = {
    "float64": lambda x: x.astype(np.float64),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1][::-1],
    "big-endian": lambda x: x.astype(">f4"),
    "frame": pd.DataFrame,
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_takes_rows_however_they_lie(blobs: np.ndarray, layout: str) -> None:
    x = LAYOUTS[layout](blobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert tg.UMAP(n_epochs=20).fit_transform(x).tobytes() == tg.UMAP(n_epochs=20).fit_transform(blobs).tobytes()
    assert tg.PCA(2).fit(x).components_.tobytes() == tg.PCA(2).fit(blobs).components_.tobytes()


def test_takes_half_precision_and_memory_maps(blobs: np.ndarray, tmp_path: Path) -> None:
    halves = blobs.astype(np.float16)
    want = tg.PCA(2).fit(halves.astype(np.float32)).components_
    np.save(tmp_path / "x.npy", halves)
    for x in (halves, np.asfortranarray(halves), np.load(tmp_path / "x.npy", mmap_mode="r")):
        assert tg.PCA(2).fit(x).components_.tobytes() == want.tobytes()


def test_umap_gives_the_programs_bytes(text_run: tg.Run) -> None:
    words = {"components": "attn_out,mlp_out", "layers": "1:3"}
    program("project", text_run.path, "--name", "cli", "--method", "umap", "--components", "attn_out,mlp_out", "--layers", "1:3")
    theirs = text_run.projection("cli").points
    selection = text_run.select(**words)
    umap = tg.UMAP(metric="cosine")
    assert umap.fit_transform(selection).tobytes() == theirs.tobytes()
    assert clone(umap).fit_transform(selection.rows).tobytes() == theirs.tobytes()


def test_umap_gives_the_same_bytes_at_any_number_of_threads(blobs: np.ndarray) -> None:
    maps = {tg.UMAP(n_jobs=n, n_epochs=50).fit_transform(blobs).tobytes() for n in (1, 3, -1)}
    assert len(maps) == 1
    assert tg.UMAP(random_state=1, n_epochs=50).fit_transform(blobs).tobytes() not in maps


def test_umap_keeps_clouds_apart_and_places_new_rows(blobs: np.ndarray) -> None:
    umap = tg.UMAP().fit(blobs[::2])
    assert tg.map_quality(blobs[::2], umap.embedding_).trustworthiness > 0.9
    placed = umap.transform(blobs[1::2])
    centers = umap.embedding_.reshape(3, 50, 2).mean(axis=1)
    nearest = np.linalg.norm(placed[:, None] - centers, axis=2).argmin(axis=1)
    assert (nearest == np.repeat([0, 1, 2], 50)).mean() > 0.98
    np.testing.assert_array_equal(umap.transform(blobs[::2]), umap.embedding_)


def test_a_pickled_map_places_rows_where_it_did(blobs: np.ndarray) -> None:
    umap = tg.UMAP(n_epochs=50).fit(blobs[::2])
    again = pickle.loads(pickle.dumps(umap))
    assert again.transform(blobs[1::2]).tobytes() == umap.transform(blobs[1::2]).tobytes()


def test_works_in_a_pipeline(blobs: np.ndarray) -> None:
    points = make_pipeline(tg.PCA(4), tg.UMAP(n_epochs=20)).fit_transform(blobs)
    assert points.shape == (300, 2)


def test_parameters_that_make_no_sense_are_refused(blobs: np.ndarray) -> None:
    for parameters, words in (
        ({"n_components": 5}, "ask for 2 or 3"),
        ({"n_neighbors": 1}, "n_neighbors"),
        ({"n_neighbors": 1.5}, "n_neighbors is 1.5"),
        ({"metric": "manhattan"}, "manhattan"),
        ({"min_dist": 3.0}, "min_dist"),
        ({"init": "random"}, "no init is called 'random'; there are multilevel"),
        ({"n_jobs": 0}, "n_jobs is 0"),
        ({"n_jobs": 100_000}, "threads"),
        ({"random_state": -1}, "a seed is 0 or more"),
    ):
        with pytest.raises(tg.InputError, match=words):
            tg.UMAP(**parameters).fit(blobs)


def test_rows_that_are_none_are_refused(blobs: np.ndarray) -> None:
    broken = blobs.copy()
    broken[17, 3] = np.nan
    for estimator in (tg.PCA(), tg.UMAP(), tg.NearestNeighbors()):
        with pytest.raises(ValueError, match="NaN"):
            estimator.fit(broken)
        with pytest.raises(ValueError):
            estimator.fit(blobs[0])
        with pytest.raises(ValueError):
            estimator.fit(np.full((20, 3), 1e300))


def test_neighbors_agree_with_scikit_learn(blobs: np.ndarray) -> None:
    ours = tg.NearestNeighbors(7).fit(blobs)
    theirs = ReferenceNeighbors(n_neighbors=7).fit(blobs)
    for x in (None, blobs[:10] + 0.1):
        distances, indices = ours.kneighbors(x)
        want_distances, want_indices = theirs.kneighbors(x)
        np.testing.assert_allclose(distances, want_distances, rtol=1e-4, atol=1e-4)
        assert (indices == want_indices).mean() > 0.99
    assert ours.recall_ == 1
    graph = ours.kneighbors_graph(mode="distance")
    assert graph.shape == (300, 300) and graph.nnz == 2100
    with pytest.raises(tg.InputError):
        ours.kneighbors(n_neighbors=300)
    with pytest.raises(tg.InputError, match="mode is 'x'"):
        ours.kneighbors_graph(mode="x")


def test_neighbors_are_what_umap_learn_takes(blobs: np.ndarray) -> None:
    indices, distances = tg.NearestNeighbors().fit(blobs).precomputed_knn(15)
    assert indices.shape == (300, 15)
    np.testing.assert_array_equal(indices[:, 0], np.arange(300))
    assert (distances[:, 0] == 0).all() and (np.diff(distances) >= 0).all()


def test_estimators_do_without_scikit_learn(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    code = """
import sys
sys.modules["sklearn"] = None
import numpy as np, pickle, tomograph as tg
x = np.random.default_rng(0).normal(size=(60, 5))
umap = tg.UMAP(n_epochs=20).fit(x)
assert umap.embedding_.shape == (60, 2)
assert pickle.loads(pickle.dumps(tg.PCA(2).fit(x))).transform(x).shape == (60, 2)
assert tg.PCA(2).set_params(whiten=True).get_params()["whiten"]
try:
    tg.PCA().fit(x[0])
except tg.InputError as error:
    assert "no set of rows" in str(error)
else:
    raise SystemExit("was taken")
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
