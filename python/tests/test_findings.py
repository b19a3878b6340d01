from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import PROMPTS, program

import tomograph as tg


def test_findings_are_the_programs(text_run: tg.Run) -> None:
    report = tg.measure(text_run, save=True, progress=False)
    theirs = json.loads(program("measure", text_run.path, "--json"))
    for mine, finding in zip(report.json["findings"], theirs["findings"], strict=True):
        for key in ("name", "effect", "interval", "null", "p", "verdict"):
            assert mine[key] == finding[key]
    assert list(text_run.findings) == list(report)
    assert report["anisotropy"]["verdict"] in report._repr_html_()
    assert report.table.n_rows == len(report)
    assert len(report.to_pandas()) == len(report)


def test_other_runs_are_held_beside(model: tg.Model, tmp_path: Path) -> None:
    """Each is what the program makes of the same folders."""
    words: dict[str, object] = {"kind": "text", "sequences": 4, "length": 48, "progress": False}
    with tg.Model("bytes-llama", threads=1) as llama:
        text = llama.capture(out=tmp_path / "text", scores=True, **words)
        llama.capture(out=tmp_path / "off", rope_off=True, scores=True, **words)
        llama.capture(out=tmp_path / "dose", rope_frequency=0.5, scores=True, **words)
        llama.capture(out=tmp_path / "context", context=8, scores=True, **words)
    only = ["rope_share", "rope_dose", "context_share"]
    report = tg.measure(
        text,
        rope_off_run=tmp_path / "off",
        rope_dose_runs=[tmp_path / "dose"],
        context_run=tg.open(tmp_path / "context"),
        only=only,
        bootstrap=20,
        progress=False,
    )
    flags = ["--rope-off-run", tmp_path / "off", "--rope-dose-run", tmp_path / "dose", "--context-run", tmp_path / "context"]
    theirs = json.loads(program("measure", text.path, "--json", "--bootstrap", 20, "--only", ",".join(only), *flags))
    assert sorted(report) == sorted(only)
    assert {f["name"]: f["effect"] for f in theirs["findings"]} == {name: report[name]["effect"] for name in report}
    assert report["context_share"]["effect"] is not None
    assert list(tg.measure(text, only="anisotropy", bootstrap=20, progress=False)) == ["anisotropy"]
    with pytest.raises(tg.InputError, match="spectra"):
        tg.measure(text, only="spectra", progress=False)
    with pytest.raises(tg.InputError):
        tg.measure(text, planted_run=text, repeat_run=text, bootstrap=20, progress=False)


def test_findings_that_were_not_measured_are_missing(run: tg.Run) -> None:
    with pytest.raises(tg.FileError):
        run.findings


def test_a_run_of_another_text_is_no_twin(run: tg.Run, text_run: tg.Run) -> None:
    with pytest.raises(tg.InputError):
        tg.measure(text_run, twins=[run], progress=False)


def test_a_run_has_not_moved_from_itself(run: tg.Run, run_folder: Path) -> None:
    comparison = tg.compare(run, run_folder, progress=False)
    assert comparison.common_tokens == run.n_tokens - len(PROMPTS)  # first tokens are left out
    np.testing.assert_allclose(comparison.sites["relative_change"], 0)
    assert "<table>" in comparison._repr_html_()


def test_runs_of_other_texts_are_not_compared(run: tg.Run, text_run: tg.Run) -> None:
    with pytest.raises(tg.InputError):
        tg.compare(run, text_run, progress=False)
