"""Models: text in, vectors out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np

from . import _core
from ._errors import FileError, InputError, about
from ._progress import Progress, reporting
from ._runs import Run, open
from ._table import Table, strings
from ._words import Span, Words, commas, listed, span

Message = Mapping[str, str]
Prompt = Union[str, Sequence[int], np.ndarray, Sequence[Message]]


class ModelSite(NamedTuple):
    name: str
    shape: tuple[int, ...]


class Answer(NamedTuple):
    """What a model said: its text, and prompt and answer as token ids."""

    text: str
    tokens: np.ndarray


def _line(prompt: Any) -> dict[str, Any]:
    """A prompt as a line of JSONL says it."""
    if isinstance(prompt, str):
        return {"text": prompt}
    if isinstance(prompt, np.ndarray) or (
        isinstance(prompt, Sequence) and len(prompt) > 0 and all(hasattr(token, "__index__") for token in prompt)
    ):
        ids = np.asarray(prompt)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise InputError(f"an array of {ids.dtype} and shape {ids.shape} is no list of token ids")
        return {"ids": ids.tolist()}
    if isinstance(prompt, Sequence) and len(prompt) > 0 and all(isinstance(message, Mapping) for message in prompt):
        return {"messages": [dict(message) for message in prompt]}
    raise InputError(
        f"{prompt!r} is no prompt; give a text, a list of token ids or a conversation [{{'role': ..., 'content': ...}}]"
    )


def _several(prompts: Any) -> list[Any]:
    """One prompt or several as a list of them."""
    if isinstance(prompts, str):
        return [prompts]
    if isinstance(prompts, np.ndarray):
        return [prompts] if prompts.ndim == 1 else list(prompts)
    if isinstance(prompts, Mapping) or not isinstance(prompts, Iterable):
        return [prompts]
    prompts = list(prompts)
    if prompts and all(hasattr(one, "__index__") or isinstance(one, Mapping) for one in prompts):
        return [prompts]
    return prompts


@contextmanager
def _words(
    prompts: Any,
    *,
    kind: str | None = None,
    files: Iterable[str | os.PathLike[str]] = (),
    word: str = "",
    length: int | None = None,
    sequences: int | None = None,
    vocabulary_rows: int = 0,
    start: bool | None = None,
    special: str = "text",
    chat_template: str = "",
    ask: bool = True,
    generate: int = 0,
    temperature: float = 0,
    stop: Words = None,
    seed: int = 42,
    threads: int = 0,
) -> Iterator[_core.PromptWords]:
    words = _core.PromptWords()
    words.length = length or 0
    words.sequences = sequences or 0
    words.rows = vocabulary_rows
    words.word = word
    words.start = "" if start is None else "yes" if start else "no"
    words.special = special
    words.chat_template = chat_template
    words.ask = ask
    words.seed = seed
    words.threads = threads
    words.generate = generate
    words.temperature = temperature
    words.stops = listed(stop)
    paths = [os.fspath(file) for file in files]
    if prompts is None:
        words.kind = kind or ("repeat" if word else "text")
        words.files = paths
        yield words
        return
    if kind not in (None, "prompt", "jsonl") or paths:
        raise InputError(f"prompts were given together with {'files' if paths else 'kind=' + repr(kind)}; give one of them")
    given = _several(prompts)
    if not given:
        raise InputError("there are no prompts; give at least one")
    if all(isinstance(prompt, str) for prompt in given):
        words.kind = "prompt"
        words.texts = given
        yield words
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompts.jsonl"
        path.write_text("".join(json.dumps(_line(prompt)) + "\n" for prompt in given), encoding="utf-8")
        words.kind = "jsonl"
        words.files = [str(path)]
        yield words


class Model:
    """A GGUF, opened with llama.cpp; or "bytes-gpt2" or "bytes-llama", two small models of bytes that are part of
    the package. One thread uses it at a time; another gets an InputError. Ctrl-C ends what it does. threads: how many
    it computes with where a call does not say; 0: all. weights: how they are held: "as-stored", "f32" (decoded
    into memory, nearer to what was stored and faster for more than a few tokens) or "auto" (f32 where it fits).

    Errors: MissingFileError, FileError where it is no model that can be read.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0, weights: str = "auto") -> None:
        self._threads = threads
        try:
            self._core = _core.open_model(os.fspath(path), weights, threads, None)
        except FileError as error:
            raise about(path, error) from None

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Free the model's memory."""
        self._core.close()

    @property
    def closed(self) -> bool:
        return self._core.closed

    @property
    def info(self) -> dict[str, Any]:
        """Its header: name, architecture, type, d_model, n_layers, n_heads, context_length, n_vocab, …"""
        return self._core.info

    @property
    def sites(self) -> list[ModelSite]:
        """Every site that can be read or changed, in network order."""
        return [ModelSite(name, tuple(shape)) for name, shape in self._core.sites()]

    def _count(self, threads: int | None) -> int:
        return self._threads if threads is None else threads

    def tokenize(self, text: str, *, special: bool = False) -> np.ndarray:
        """Token ids, int32 [n], without a start token. special: special tokens that are spelt in the text are those
        tokens."""
        return self._core.tokenize(text, special)

    def pieces(self, tokens: Any) -> list[bytes]:
        """The bytes that each token stands for. Errors: InputError for an id that the model has not."""
        ids = np.asarray(tokens)
        if ids.ndim != 1 or (len(ids) > 0 and ids.dtype.kind not in "iu"):
            raise InputError(f"an array of {ids.dtype} and shape {ids.shape} is no list of token ids")
        return self._core.pieces([int(token) for token in ids])

    def detokenize(self, tokens: Any) -> str:
        """The text of token ids; broken characters become U+FFFD."""
        return b"".join(self.pieces(tokens)).decode("utf-8", "replace")

    def activations(
        self,
        prompt: Prompt,
        components: Words = None,
        layers: Span = None,
        *,
        exact: bool = False,
        threads: int | None = None,
        progress: Progress = False,
        **prompt_words: Any,
    ) -> dict[str, np.ndarray]:
        """What the model computes on one short prompt, in memory: site name to float32 [n_tokens, ...], and
        "tokens", the ids that were read (with the start token where the model has one). `prompt_words`: start,
        special, length, chat_template, ask, generate, temperature, stop, as capture()'s."""
        with _words([prompt], threads=self._count(threads), **prompt_words) as words, reporting(progress) as report:
            tokens, values = self._core.activations(words, commas(components), span(layers, "layers"), exact, self._count(threads), report)
        return {"tokens": tokens, **values}

    def stream(
        self,
        prompts: Any,
        tap: Callable[[str, int, int, np.ndarray], Any],
        components: Words = None,
        layers: Span = None,
        *,
        exact: bool = False,
        threads: int | None = None,
        progress: Progress = False,
        **prompt_words: Any,
    ) -> int:
        """Call tap(site, sequence, first_position, values) with every value as it is computed, float32 [n, ...];
        nothing is kept. What the tap raises ends the run and is raised here. Returns how many tokens were read."""
        with _words(prompts, threads=self._count(threads), **prompt_words) as words, reporting(progress) as report:
            return self._core.stream(words, tap, commas(components), span(layers, "layers"), exact, self._count(threads), report)

    def scores(self, prompt: Prompt, *, exact: bool = False, threads: int | None = None, **prompt_words: Any) -> Table:
        """What the model expected of each token of a prompt: token_id, piece, logprob (natural logarithm), entropy
        (nats) and rank; NaN for the first, which nothing predicts."""
        with _words([prompt], threads=self._count(threads), **prompt_words) as words:
            tokens, logprob, entropy, rank, _ = self._core.expected(words, exact, self._count(threads), None)
        pieces = strings([piece.decode("utf-8", "replace") for piece in self.pieces(tokens)])
        return Table({"token_id": tokens, "piece": pieces, "logprob": logprob, "entropy": entropy, "rank": rank})

    def logits(self, prompt: Prompt, *, exact: bool = False, threads: int | None = None, **prompt_words: Any) -> np.ndarray:
        """Logits of what follows a prompt, float32 [n_vocab]."""
        with _words([prompt], threads=self._count(threads), **prompt_words) as words:
            return self._core.expected(words, exact, self._count(threads), None)[4]

    def generate(
        self,
        prompts: Any,
        max_tokens: int = 64,
        *,
        temperature: float = 0,
        stop: Words = None,
        seed: int = 42,
        progress: Progress = False,
        **prompt_words: Any,
    ) -> list[Answer]:
        """Let the model go on with each prompt. temperature 0: always the most probable token."""
        if max_tokens < 1:
            raise InputError(f"max_tokens is {max_tokens}; it is 1 or more")
        with _words(
            prompts, generate=max_tokens, temperature=temperature, stop=stop, seed=seed, threads=self._threads, **prompt_words
        ) as words:
            with reporting(progress) as report:
                texts, tokens = self._core.generate(words, report)
        return [Answer(text, ids) for text, ids in zip(texts, tokens)]

    def capture(
        self,
        prompts: Any = None,
        out: str | os.PathLike[str] | None = None,
        *,
        components: Words = None,
        layers: Span = None,
        positions: Span = None,
        sample: float = 1.0,
        vectors: bool = True,
        vector_components: Words = None,
        dtype: str = "auto",
        scores: bool = False,
        acts: Any = None,
        exact: bool = False,
        rope_off: bool = False,
        replace: bool = False,
        resume: bool = False,
        shard_mb: float = 256,
        threads: int | None = None,
        seed: int = 42,
        progress: Progress = True,
        **prompt_words: Any,
    ) -> Run:
        """Read prompts and write a run folder, as `tomograph capture`.

        prompts: a text, a list of token ids, a conversation [{"role", "content"}], or a list of such; or None with
            files=[...] (text files), word="..." (one repeated token) or kind="text" (a chapter of Moby-Dick),
            "vocabulary" or "positions".
        out: the folder. replace: also where a run is; resume: go on with one that was interrupted.
        acts: what is changed while the model reads, as intervene()'s.
        prompt_words: length, sequences, start, special, chat_template, ask, generate, temperature, stop,
            vocabulary_rows.

        Errors: InputError, FileError as the command line has them; KeyboardInterrupt keeps what is whole.
        """
        if out is None:
            raise InputError("a capture needs a folder to write; give out='...'")
        if replace and resume:
            raise InputError("replace and resume exclude each other; give one of them")
        how = _core.CaptureWords()
        how.components = commas(components)
        how.vector_components = commas(vector_components)
        how.layers = span(layers, "layers")
        how.positions = span(positions, "positions")
        how.sample = sample
        how.vectors = vectors
        how.dtype = dtype
        how.scores = scores
        how.exact = exact
        how.rope_off = rope_off
        how.begin = "replace" if replace else "resume" if resume else "fresh"
        how.shard_mb = shard_mb
        how.threads = self._count(threads)
        how.seed = seed
        with _words(prompts, seed=seed, threads=self._count(threads), **prompt_words) as words, _spec(acts) as spec, reporting(progress) as report:
            self._core.capture(words, os.fspath(out), how, spec, report)
        return open(out)

    def intervene(
        self,
        prompts: Any,
        acts: Any,
        *,
        contrast: Sequence[str] = (),
        control: bool = True,
        bootstrap: int = 1000,
        seed: int = 42,
        exact: bool = False,
        threads: int | None = None,
        progress: Progress = True,
        **prompt_words: Any,
    ) -> dict[str, Any]:
        """Change what the model computes and measure what its next tokens lose by it: what `tomograph intervene
        --json` prints (loss before, after, change and interval; KL; the control in random directions). acts: one
        or a list of {"act", "site", …} as docs/interventions.md has them, where a direction may also be an array."""
        if len(contrast) not in (0, 2):
            raise InputError(f"a contrast is of two words, not of {len(contrast)}")
        with _words(prompts, seed=seed, threads=self._count(threads), **prompt_words) as words, _spec(acts) as spec, reporting(progress) as report:
            return self._core.intervene(words, spec, list(contrast), control, bootstrap, seed, exact, self._count(threads), report)

    def __repr__(self) -> str:
        if self.closed:
            return "Model, closed"
        info = self.info
        return f"Model {info['name']}: {info['architecture']}, {info['n_layers']} layers of {info['d_model']}, {info['type']}"


@contextmanager
def _spec(acts: Any) -> Iterator[Any]:
    """Acts as their file says them. A direction may be an array, which such a file cannot hold: it lies beside as one
    of NumPy's files while the acts are read."""
    if acts is None:
        yield None
        return
    listed_acts = acts["acts"] if isinstance(acts, Mapping) and "acts" in acts else acts
    if isinstance(listed_acts, Mapping):
        listed_acts = [listed_acts]
    with tempfile.TemporaryDirectory() as folder:
        spec = []
        for number, act in enumerate(listed_acts):
            if not isinstance(act, Mapping):
                raise InputError(f"{act!r} is no act; give {{'act': ..., 'site': ...}}")
            if (direction := act.get("direction")) is not None:
                many = direction if isinstance(direction, (list, tuple)) else [direction]
                if many and all(isinstance(one, (int, float)) for one in many):
                    many = [np.asarray(many)]
                names = []
                for one in many:
                    if isinstance(one, (str, os.PathLike)):
                        names.append(os.fspath(one))
                        continue
                    path = Path(folder) / f"direction-{number}-{len(names)}.npy"
                    np.save(path, np.asarray(one, dtype=np.float32))
                    names.append(str(path))
                act = {**act, "direction": names if len(names) != 1 else names[0]}
            spec.append(dict(act))
        yield {"acts": spec}
