from __future__ import annotations

import json
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
from conftest import PROMPTS, program, with_start_token

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


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"kind": "text", "context": 4}, ["--context", 4]),
        ({"kind": "text", "plant_start": 5, "start": True}, ["--plant-start", 5, "--start", "yes"]),
        ({"kind": "text", "rope_frequency": 0.5}, ["--rope-frequency", 0.5]),
        ({"kind": "text", "rope_off": True, "generate": 4, "exact": True}, ["--rope-off", "--generate", 4, "--exact"]),
        ({"kind": "text", "stride": 7}, ["--stride", 7]),
        ({"kind": "text", "documents": "file"}, ["--documents", "file"]),
        ({"token": 119, "prefix": "start"}, ["--prompts", "repeat", "--token", 119, "--prefix", "start"]),
        ({"word": "w", "prefix": 104}, ["--prompts", "repeat", "--word", "w", "--prefix", 104]),
        ({"kind": "text", "keep": ["means", "moments", "scores:4"]}, ["--keep", "means,moments,scores:4"]),
        ({"kind": "text", "positions": -1}, ["--last"]),
        ({"kind": "text", "budget": 400_000, "fit_tokens": 48}, ["--budget", "400KB", "--fit-tokens", 48]),
    ],
    ids=lambda words: next(iter({k: v for k, v in words.items() if k != "kind"})) if isinstance(words, dict) else "",
)
def test_what_it_can_be_told_is_what_the_program_can(
    golden: Path, tmp_path: Path, ours: dict[str, object], theirs: list[object]
) -> None:
    path = with_start_token(golden, tmp_path) if "plant_start" in ours or "prefix" in ours else "bytes-llama"
    sizes: dict[str, object] = {"length": 24} if "prefix" in ours else {"sequences": 3, "length": 24}
    with tg.Model(path, threads=1) as model:
        model.capture(out=tmp_path / "ours", progress=False, **sizes, **ours).close()
    flags = [word for name, value in sizes.items() for word in (f"--{name}", value)]
    program("capture", path, "--out", tmp_path / "theirs", "--threads", 1, *flags, *theirs)
    files = [file.relative_to(tmp_path / "theirs") for file in (tmp_path / "theirs").rglob("*.safetensors")]
    assert len(files) > 2
    for file in files:
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes(), file


def test_texts_have_labels_and_lines_segments(model: tg.Model, tmp_path: Path) -> None:
    run = model.capture(["one", "two"], tmp_path / "run", labels=["first", "second"], progress=False)
    assert list(run.tokens["label"]) == ["first"] * 3 + ["second"] * 3
    line = {"segments": [{"label": "who", "text": "The whale"}, {"label": "what", "text": " swims"}]}
    for number, prompts in enumerate((line, [line, {"text": "a"}])):
        run = model.capture(prompts, tmp_path / str(number), progress=False)
        assert list(run.tokens["label"][[0, 9]]) == ["who", "what"]
    with pytest.raises(tg.InputError, match="there are 1 labels for 2 prompts"):
        model.capture(["one", "two"], tmp_path / "none", labels=["first"])
    with pytest.raises(tg.InputError, match="labels has no meaning"):
        model.capture([[84, 104], "two"], tmp_path / "none", labels=["first", "second"])


def test_a_decoder_reads_a_source_beside_its_text(golden: Path, tmp_path: Path) -> None:
    path, pair = golden / "models/t5.gguf", {"source": "The whale is white and swims.", "target": "a whale"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    for side in ("source", "target"):
        with tg.Model(path, threads=1, side=side) as model:
            assert model.info["side"] == side
            run = model.capture(pair, tmp_path / side, progress=False)
            values = model.activations(pair, "resid_post")
            np.testing.assert_allclose(values["blocks.0.resid_post"], run["blocks.0.resid_post"], rtol=1e-2, atol=1e-2)
        program("capture", path, "--side", side, "--jsonl", tmp_path / "pairs.jsonl", "--out", tmp_path / f"{side}-cli", "--threads", 1)
        shard = "shards/000000.safetensors"
        assert (tmp_path / side / shard).read_bytes() == (tmp_path / f"{side}-cli" / shard).read_bytes()
    with pytest.raises(tg.InputError, match="there are source and target"):
        tg.Model(path, side="left")
    with pytest.raises(tg.Error):
        tg.Model("bytes-gpt2", side="target")


def test_parts_make_the_whole(model: tg.Model, tmp_path: Path) -> None:
    # Without means, whose sums make shards larger than a batch.
    words: dict[str, object] = {"kind": "text", "sequences": 20, "length": 128, "shard_mb": 0.001, "progress": False}
    words["keep"] = ["norms", "vectors"]
    model.capture(out=tmp_path / "whole", **words).close()
    parts = [model.capture(out=tmp_path / f"part-{i}", part=(i, 2), **words) for i in (1, 2)]
    with pytest.raises(tg.FileError, match="missing"):
        tg.merge(parts[:1], tmp_path / "merged", progress=False)
    merged = tg.merge(parts, tmp_path / "merged", progress=False)
    assert merged.n_tokens == 20 * 128
    for file in (tmp_path / "whole").rglob("*.safetensors"):
        name = file.relative_to(tmp_path / "whole")
        assert file.read_bytes() == (merged.path / name).read_bytes()


def test_words_without_meaning_are_refused(model: tg.Model, tmp_path: Path) -> None:
    for words in (
        {"context": 0},
        {"plant_start": -1},
        {"rope_frequency": 0.0},
        {"rope_frequency": 2.0, "rope_off": True},
        {"keep": "spectra"},
        {"keep": "vectors:2"},
        {"keep": "vectors,scores:4"},
        {"keep": "norms", "sample": 0.5},
        {"budget": "some"},
        {"budget": 10},
        {"part": (3, 2)},
        {"documents": "page"},
        {"documents": "file", "stride": 4},
        {"prefix": "start"},
        {"token": 5, "word": "w"},
        {"kind": "jsonl"},
        {"kind": "positions", "plant_start": 2},
    ):
        with pytest.raises(tg.InputError):
            model.capture(out=tmp_path / "none", **words)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_acts_may_be_a_file_whose_names_are_relative_to_it(model: tg.Model, tmp_path: Path) -> None:
    direction = np.eye(128, dtype=np.float32)[5] * 3
    np.save(tmp_path / "d.npy", direction)
    act = {"act": "add", "site": "blocks.1.resid_post", "direction": "d.npy"}
    (tmp_path / "acts.json").write_text(json.dumps({"acts": [act]}))
    run = model.capture("whale", tmp_path / "run", acts=tmp_path / "acts.json", dtype="f32", progress=False)
    same = model.capture("whale", tmp_path / "same", acts={**act, "direction": direction}, dtype="f32", progress=False)
    np.testing.assert_array_equal(run["blocks.1.resid_post"], same["blocks.1.resid_post"])
    theirs = json.loads(program("intervene", "bytes-gpt2", "--spec", tmp_path / "acts.json", "--json", "--threads", 1))
    assert model.intervene(None, tmp_path / "acts.json", progress=False) == theirs
    with pytest.raises(FileNotFoundError):
        model.intervene("whale", tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(tg.InputError, match="holds no acts"):
        model.intervene("whale", tmp_path / "broken.json")


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
import signal, sys, time, tomograph as tg
signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background it is ignored
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
