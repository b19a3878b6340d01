"""Reference values for tests/measure, from scikit-learn, scikit-dimension, SciPy and NumPy.

    python3 -m venv /tmp/measure-venv
    /tmp/measure-venv/bin/pip install -r requirements.txt
    /tmp/measure-venv/bin/python make.py

Writes measure.safetensors: inputs as F32 matrices, results as F32 vectors (each computed in float64).
"""
import pathlib

import numpy as np
import skdim
from safetensors.numpy import save_file
from scipy.linalg import subspace_angles
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import (balanced_accuracy_score, calinski_harabasz_score, davies_bouldin_score, roc_auc_score,
                             silhouette_score)
from sklearn.model_selection import PredefinedSplit
from sklearn.neighbors import NearestNeighbors

random = np.random.default_rng(5)
out: dict[str, np.ndarray] = {}


def put(name: str, values) -> None:
    out[name] = np.ascontiguousarray(np.atleast_1d(values), dtype=np.float32)


def f32(values: np.ndarray) -> np.ndarray:
    """What the program will read, in float64."""
    return values.astype(np.float32).astype(np.float64)


# Clouds: overlapping, of different sizes and shapes, away from the origin.
a = f32(random.normal(size=(120, 12)) * np.linspace(0.5, 3, 12) + 0.8)
b = f32(random.normal(size=(90, 12)) * np.linspace(2, 0.4, 12) - 0.2)
rows, labels = np.vstack([a, b]), np.repeat([0, 1], [len(a), len(b)])
put("clouds.a", a)
put("clouds.b", b)
put("clouds.scores", [silhouette_score(rows, labels, metric="cosine"), davies_bouldin_score(rows, labels),
                      calinski_harabasz_score(rows, labels)])

# Probe: unit rows, five folds that hold whole groups.
unit = f32(rows / np.linalg.norm(rows, axis=1, keepdims=True))
fold = random.integers(0, 5, len(rows))
decisions = np.empty(len(rows))
for train, test in PredefinedSplit(fold).split():
    decisions[test] = RidgeClassifier(alpha=1.0).fit(unit[train], labels[train]).decision_function(unit[test])
put("probe.rows", unit)
put("probe.labels", 2.0 * labels - 1)
put("probe.fold", fold)
put("probe.decisions", decisions)
put("probe.balanced_accuracy", balanced_accuracy_score(labels, decisions > 0))

# Subspaces that share one direction almost and one exactly.
p, q = f32(random.normal(size=(4, 20))), f32(random.normal(size=(6, 20)))
q[0] = f32(p[0] + 1e-3 * random.normal(size=20))
q[1] = p[1]
put("subspaces.a", p)
put("subspaces.b", q)
put("subspaces.angles", subspace_angles(p.T, q.T))

# Intrinsic dimension: a curved sheet of four dimensions in fifteen, with a little noise.
t = random.normal(size=(500, 4))
sheet = f32(np.hstack([t, np.sin(t), t[:, :1] * t[:, 1:]]) @ random.normal(size=(11, 15)) + 0.01 * random.normal(size=(500, 15)))
distances, _ = NearestNeighbors(n_neighbors=21).fit(sheet).kneighbors(sheet)
put("dimension.rows", sheet)
put("dimension.two_nn", skdim.id.TwoNN().fit(sheet).dimension_)
put("dimension.mle", skdim.id.MLE().fit(sheet, n_neighbors=20).dimension_)
spectrum = np.linalg.eigvalsh(np.cov(sheet.T))
share = spectrum / spectrum.sum()
put("dimension.participation_ratio", spectrum.sum() ** 2 / (spectrum ** 2).sum())
put("dimension.effective_rank", np.exp(-(share * np.log(share)).sum()))


# CKA by the unbiased estimate of HSIC, straight from n by n matrices: wide against narrow, and more rows than
# columns as well as fewer.
def hsic(x: np.ndarray, y: np.ndarray) -> float:
    k, l, n = x @ x.T, y @ y.T, len(x)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    ones = np.ones(n)
    return (np.trace(k @ l) + ones @ k @ ones * (ones @ l @ ones) / ((n - 1) * (n - 2))
            - 2 * ones @ k @ l @ ones / (n - 2)) / (n * (n - 3))


def cka(x: np.ndarray, y: np.ndarray) -> float:
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


x = f32(random.normal(size=(80, 10)) + 2)
y = f32(x @ random.normal(size=(10, 25)) + 3 * random.normal(size=(80, 25)))
z = f32(x[:, ::-1] ** 2)
for name, layer in {"x": x, "y": y, "z": z}.items():
    put(f"cka.{name}", layer)
put("cka.values", [cka(x, y), cka(x, z), cka(y, z)])
put("cka.few_rows", cka(x[:8], y[:8]))
kept = np.r_[0:16, 32:80]  # without the second of five groups of 16
put("cka.without_a_group", [cka(x[kept], y[kept]), cka(x[kept], z[kept]), cka(y[kept], z[kept])])

# Share of variance by position (one-way analysis of variance, all coordinates together).
curve = f32(random.normal(size=(6, 9, 5)) + 0.7 * random.normal(size=(1, 9, 5)))  # [sequences, positions, d]
means, overall = curve.mean(0), curve.mean((0, 1))
put("positions.rows", curve.reshape(54, 5))
put("positions.eta2", 6 * ((means - overall) ** 2).sum() / ((curve - overall) ** 2).sum())
shuffled = []
for _ in range(20_000):
    mixed = np.stack([sequence[random.permutation(9)] for sequence in curve])
    shuffled.append(6 * ((mixed.mean(0) - overall) ** 2).sum() / ((curve - overall) ** 2).sum())
put("positions.shuffled_eta2", np.mean(shuffled))

# Mean cosine of pairs, and AUROC with ties.
cosines = unit @ unit.T
put("anisotropy", (cosines.sum() - np.trace(cosines)) / (len(unit) * (len(unit) - 1)))
scores = f32(np.round(random.normal(size=60) + np.repeat([1.0, 0.0], [15, 45]), 1))
put("auroc.scores", scores)
put("auroc.value", roc_auc_score(np.repeat([1, 0], [15, 45]), scores))

# Orthogonal Procrustes distance of centred, normalised rows.
u, v = x - x.mean(0), z - z.mean(0)
u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
put("procrustes", 2 - 2 * np.linalg.svd(u.T @ v, compute_uv=False).sum())

path = pathlib.Path(__file__).parent / "measure.safetensors"
save_file(out, path)
print(f"{path.name}: {len(out)} tensors")
