from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import program

import tomograph as tg

WORDS = {"sequences": 4, "length": 48, "rows": 64, "progress": False}


@pytest.fixture(scope="module")
def lens(model: tg.Model) -> tg.Lens:
    return model.lens(stream_only=True, **WORDS)


def test_a_lens_is_the_programs(model: tg.Model, lens: tg.Lens) -> None:
    theirs = json.loads(
        program("lens", "bytes-gpt2", "--sequences", 4, "--length", 48, "--rows", 64, "--stream-only", "--json", "--threads", 1)
    )
    assert lens.json == theirs
    assert set(lens.table["component"]) == {"resid_post"}
    assert sorted(set(lens.table["layer"])) == [0, 1, 2, 3]
    last = (lens.table["layer"] == 3) & (lens.table["lens"] == "logit")
    assert lens.table["agrees"][last] == 1
    assert lens.table["kl"][last] < 1e-2 < lens.mean_answer["kl"]  # type: ignore[operator]
    assert lens.depth["ridge"]["by_kl"] == theirs["depth"]["ridge"]["by_kl"]
    assert "64 tokens" in repr(lens) and "<table>" in lens._repr_html_()
    assert len(lens.to_pandas()) == 8


def test_a_run_is_read_where_it_lies(model: tg.Model, lens: tg.Lens, tmp_path: Path) -> None:
    kept = model.lens(out=tmp_path / "kept", stream_only=True, **WORDS)
    assert kept.json == lens.json
    with tg.open(tmp_path / "kept") as run:
        np.testing.assert_array_equal(run.tokens["lens_depth"], kept.token_depth["logit"])
        assert kept.token_depth["ridge"].shape == (run.n_tokens,)
        assert np.isfinite(kept.token_depth["ridge"]).sum() == 64
        again = model.lens(run=run, rows=64, stream_only=True, progress=False)
        assert again.json == lens.json
        with pytest.raises(tg.InputError, match="leave prompts, out"):
            model.lens("whale", run=run)
    with pytest.raises(tg.FileError):
        model.lens(out=tmp_path / "kept", **WORDS)
    capture = model.capture(kind="text", out=tmp_path / "run", sequences=4, length=48, components="resid_post", dtype="f32")
    model.lens(run=capture.path, rows=64, progress=False)
    assert "lens_depth" not in tg.open(tmp_path / "run").tokens
    model.lens(run=capture, rows=64, save=True, progress=False)
    assert "lens_depth" in tg.open(tmp_path / "run").tokens
    assert tg.measure(tmp_path / "run", only="answer_depth", bootstrap=20, progress=False)["answer_depth"]["effect"] is not None


def test_a_twin_reads_the_same_tokens(model: tg.Model, tmp_path: Path) -> None:
    program("randomize", "bytes-gpt2", "--out", tmp_path / "twin.gguf")
    lens = model.lens(twins=[tmp_path / "twin.gguf"], stream_only=True, **WORDS)
    assert len(lens.twins) == 1
    assert lens.twins[0].n_rows == lens.table.n_rows
    ax = tg.plot.lens(lens)
    assert [line.get_label() for line in ax.lines] == [
        "stream, ridge lens", "stream, logit lens", "untrained twin", "mean answer",
    ]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), lens.table["kl"][lens.table["lens"] == "logit"])
    tg.plot.lens(lens, "rank")
    with pytest.raises(tg.InputError, match="says kl, rank and agrees"):
        tg.plot.lens(lens, "loss")
    with pytest.raises(tg.Error):
        model.lens(twins=[tmp_path / "none.gguf"], stream_only=True, **WORDS)
    assert model.activations("whale", "embed")["embed"].shape == (5, 128)


def test_words_are_the_programs(model: tg.Model) -> None:
    prompts = ["The whale", "Call me"]
    theirs = json.loads(
        program("lens", "bytes-gpt2", "--prompt", prompts[0], "--prompt", prompts[1], "--top", 3, "--json", "--threads", 1)
    )["prompts"]
    readings = model.lens_words(prompts, top=3)
    assert len(readings) == 2
    for ours, want in zip(readings, theirs):
        assert ours.top.shape == (4, len(want["tokens"]), 3)
        assert [token["token"] for token in want["tokens"]] == ours.tokens.tolist()
        for layer, positions in enumerate(want["layers"]):
            assert positions["layer"] == ours.layers[layer]
            for t, cell in enumerate(positions["positions"]):
                assert [word["token"] for word in cell["top"]] == ours.top[layer, t].tolist()
                np.testing.assert_allclose([w["probability"] for w in cell["top"]], ours.probabilities[layer, t], rtol=1e-4)
                np.testing.assert_allclose(cell["kl"] or 0, ours.kl[layer, t], rtol=1e-3, atol=1e-5)
    first = readings[0]
    assert first.model_top[-1, 0] == model.logits("The whale").argmax()
    assert first.words[0, 0, 0] == model.detokenize(first.top[0, 0, :1])
    assert "".join(first.pieces) == "The whale"
    assert first._repr_html_().count("<tr>") == 6


def test_ridge_words_are_fitted_on_a_text(model: tg.Model) -> None:
    words = {"sequences": 4, "length": 48}
    (ridge,) = model.lens_words("The whale", lens="ridge", fitted_on=words)
    (logit,) = model.lens_words("The whale")
    assert ridge.kl.shape == logit.kl.shape
    assert not np.array_equal(ridge.top, logit.top)
    with pytest.raises(tg.InputError, match="there are logit and ridge"):
        model.lens_words("whale", lens="tuned")
    with pytest.raises(tg.InputError, match="fitted on nothing"):
        model.lens_words("whale", fitted_on=words)
    with pytest.raises(tg.InputError):
        model.lens_words("whale", top=0)


def test_a_run_of_another_model_is_refused(model: tg.Model, tmp_path: Path) -> None:
    with tg.Model("bytes-llama", threads=1) as other:
        run = other.capture(kind="text", out=tmp_path / "run", sequences=2, length=32, components="resid_post", dtype="f32")
    with pytest.raises(tg.InputError):
        model.lens(run=run, progress=False)
    with pytest.raises(tg.InputError):
        model.lens("one sequence alone", progress=False)
