from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tomograph._core
import tomograph as tg
from tomograph import plot

ROOT = Path(__file__).resolve().parents[2]


def test_importing_costs_next_to_nothing() -> None:
    code = """
import sys, time
begin = time.perf_counter()
import tomograph
print(time.perf_counter() - begin, "numpy" in sys.modules, "sklearn" in sys.modules)
"""
    seconds, *loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(seconds) < 0.15
    assert loaded == ["False", "False"]


@pytest.mark.parametrize(("given", "spins"), [({}, "1500"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_waiting_threads_sleep_soon_unless_asked_otherwise(given: dict[str, str], spins: str) -> None:
    """libgomp says what it read as it is loaded; nobody else's library is to read the same."""
    code = "import os, tomograph as tg; tg.__version__; print(os.environ.get('GOMP_SPINCOUNT'))"
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=others | {"OMP_DISPLAY_ENV": "verbose"} | given,
        capture_output=True, text=True, check=True,
    )
    read = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if not read:
        pytest.skip("not built with GCC's OpenMP")
    assert read == [spins]
    assert done.stdout.strip() == given.get("GOMP_SPINCOUNT", "None")


def test_a_run_needs_no_scikit_learn(run_folder: Path) -> None:
    """Its import takes as long as a small map."""
    code = f"""
import sys
import tomograph as tg
run = tg.open({str(run_folder)!r})
run.umap(components="attn_out", progress=False), run.pca(components="attn_out", progress=False)
tg.measure(run, only="anisotropy", bootstrap=20, progress=False)
print([name for name in ("sklearn", "scipy", "pandas", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_name_is_there() -> None:
    for name in tg.__all__:
        assert getattr(tg, name) is not None
    assert tg.__version__ in (ROOT / "pyproject.toml").read_text()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tg.nothing  # noqa: B018


def snippets() -> list[str]:
    page = (ROOT / "docs/python.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def test_the_documentation_runs(tmp_path: Path) -> None:
    """All of it, one after the other, as a reader would."""
    assert len(snippets()) > 5
    code = "import matplotlib; matplotlib.use('Agg')\n" + "\n".join(snippets())
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


def test_the_readme_runs(tmp_path: Path) -> None:
    """On a model that is always there, which has fewer layers."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "book.txt").write_text("The whale is white. Call me Ishmael. " * 20)
    code = snippet.replace("model.gguf", "bytes-gpt2").replace("2:10", "1:3")
    code = "import matplotlib; matplotlib.use('Agg')\n" + code
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("notebook", sorted((ROOT / "python/notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run(notebook: Path, tmp_path: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 3
    assert not any(cell["outputs"] for cell in cells), "outputs are left out: clear them before saving"
    code = "import matplotlib; matplotlib.use('Agg')\n" + "\n".join("".join(cell["source"]) for cell in cells)
    environment = dict(os.environ, TMPDIR=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_hooks_of_elsewhere_become_a_run(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cache = {
        "blocks.0.hook_resid_post": random.normal(size=(2, 7, 16)).astype(np.float32),
        "blocks.1.hook_mlp_out": random.normal(size=(2, 7, 16)),
    }
    run = tg.from_cache(cache, tmp_path / "run", progress=False)
    assert [site.name for site in run.sites] == ["blocks.0.resid_post", "blocks.1.mlp_out"]
    np.testing.assert_array_equal(run["blocks.0.resid_post"], cache["blocks.0.hook_resid_post"].reshape(14, 16))
    np.testing.assert_array_equal(run["blocks.1.mlp_out"], cache["blocks.1.hook_mlp_out"].reshape(14, 16).astype(np.float32))
    assert list(run.tokens["sequence"][[0, 7]]) == [0, 1]
    for wrong in ({}, {"x": "text"}, {"blocks.0.hook_resid_post": np.zeros((3, 2), complex)}):
        with pytest.raises(tg.Error):
            tg.from_cache(wrong, tmp_path / "wrong", progress=False)


def test_draws_in_the_programs_colours(run: tg.Run) -> None:
    projection = run.pca(components="attn_out,mlp_out", progress=False)
    ax = plot.scatter(projection, "component")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["attn_out", "mlp_out"]
    assert ax.get_xlabel() == "PC 1"
    assert plot.component_color("attn_out") != plot.component_color("mlp_out")
    plot.scatter(projection, "layer", dims=(1, 2), ax=ax)
    plot.scatter(projection.points)
    assert plot.scatter(projection, "layer", dims=(0, 1, 2)).get_zlabel() == "PC 3"
    means = plot.scatter(projection, "component", means=True, connect=True, equal=True, title="what is added")
    assert means.get_title() == "what is added" and len(means.lines) == 1
    crosses = [tuple(dots.get_offsets()[0]) for dots in means.collections if len(dots.get_offsets()) == 1]
    attention = projection.points[projection.labels["component"] == "attn_out"]
    np.testing.assert_allclose(crosses[0], attention[:, :2].mean(axis=0), rtol=1e-5)
    with pytest.raises(tg.InputError, match="means are those of categories"):
        plot.scatter(projection, "layer", means=True)
    plot.lines(np.eye(3), labels="abc")
    plot.heat(run)
    plot.colormap("diverging")
    plt.close("all")
    with pytest.raises(tg.InputError, match="no label is called 'colour'; there are component"):
        plot.scatter(projection, "colour")
    with pytest.raises(tg.InputError, match="cannot be drawn"):
        plot.scatter(projection, dims=(0, 6))


def get(url: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers["Content-Security-Policy"]
    except urllib.error.HTTPError as error:
        return error.code, "", ""


@pytest.mark.skipif(not hasattr(tomograph._core, "view"), reason="built without the viewer")
def test_shows_a_run_to_those_who_know_its_address(run: tg.Run) -> None:
    with tg.view(run) as view:
        assert view.url.startswith("http://127.0.0.1:") and view.url in view._repr_html_().replace("&amp;", "&")
        status, page, policy = get(view.url)
        assert status == 200 and "<html" in page
        assert "frame-ancestors" not in policy
        origin = "/".join(view.url.split("/")[:3])
        assert get(origin + "/")[0] == get(view.url[:-2] + "/")[0] == 403
        for file in re.findall(r'(?:src|href)="\./([^"]+)"', page):
            assert get(view.url + file)[0] == 200, "a frame has no cookie: what the page names must be found without"
    with pytest.raises(urllib.error.URLError):
        get(view.url)
    with pytest.raises(tg.FileError):
        tg.view("/nowhere")


def post(url: str, body: bytes, kind: str = "application/octet-stream") -> int:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": kind}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.skipif(not hasattr(tomograph._core, "view"), reason="built without the viewer")
def test_the_lassos_rows_come_back(run: tg.Run) -> None:
    run.pca("lassoed", components="attn_out,mlp_out", progress=False)
    rows = np.array([0, 3, 8, run.projection("lassoed").points.shape[0] - 1])
    bits = np.zeros(run.projection("lassoed").points.shape[0], bool)
    bits[rows] = True
    body = np.packbits(bits, bitorder="little").tobytes()
    with tg.view(run) as view:
        assert view.projection is None
        assert view.selection.tolist() == [] and view.selected.n_rows == 0
        manifest = json.loads(get(view.url + "api/manifest")[1])
        assert manifest["selection"] is True
        path = "api/runs/0/projections/lassoed/selection"
        assert post(view.url + path, body) == 200
        assert view.projection == "lassoed"
        assert view.selection.dtype == np.int64 and view.selection.tolist() == rows.tolist()
        labels = run.projection("lassoed").labels
        assert view.selected["component"].tolist() == labels["component"][rows].tolist()
        assert post(view.url + path, body[:-1]) == 400
        assert post(view.url + path, body + b"\1") == 400
        assert post(view.url + path, body, "text/plain") == 415
        assert post(view.url + path + "?v=older", body) == 412
        assert post(view.url.replace(view.url.split("/")[3], "0" * 32) + path, body) == 403
        assert view.selection.tolist() == rows.tolist()
        assert post(view.url + path, bytes(len(body))) == 200
        assert view.selection.tolist() == [] and view.projection == "lassoed"
    run.remove_projection("lassoed")


def test_the_program_is_called_from_the_package() -> None:
    done = subprocess.run([sys.executable, "-m", "tomograph", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 or "not part of this build" in done.stderr
