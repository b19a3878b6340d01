from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

import tomograph as tg

random = np.random.default_rng(1)


def test_cka_of_a_turned_cloud_is_one() -> None:
    x = random.normal(size=(80, 10))
    turn = np.linalg.qr(random.normal(size=(10, 10)))[0]
    assert tg.cka(x, 3 * x @ turn + 1) == pytest.approx(1, abs=1e-4)
    assert abs(tg.cka(x, random.normal(size=(80, 12)))) < 0.2
    assert tg.procrustes(x, 3 * x @ turn + 1) == pytest.approx(0, abs=1e-4)
    assert math.isnan(tg.cka(x[:3], x[:3]))


def test_shifted_cka_knows_the_place() -> None:
    t = np.linspace(0, 20, 128)[:, None]
    curve = np.concatenate([np.sin(t), np.cos(1.7 * t), np.sin(t * t / 9)], axis=1) + 0.01 * random.normal(size=(128, 3))
    same = tg.shifted_cka(curve, curve)
    assert same.value == pytest.approx(1, abs=1e-3) and same.shifted < same.value


def test_clouds_agree_with_scikit_learn() -> None:
    a, b = random.normal(size=(60, 6)) + 2, random.normal(size=(50, 6)) - 1
    x, y = np.concatenate([a, b]), [0] * 60 + [1] * 50
    assert tg.clouds(a, b) == pytest.approx(
        (silhouette_score(x, y, metric="cosine"), davies_bouldin_score(x, y), calinski_harabasz_score(x, y)), rel=1e-3
    )


def test_dimensions_of_a_plane_in_space() -> None:
    plane = random.normal(size=(800, 2)) @ random.normal(size=(2, 20))
    assert tg.twonn(plane) == pytest.approx(2, rel=0.15)
    assert tg.mle_dimension(plane) == pytest.approx(2, rel=0.15)
    assert tg.twonn(plane, groups=np.arange(800) // 8) == pytest.approx(2, rel=0.2)
    assert tg.participation_ratio([2, 2, 2, 0]) == pytest.approx(3)
    assert tg.entropy_rank([2, 2, 2, 0]) == pytest.approx(3)


def test_a_helix_is_one_and_a_walk_is_none() -> None:
    t = np.linspace(0, 2 * np.pi * 5, 300)
    helix = np.stack([np.cos(t), np.sin(t), t / 10, 0 * t], axis=1) + 0.02 * random.normal(size=(300, 4))
    found = tg.helix(helix)
    assert found.shape == "helix"
    assert found.turns == pytest.approx(5, abs=0.3)
    assert found.p <= 0.025
    assert tg.helix(np.cumsum(random.normal(size=(300, 8)), axis=0)).shape != "helix"
    assert "few" in tg.helix(helix[:20]).why_not or tg.helix(helix[:20]).why_not


def test_a_grid_is_a_lattice() -> None:
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2)
    assert tg.lattice(grid).score > 0.8
    assert tg.lattice(random.normal(size=(400, 3))).score < 0.3


def test_one_large_coordinate_is_found() -> None:
    rows = random.normal(size=(200, 64))
    rows[:, 7] += 40
    assert tg.massive_coordinates(rows).coordinates == [7]
    forms = tg.anisotropy(rows)
    assert forms.raw > 0.9 and abs(forms.centred) < 0.1 and 7 in forms.rogue


def test_overlap_of_subspaces() -> None:
    axes = np.eye(8)
    assert tg.subspace_overlap(axes[:2], axes[1:4]) == pytest.approx((0.5, 3 / 8))
    with pytest.raises(tg.InputError, match="not orthonormal"):
        tg.subspace_overlap(2 * axes[:2], axes[:2])


def test_quality_agrees_with_scikit_learn(blobs: np.ndarray) -> None:
    points = tg.PCA(2).fit_transform(blobs)
    quality = tg.map_quality(blobs, points)
    assert quality.trustworthiness == pytest.approx(trustworthiness(blobs, points, n_neighbors=15), abs=1e-3)
    with pytest.raises(tg.InputError):
        tg.map_quality(blobs, points[:-1])


BROKEN: list[Any] = [
    np.zeros(5),
    np.zeros((3, 4, 5)),
    np.array([["a", "b"]]),
    np.array([[1.0, np.nan]] * 5),
    np.full((5, 2), 1e300),
    [[object()]],
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize(
    "function",
    [
        lambda x: tg.cka(x, x),
        lambda x: tg.shifted_cka(x, x),
        lambda x: tg.procrustes(x, x),
        lambda x: tg.clouds(x, x),
        tg.twonn,
        tg.mle_dimension,
        tg.helix,
        tg.comparable_positions,
        tg.anisotropy,
        tg.massive_coordinates,
    ],
)
def test_arrays_that_are_no_rows_are_refused(function: Any, broken: Any) -> None:
    with pytest.raises(tg.InputError):
        function(broken)


def test_the_row_that_is_no_number_is_named() -> None:
    rows = np.ones((9, 3))
    rows[4, 1] = np.inf
    with pytest.raises(ValueError, match="row 4 of rows holds NaN or Inf; leave that row out"):
        tg.twonn(rows)


def test_rows_that_are_few_give_no_number_or_an_error() -> None:
    for n in range(6):
        rows = random.normal(size=(n, 5)).astype(np.float32)
        for function in (
            lambda x: tg.cka(x, x), lambda x: tg.procrustes(x, x), lambda x: tg.clouds(x, x), tg.twonn, tg.mle_dimension,
            tg.helix, tg.lattice, tg.comparable_positions, tg.anisotropy, tg.massive_coordinates,
        ):
            try:
                function(rows)
            except tg.InputError:
                pass
