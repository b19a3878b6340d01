"""Reference values for tests/reduce, from scikit-learn and umap-learn (versions in requirements.txt).

    python -m venv /tmp/golden && /tmp/golden/bin/pip install -r tests/golden/reduce/requirements.txt
    /tmp/golden/bin/python tests/golden/reduce/make.py

writes reduce.json beside this file.
"""
import json
import pathlib
import warnings

import numpy as np
import scipy
import sklearn
import umap
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from umap.umap_ import find_ab_params, fuzzy_simplicial_set, smooth_knn_dist

warnings.filterwarnings("ignore")


def numbers(array):
    """Nested lists short enough to read, exact enough for float32."""
    return [numbers(row) for row in array] if np.ndim(array) else float(f"{float(array):.9g}")


def clusters(n, d, rng):
    """Five anisotropic clusters, one coordinate with a mean far above its deviation (a massive activation)."""
    labels = rng.integers(0, 5, n)
    centers = rng.normal(size=(5, d)) * 3
    x = centers[labels] + rng.normal(size=(n, d)) * np.linspace(1.5, 0.1, d)
    x[:, 2] += 500
    return x.astype(np.float32), labels


def pca_golden(x):
    pca = PCA(n_components=4, svd_solver="covariance_eigh").fit(x.astype(np.float64))
    return {
        "mean": numbers(pca.mean_),
        "components": numbers(pca.components_),
        "explained_variance": numbers(pca.explained_variance_),
        "explained_variance_ratio": numbers(pca.explained_variance_ratio_),
        "scores": numbers(pca.transform(x.astype(np.float64))[:5]),
    }


def neighbor_golden(x, k):
    result = {}
    for metric in ("cosine", "euclidean", "correlation"):
        distances = cdist(x.astype(np.float64), x.astype(np.float64), metric)
        np.fill_diagonal(distances, np.inf)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        result[metric] = {
            "indices": order.tolist(),
            "distances": numbers(np.take_along_axis(distances, order, axis=1)),
        }
    return result


def umap_graph_golden(x, k):
    distances = cdist(x.astype(np.float64), x.astype(np.float64)).astype(np.float32)
    np.fill_diagonal(distances, 0)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]  # umap-learn counts a row as its own neighbour
    nearest = np.take_along_axis(distances, indices, axis=1)
    sigmas, rhos = smooth_knn_dist(nearest, float(k))
    graph, _, _ = fuzzy_simplicial_set(x, k, np.random.RandomState(0), "euclidean", knn_indices=indices, knn_dists=nearest)
    graph = graph.tocoo()
    return {
        "k": k,
        "sigma": numbers(sigmas),
        "rho": numbers(rhos),
        "rows": graph.row.tolist(),
        "columns": graph.col.tolist(),
        "weights": numbers(graph.data),
    }


def main():
    rng = np.random.default_rng(7)
    x, labels = clusters(150, 12, rng)
    points = (x[:, [0, 1]] + rng.normal(size=(150, 2))).astype(np.float32)
    map_x, map_labels = clusters(600, 12, rng)
    fitted = umap.UMAP(random_state=42, n_neighbors=15).fit(map_x[:500])
    goldens = {
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__,
                     "umap-learn": umap.__version__},
        "x": numbers(x),
        "labels": labels.tolist(),
        "points": numbers(points),
        "pca": pca_golden(x),
        "neighbors": neighbor_golden(x, 10),
        "curves": [
            {"min_dist": m, "spread": s, "a": numbers(a), "b": numbers(b)}
            for m, s in ((0.1, 1.0), (0.0, 1.0), (0.5, 1.0), (0.25, 2.0), (0.99, 1.0))
            for a, b in (find_ab_params(s, m),)
        ],
        "umap_graph": umap_graph_golden(x, 10),
        "trustworthiness": {
            metric: numbers(trustworthiness(x, points, n_neighbors=7, metric=metric))
            for metric in ("euclidean", "cosine")
        },
        "silhouette": numbers(silhouette_score(points, labels)),
        "map": {
            "x": numbers(map_x),
            "labels": map_labels.tolist(),
            "n_fit": 500,
            "trustworthiness": numbers(trustworthiness(map_x[:500], fitted.embedding_, n_neighbors=15)),
            "new_trustworthiness": numbers(trustworthiness(map_x, np.vstack(
                [fitted.embedding_, fitted.transform(map_x[500:])]), n_neighbors=15)),
        },
    }
    path = pathlib.Path(__file__).with_name("reduce.json")
    path.write_text(json.dumps(goldens, separators=(",", ":")).replace("],[", "],\n[") + "\n")


if __name__ == "__main__":
    main()
