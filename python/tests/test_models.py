from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROMPTS, program

import tomograph as tg

# What a batch of several prompts may differ by from one of them alone: GELU is computed through a table of half precision.
TOLERANCE = 0.02


def test_says_what_it_is(model: tg.Model) -> None:
    assert model.info["architecture"] == "gpt2"
    assert model.sites[0] == ("embed", (128,))
    assert len(model.sites) == 35
    assert "bytes-gpt2" in repr(model)


def test_decodes_weights_unless_told_otherwise(tmp_path: Path) -> None:
    small = tmp_path / "q8.gguf"
    program("quantize", "bytes-llama", "--type", "q8_0", "--out", small)
    with tg.Model(small, weights="f32") as decoded:
        assert (decoded.info["type"], decoded.info["held"]) == ("Q8_0", "F32")
    with tg.Model(small) as decoded:
        assert decoded.info["held"] == "F32"
    with tg.Model(small, weights="as-stored") as stored:
        assert "held" not in stored.info
    with pytest.raises(tg.InputError, match="int4"):
        tg.Model(small, weights="int4")


def test_text_becomes_tokens_and_text_again(model: tg.Model) -> None:
    ids = model.tokenize("whale")
    assert ids.dtype == np.int32
    assert model.detokenize(ids) == "whale"
    assert model.pieces([119, 195]) == [b"w", b"\xc3"]
    assert model.detokenize([195]) == "\ufffd"


def test_activations_are_what_a_capture_keeps(model: tg.Model, tmp_path: Path) -> None:
    run = model.capture("The whale", tmp_path / "run", dtype="f32")
    values = model.activations("The whale")
    assert set(values) == {"tokens", *run}
    for name in run:
        np.testing.assert_allclose(values[name], run[name], rtol=1e-4, atol=1e-5)
    assert values["blocks.0.z"].shape == (9, 4, 32)


def test_activations_are_of_what_is_asked(model: tg.Model) -> None:
    assert set(model.activations([84, 104], "resid_post", layers=-1)) == {"tokens", "blocks.3.resid_post"}


def test_scores_are_those_of_a_capture(model: tg.Model, run: tg.Run) -> None:
    scores = model.scores(PROMPTS[0])
    mine = run.tokens["sequence"] == 0
    for name in ("logprob", "entropy", "rank"):
        np.testing.assert_allclose(scores[name], run.tokens[name][mine], atol=TOLERANCE, rtol=1e-2)


def test_logits_say_what_is_generated(model: tg.Model) -> None:
    logits = model.logits("The whal")
    assert logits.shape == (256,)
    answer = model.generate("The whal", 1)[0]
    assert answer.tokens[-1] == logits.argmax()
    assert answer.text == chr(logits.argmax())


def test_prompts_may_be_ids_and_conversations(model: tg.Model, tmp_path: Path) -> None:
    run = model.capture([[84, 104, 101], "whale"], tmp_path / "mixed")
    assert "".join(run.tokens["piece"]) == "Thewhale"
    assert model.capture(np.array([84, 104]), tmp_path / "array").n_tokens == 2
    chat = [{"role": "user", "content": "hi"}]
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    run = model.capture(chat, tmp_path / "chat", chat_template=template)
    assert "".join(run.tokens["piece"]) == "<user>hi"
    assert run.tokens["role"][0] == "user"
    with pytest.raises(tg.InputError, match="has no chat template"):
        model.capture(chat, tmp_path / "none")
    for wrong in ([1.5], [None], {"a": 1}, [[]], []):
        with pytest.raises(tg.InputError):
            model.capture(wrong, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_captures_the_programs_bytes(model: tg.Model, tmp_path: Path) -> None:
    model.capture(kind="text", out=tmp_path / "ours", sequences=2, length=32)
    program("capture", "bytes-gpt2", "--sequences", 2, "--length", 32, "--out", tmp_path / "theirs")
    for file in ("shards/000000.safetensors", "tokens.safetensors", "stats/norms.safetensors"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes()


def test_streams_what_it_reads(model: tg.Model) -> None:
    got: dict[int, list[np.ndarray]] = {}

    def tap(site: str, sequence: int, first: int, values: np.ndarray) -> None:
        assert site == "blocks.1.mlp_out"
        assert first == sum(len(part) for part in got.get(sequence, []))
        got.setdefault(sequence, []).append(values)

    assert model.stream(PROMPTS, tap, "mlp_out", layers=1) == sum(map(len, PROMPTS))
    for sequence, prompt in enumerate(PROMPTS):
        want = model.activations(prompt, "mlp_out", layers=1)["blocks.1.mlp_out"]
        np.testing.assert_allclose(np.concatenate(got[sequence]), want, atol=TOLERANCE)


def test_what_a_tap_raises_is_raised(model: tg.Model) -> None:
    def tap(*_: object) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        model.stream("whale", tap)
    assert model.activations("whale", "embed")["embed"].shape == (5, 128)


def test_acts_change_what_follows(model: tg.Model, tmp_path: Path) -> None:
    act = {"act": "zero", "site": "blocks.1.mlp_out"}
    effect = model.intervene(PROMPTS, [act], bootstrap=50, progress=False)
    assert effect["loss"]["after"] > effect["loss"]["before"]
    run = model.capture("whale", tmp_path / "run", acts=act)
    assert not run["blocks.1.mlp_out"].any()
    with pytest.raises(tg.InputError, match="act"):
        model.intervene(PROMPTS, [{"act": "nothing", "site": "blocks.1.mlp_out"}])


def test_a_direction_may_be_an_array(model: tg.Model, tmp_path: Path) -> None:
    before = model.activations("whale", "resid_post", layers=1)["blocks.1.resid_post"]
    direction = np.zeros(128, np.float32)
    direction[5] = 3
    act = {"act": "add", "site": "blocks.1.resid_post", "direction": direction}
    run = model.capture("whale", tmp_path / "run", acts=act, dtype="f32")
    np.testing.assert_allclose(run["blocks.1.resid_post"] - before, np.tile(direction, (5, 1)), atol=1e-3)
    plane = [np.eye(128)[3], direction]
    turned = {"act": "project_out", "site": "blocks.1.resid_post", "direction": plane}
    run = model.capture("whale", tmp_path / "out", acts=turned, dtype="f32")
    np.testing.assert_allclose(run["blocks.1.resid_post"][:, [3, 5]], 0, atol=1e-3)
    with pytest.raises(tg.InputError):
        model.intervene(PROMPTS, {**act, "direction": direction[:7]})


def test_an_existing_run_is_not_replaced_unasked(model: tg.Model, tmp_path: Path) -> None:
    model.capture("a whale", tmp_path / "run").close()
    with pytest.raises(tg.FileError):
        model.capture("another", tmp_path / "run")
    assert model.capture("another", tmp_path / "run", replace=True).n_tokens == 7


def test_progress_is_told_and_may_end_it(model: tg.Model, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    told: list[tuple[str, int, int, str]] = []

    def tell(*words: object) -> None:
        told.append(words)  # type: ignore[arg-type]
        raise Enough

    with pytest.raises(Enough):
        model.capture(kind="text", out=tmp_path / "run", sequences=500, length=128, progress=tell)
    assert len(told) == 1
    model.capture("whale", tmp_path / "after")


# --- what goes wrong ---


def test_a_missing_model_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tg.Model(tmp_path / "none.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(tg.FileError):
        tg.Model(tmp_path / "x.gguf")


def test_a_closed_model_says_so() -> None:
    with tg.Model("bytes-gpt2") as model:
        pass
    assert model.closed
    with pytest.raises(tg.InputError, match="bytes-gpt2 is closed: .*; open it again"):
        model.tokenize("x")


def test_a_model_serves_one_thread_at_a_time(tmp_path: Path) -> None:
    model = tg.Model("bytes-gpt2", threads=1)
    inside, leave = threading.Event(), threading.Event()

    def tap(*_: object) -> None:
        inside.set()
        leave.wait(30)

    thread = threading.Thread(target=model.stream, args=("whale", tap, "embed"))
    thread.start()
    assert inside.wait(30)
    try:
        with pytest.raises(tg.InputError, match="bytes-gpt2 is in use: another thread works with it"):
            model.activations("whale")
        with pytest.raises(tg.InputError, match="is in use"):
            model.close()
        assert tg.Model("bytes-llama", threads=1).activations("a", "embed")["embed"].shape[1] > 0
    finally:
        leave.set()
        thread.join()
    model.close()


def test_ids_that_are_none_are_refused(model: tg.Model) -> None:
    for wrong in ([256], [-1], np.array([[1, 2]]), np.array([0.5])):
        with pytest.raises(tg.InputError):
            model.activations(wrong)
        with pytest.raises(tg.InputError):
            model.pieces(wrong)
    with pytest.raises(tg.InputError):
        model.activations("")
    with pytest.raises(tg.InputError):
        model.activations("x" * 10_000, length=10_000)


INTERRUPTED = """
import sys, time, tomograph as tg
model = tg.Model("bytes-gpt2", threads=1)
print("begin", flush=True)
begin = time.monotonic()
try:
    model.capture(kind="text", out=sys.argv[1], sequences=100000, length=128)
except KeyboardInterrupt:
    assert model.activations("whale", "embed")["embed"].shape == (5, 128)
    print("interrupted")
else:
    print("ended by itself")
"""


def test_ctrl_c_ends_what_it_does(tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_text("The whale is white. " * 200_000)
    code = INTERRUPTED.replace('kind="text"', f"files=[{str(text)!r}]")
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
    assert process.returncode == 0


GIVEN_UP = """
import sys, tomograph as tg
try:
    tg.Model(sys.argv[1])
except tg.Error as error:
    print(error)
print(tg.Model("bytes-gpt2", threads=1).activations("whale", "embed")["embed"].shape)
"""


def test_where_llama_cpp_would_end_the_process_it_goes_on(golden: Path, tmp_path: Path) -> None:
    """Two tokens with one text: llama.cpp asserts that there are none."""
    data = (golden / "models/llama.gguf").read_bytes()
    one = struct.pack("<Q", 1)
    assert data.count(one + b"a" + one + b"b") == 1
    (tmp_path / "x.gguf").write_bytes(data.replace(one + b"a" + one + b"b", one + b"a" + one + b"a"))
    done = subprocess.run(
        [sys.executable, "-c", GIVEN_UP, tmp_path / "x.gguf"], capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("llama.cpp gave up: ") and "GGML_ASSERT" in first
    assert second == "(5, 128)"


def test_activations_take_little_memory() -> None:
    """Of the largest model that is always there: the file, and what one short prompt needs."""
    code = """
import resource, tomograph as tg
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
model = tg.Model("bytes-llama", threads=1); model.info
before = peak()
model.activations("The whale is white.")
print(peak() - before)
"""
    assert int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) < 120
