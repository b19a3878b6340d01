from __future__ import annotations

import json
import resource
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import program

import tomograph as tg


def test_says_what_it_is(run: tg.Run) -> None:
    assert run.model["name"] == "bytes-gpt2"
    assert run.n_layers == 4
    assert run.d_model == 128
    assert run.complete
    assert run.sites[0] == ("embed", (128,), True)
    assert "blocks.1.attn_out" in run
    assert "blocks.9.attn_out" not in run
    assert "bytes-gpt2" in repr(run)


def test_a_site_of_one_shard_is_a_view_that_cannot_be_written(run: tg.Run) -> None:
    rows = run["blocks.1.attn_out"]
    assert isinstance(rows, np.ndarray)
    assert rows.dtype == np.float16
    assert rows.shape == (run.n_rows, 128)
    assert not rows.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 1


def test_views_show_what_the_program_exports(run: tg.Run, run_folder: Path, tmp_path: Path) -> None:
    program("export", run_folder, "blocks.2.mlp_out", "--format", "npy", "--out", tmp_path / "x.npy")
    np.testing.assert_array_equal(run["blocks.2.mlp_out"].astype(np.float32), np.load(tmp_path / "x.npy"))


def test_heads_keep_their_shape(run: tg.Run) -> None:
    assert run["blocks.0.z"].shape == (run.n_rows, 4, 32)


def test_another_name_of_a_value_is_the_same_view(run: tg.Run) -> None:
    named = next(site for site in run.json["sites"] if site["name"] == "blocks.1.resid_pre")
    assert named["sum_of"] == ["blocks.0.resid_post"]
    rows = run["blocks.1.resid_pre"]
    assert isinstance(rows, np.ndarray)
    assert not rows.flags.owndata
    np.testing.assert_array_equal(rows, run["blocks.0.resid_post"])


def test_a_site_that_others_add_up_to_is_added_up(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "run")
    description = json.loads((tmp_path / "run/run.json").read_text())
    parts = ["blocks.0.resid_post", "blocks.1.attn_out"]
    for site in description["sites"]:
        if site["name"] == "blocks.1.resid_mid":
            site.update(vectors=False, sum_of=parts)
    (tmp_path / "run/run.json").write_text(json.dumps(description))
    with tg.open(tmp_path / "run") as run:
        assert "blocks.1.resid_mid" in run
        want = sum(run[part].astype(np.float32) for part in parts)
        np.testing.assert_array_equal(run["blocks.1.resid_mid"][2:5], want[2:5])


def test_a_view_outlives_its_run(run_folder: Path) -> None:
    with tg.open(run_folder) as run:
        rows = run["blocks.1.attn_out"]
        first = np.array(rows[0])
    del run
    np.testing.assert_array_equal(rows[0], first)


def test_taking_a_site_allocates_no_copy(text_run: tg.Run) -> None:
    tracemalloc.start()
    views = [text_run[name] for name in text_run]
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(view.nbytes for view in views)
    assert size > 4_000_000
    assert taken < size / 10


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def widen(path: Path, width: int) -> int:
    """The same file of safetensors with vectors of another width, which are a hole in the file; its length."""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header, kept, end = json.loads(data[8:start]), {}, 0
    for name, tensor in header.items():
        begin, stop = tensor["data_offsets"]
        if name.startswith("blocks."):
            tensor["shape"][-1] = width
            length = 4 * int(np.prod(tensor["shape"]))
        else:
            kept[end] = data[start + begin : start + stop]
            length = stop - begin
        tensor["data_offsets"] = [end, end + length]
        end += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
        for offset, bytes_ in kept.items():
            file.seek(8 + len(text) + offset)
            file.write(bytes_)
    return 8 + len(text) + end


def test_a_slice_of_a_large_run_takes_no_memory(tmp_path: Path) -> None:
    """3.4 GB, nearly all of it a hole: 30 sites of 24,576 rows of 1,152."""
    cache = {f"blocks.{layer}.resid_post": np.zeros((96, 256, 8), np.float32) for layer in range(30)}
    tg.from_cache(cache, tmp_path / "run", progress=False).close()
    shard = tmp_path / "run/shards/000000.safetensors"
    description = json.loads((tmp_path / "run/run.json").read_text())
    description["model"]["d_model"] = 1152
    for site in description["sites"]:
        site["shape"] = [1152]
    description["shards"][0]["files"][0]["bytes"] = size = widen(shard, 1152)
    assert size > 3.39e9
    (tmp_path / "run/run.json").write_text(json.dumps(description))
    values = np.arange(64 * 1152, dtype=np.float32)
    with open(shard, "r+b") as file:
        header = 8 + struct.unpack("<Q", file.read(8))[0]
        # Sites lie in the header's order.
        names = [name for name in json.loads(file.read(header - 8)) if name.startswith("blocks.")]
        file.seek(header + 4 * 1152 * (names.index("blocks.17.resid_post") * 24576 + 5000))
        file.write(values.tobytes())
    before = resident()
    with tg.open(tmp_path / "run") as run:
        rows = run["blocks.17.resid_post"]
        assert rows.shape == (24576, 1152)
        part = rows[5000:5064]
        assert not part.flags.owndata
        np.testing.assert_array_equal(part, values.reshape(64, 1152))
        assert resident() - before < 4_000_000, "the slice is 0.3 MB, its site 113 MB"


def test_a_thousand_openings_leak_nothing(run_folder: Path) -> None:
    def cycle() -> None:
        with tg.open(run_folder) as run:
            float(run["blocks.1.attn_out"][0, 0])

    for _ in range(200):
        cycle()
    before = resident()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(1000):
        cycle()
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    assert resident() - before < 4_000_000


@pytest.fixture(scope="module")
def shards(model: tg.Model, tmp_path_factory: pytest.TempPathFactory) -> tg.Run:
    """Many shards of one row of batches each."""
    out = tmp_path_factory.mktemp("runs") / "shards"
    run = model.capture(
        kind="text", out=out, sequences=40, length=128, shard_mb=0.001, components="attn_out,mlp_out"
    )
    assert len(run.json["shards"]) > 1
    return run


def test_several_shards_are_chained(shards: tg.Run) -> None:
    rows = shards["blocks.1.attn_out"]
    assert isinstance(rows, tg.Rows)
    assert rows.shape == (shards.n_rows, 128)
    assert rows.dtype == np.float16
    whole = np.concatenate([rows.shard(i) for i in range(rows.n_shards)])
    np.testing.assert_array_equal(np.asarray(rows), whole)
    cut = len(rows.shard(0))
    for index in (0, -1, cut, slice(cut - 3, cut + 3), slice(None, None, -7), slice(5, 3), [3, cut, -2, 0]):
        np.testing.assert_array_equal(rows[index], whole[index])
    mask = np.arange(len(rows)) % 97 == 0
    np.testing.assert_array_equal(rows[mask], whole[mask])
    np.testing.assert_array_equal(rows[2:9, 4], whole[2:9, 4])
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks(1000))), whole)


def test_a_slice_within_one_shard_is_a_view(shards: tg.Run) -> None:
    assert not shards["blocks.1.attn_out"][2:6].flags.owndata


def test_rows_outside_are_refused(shards: tg.Run) -> None:
    rows = shards["blocks.1.attn_out"]
    for index in (len(rows), -len(rows) - 1, [len(rows)], np.zeros(3, bool), [[1]], [0.5]):
        with pytest.raises(IndexError):
            rows[index]


def test_bfloat16_is_widened(model: tg.Model, tmp_path: Path) -> None:
    exact = model.capture("The whale", tmp_path / "f32", dtype="f32")
    rounded = model.capture("The whale", tmp_path / "bf16", dtype="bf16")["blocks.1.attn_out"]
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(np.asarray(rounded), exact["blocks.1.attn_out"], rtol=2**-8)


def test_tokens_are_a_table(run: tg.Run) -> None:
    tokens = run.tokens
    assert tokens.n_rows == run.n_tokens
    assert "".join(tokens["piece"][:19]) == "The whale is white."
    assert list(tokens["position"][:3]) == [0, 1, 2]
    assert list(tokens["part"][17:20]) == ["prompt", "last", "prompt"]
    assert np.isnan(tokens["logprob"][0]) and tokens["logprob"][1] < 0
    frame = tokens.to_pandas()
    assert list(frame.columns) == list(tokens)
    assert "<td>T</td>" in tokens._repr_html_()


def test_a_cell_of_a_table_is_no_markup() -> None:
    assert "<b>" not in tg.Table({"x": ["<b>"]})._repr_html_()


def test_selects_in_the_command_lines_words(run: tg.Run) -> None:
    rows, labels = run.select("attn_out,mlp_out", layers="1:3", positions=slice(0, 5), normalize="unit")
    assert rows.shape == (2 * 2 * 3 * 5, 128)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    assert set(labels["component"]) == {"attn_out", "mlp_out"}
    assert set(labels["layer"]) == {1, 2}
    assert labels["piece"][0] == "T"
    np.testing.assert_allclose(
        labels["norm"][0], np.linalg.norm(run["blocks.1.attn_out"][0].astype(float)), rtol=1e-3
    )


def test_a_range_may_be_said_in_many_ways(run: tg.Run) -> None:
    for layers in ("1:3", slice(1, 3), range(1, 3), (1, 3)):
        assert set(run.select("attn_out", layers=layers).labels["layer"]) == {1, 2}
    assert set(run.select("attn_out", layers=np.int64(2)).labels["layer"]) == {2}
    assert set(run.select(["attn_out"], layers=-1).labels["layer"]) == {3}


def test_averages_are_of_nobody(run: tg.Run) -> None:
    selection = run.select("attn_out", mean=["samples"], positions="0:4")
    assert set(selection.labels["sequence"]) == {-1}
    assert set(selection.labels["piece"]) == {""}
    np.testing.assert_allclose(selection.rows[:4], run.means("blocks.0.attn_out")[:4], atol=1e-3)


def test_selects_by_further_columns(run: tg.Run) -> None:
    for where in ({"part": "last"}, {"part": ["last"]}, "part=last"):
        assert run.select("attn_out", layers=0, where=where).n_rows == 3


def test_moments_are_those_of_the_rows(run: tg.Run) -> None:
    moments = run.moments(components="attn_out", layers=1)
    rows = run.select("attn_out", layers=1).rows.astype(float)
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T), rtol=1e-3, atol=1e-4)


def test_norms_are_those_of_the_vectors(run: tg.Run) -> None:
    want = np.linalg.norm(run["blocks.1.attn_out"].astype(float), axis=1)
    np.testing.assert_allclose(run.norms("blocks.1.attn_out"), want, rtol=1e-3)


def test_projects_to_the_programs_bytes(run: tg.Run, run_folder: Path) -> None:
    program("project", run_folder, "--name", "theirs", "--method", "umap", "--components", "attn_out,mlp_out")
    ours = run.umap("ours", components="attn_out,mlp_out", progress=False)
    theirs = run.projection("theirs")
    assert ours.points.tobytes() == theirs.points.tobytes()
    assert {"ours", "theirs"} <= set(run.projections)
    program("project", run_folder, "--name", "pca", "--components", "attn_out")
    assert run.pca(components="attn_out", progress=False).points.tobytes() == run.projection("pca").points.tobytes()
    assert "unsaved" not in run.projections
    run.remove_projection("pca")
    assert "pca" not in run.projections
    with pytest.raises(tg.FileError):
        run.projection("pca")


# --- what cannot be ---


def test_a_closed_run_says_so(run_folder: Path) -> None:
    run = tg.open(run_folder)
    run.close()
    run.close()
    assert run.closed and "closed" in repr(run)
    for use in (lambda: run["embed"], lambda: run.tokens, lambda: run.select(), lambda: run.norms("embed")):
        with pytest.raises(tg.InputError, match="this run is closed: .*; open it again"):
            use()


def test_errors_are_what_a_user_would_catch(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no run at .*: there is no such folder; make one with"):
        tg.open(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError) as caught:
        tg.open(tmp_path / "empty")
    assert isinstance(caught.value, tg.FileError) and isinstance(caught.value, tg.Error)
    assert not isinstance(caught.value, FileNotFoundError)


def test_runs_of_other_formats_are_refused(run_folder: Path, golden: Path, tmp_path: Path) -> None:
    with pytest.raises(tg.FileError, match="of an earlier tomograph: format 1, known is 2; capture it again"):
        tg.open(golden / "runs/format-1")
    shutil.copytree(run_folder, tmp_path / "newer")
    description = json.loads((tmp_path / "newer/run.json").read_text())
    description["format"] = 99
    (tmp_path / "newer/run.json").write_text(json.dumps(description))
    with pytest.raises(tg.FileError, match="was written by a newer tomograph: format 99"):
        tg.open(tmp_path / "newer")


def test_a_damaged_shard_is_refused(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "cut")
    with open(tmp_path / "cut/shards/000000.safetensors", "r+b") as file:
        file.write(b"\xff" * 8)
    with tg.open(tmp_path / "cut") as run, pytest.raises(tg.FileError):
        run["embed"]


def test_words_that_are_none_are_refused(run: tg.Run) -> None:
    with pytest.raises(tg.InputError, match="no component"):
        run.select("attention")
    with pytest.raises(tg.InputError, match="layer"):
        run.select("attn_out", layers="7:9")
    with pytest.raises(tg.InputError, match="no range of layers"):
        run.select("attn_out", layers=1.5)  # type: ignore[arg-type]
    with pytest.raises(tg.InputError, match="its step must be 1"):
        run.select("attn_out", layers=slice(0, 4, 2))
    with pytest.raises(tg.InputError, match="no site blocks.9.z in .*: it has 35 sites, embed to ln_final"):
        run["blocks.9.z"]
    with pytest.raises(tg.InputError, match="no rows"):
        run.select("attn_out").read(5, 2**40)


def test_norms_are_all_there_is_without_vectors(model: tg.Model, tmp_path: Path) -> None:
    run = model.capture("The whale", tmp_path / "run", vectors=False)
    assert list(run) == []
    assert run.norms("embed").shape == (9,)
    with pytest.raises(tg.InputError, match="no vectors of embed are kept"):
        run["embed"]
