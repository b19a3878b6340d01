"""Models: text in, vectors out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._errors import FileError, InputError, MissingFileError, about
from ._lens import Lens, Reading
from ._progress import Progress, reporting
from ._prompts import Prompt, prompt_words
from ._runs import Run, folder_of, open, opened
from ._table import Table, strings
from ._words import Span, Words, commas, span


class ModelSite(NamedTuple):
    name: str
    shape: tuple[int, ...]


class Answer(NamedTuple):
    """What a model said: its text, and prompt and answer as token ids."""

    text: str
    tokens: np.ndarray


def _at_least_one(value: int | None, what: str) -> int:
    """0 stands for none where the core reads it."""
    if value is not None and value < 1:
        raise InputError(f"{what} is {value}; it is 1 or more")
    return value or 0


def merge(
    runs: Iterable[Run | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    replace: bool = False,
    copy: bool = False,
    progress: Progress = True,
) -> Run:
    """Put the parts of one capture together, as `tomograph merge`: the run that one process would have written, to the
    byte. Shards are hard links where there can be any, or copies. Errors: FileError where they do not fit or one is
    missing."""
    with reporting(progress) as report:
        _core.merge([folder_of(run) for run in runs], os.fspath(out), replace, copy, report)
    return open(out)


class Model:
    """A GGUF, opened with llama.cpp; or "bytes-gpt2" or "bytes-llama", two small models of bytes that are part of
    the package. One thread uses it at a time; another gets an InputError. Ctrl-C ends what it does. threads: how many
    it computes with where a call does not say; 0: all. weights: how they are held: "as-stored", "f32" (decoded
    into memory, nearer to what was stored and faster for more than a few tokens) or "auto" (f32 where it fits). side: of
    an encoder and a decoder in one file (T5) "source", the encoder, or "target", the decoder, whose prompts are
    {"source": ..., "target": ...}.

    Errors: MissingFileError, FileError where it is no model that can be read.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0, weights: str = "auto", side: str = "source") -> None:
        self._threads = threads
        try:
            self._core = _core.open_model(os.fspath(path), weights, threads, side, None)
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
        **words: Any,
    ) -> dict[str, np.ndarray]:
        """What the model computes on one short prompt, in memory: site name to float32 [n_tokens, ...], and
        "tokens", the ids that were read (with the start token where the model has one). `words`: start,
        special, length, chat_template, ask, generate, temperature, stop, as capture()'s."""
        with prompt_words([prompt], exact=exact, threads=self._count(threads), **words) as given, reporting(progress) as report:
            tokens, values = self._core.activations(given, commas(components), span(layers, "layers"), exact, self._count(threads), report)
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
        **words: Any,
    ) -> int:
        """Call tap(site, sequence, first_position, values) with every value as it is computed, float32 [n, ...];
        nothing is kept. What the tap raises ends the run and is raised here. Returns how many tokens were read."""
        with prompt_words(prompts, exact=exact, threads=self._count(threads), **words) as given, reporting(progress) as report:
            return self._core.stream(given, tap, commas(components), span(layers, "layers"), exact, self._count(threads), report)

    def scores(self, prompt: Prompt, *, exact: bool = False, threads: int | None = None, **words: Any) -> Table:
        """What the model expected of each token of a prompt: token_id, piece, logprob (natural logarithm), entropy
        (nats) and rank; NaN for the first, which nothing predicts."""
        with prompt_words([prompt], exact=exact, threads=self._count(threads), **words) as given:
            tokens, logprob, entropy, rank, _ = self._core.expected(given, exact, self._count(threads), None)
        pieces = strings([piece.decode("utf-8", "replace") for piece in self.pieces(tokens)])
        return Table({"token_id": tokens, "piece": pieces, "logprob": logprob, "entropy": entropy, "rank": rank})

    def logits(self, prompt: Prompt, *, exact: bool = False, threads: int | None = None, **words: Any) -> np.ndarray:
        """Logits of what follows a prompt, float32 [n_vocab]."""
        with prompt_words([prompt], exact=exact, threads=self._count(threads), **words) as given:
            return self._core.expected(given, exact, self._count(threads), None)[4]

    def generate(
        self,
        prompts: Any,
        max_tokens: int = 64,
        *,
        temperature: float = 0,
        stop: Words = None,
        seed: int = 42,
        progress: Progress = False,
        **words: Any,
    ) -> list[Answer]:
        """Let the model go on with each prompt. temperature 0: always the most probable token."""
        if max_tokens < 1:
            raise InputError(f"max_tokens is {max_tokens}; it is 1 or more")
        with prompt_words(
            prompts, generate=max_tokens, temperature=temperature, stop=stop, seed=seed, threads=self._threads, **words
        ) as given:
            with reporting(progress) as report:
                texts, tokens = self._core.generate(given, report)
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
        vector_layers: Span = None,
        dtype: str = "auto",
        scores: bool = False,
        acts: Any = None,
        keep: Words = None,
        budget: str | float | None = None,
        memory: str | float | None = None,
        fit_tokens: int | None = None,
        axes_of: Run | str | os.PathLike[str] | None = None,
        exact: bool = False,
        rope_off: bool = False,
        rope_frequency: float = 1.0,
        context: int | None = None,
        part: tuple[int, int] | None = None,
        replace: bool = False,
        resume: bool = False,
        shard_mb: float = 256,
        threads: int | None = None,
        seed: int = 42,
        progress: Progress = True,
        **words: Any,
    ) -> Run:
        """Read prompts and write a run folder, as `tomograph capture`.

        prompts: a text, a list of token ids, a conversation [{"role", "content"}], a line of JSONL as a dict, such as
            {"segments": [...]}, or a list of such; or None with kind="text" (files=[...]; without, a chapter of
            Moby-Dick), "jsonl" (files=[one]), "repeat" (word="..." or token=ID), "vocabulary" or "positions".
        out: the folder. replace: also where a run is; resume: go on with one that was interrupted.
        components, layers: what is read. positions, sample, vectors, vector_components, vector_layers: of which the
            vectors are kept.
        keep: instead of those, "norms", "means", "moments" and "vectors", "vectors:0.1" or "scores:64", several of them;
            budget, memory: what the run may take of disk and the capture of memory, bytes or "8GB": what is kept is chosen
            for it. fit_tokens, axes_of: how the axes of scores are found, or the run that has them.
        dtype: "auto", "f32", "f16" or "bf16". scores: also what the model expected of each token.
        exact: nearer to float32 references, slower. rope_off, rope_frequency: rotary models without rotation, or rotated
            so many times as fast. context: each token reads its last so many only.
        acts: what is changed while the model reads, as intervene()'s.
        part: (i, n) reads the i-th of n parts, counted from 1, for merge().
        words: of prompts: length, sequences, start, special, chat_template, ask, plant_start (the start token takes this
            position), generate, temperature, stop; of texts labels, one each; of files documents ("file" or "line": each
            is a sequence of its own) and stride; of what is repeated prefix ("start", "none" or a token's id);
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
        how.vector_layers = span(vector_layers, "vector_layers")
        how.layers = span(layers, "layers")
        how.positions = span(positions, "positions")
        how.sample = sample
        how.vectors = vectors
        how.dtype = dtype
        how.scores = scores
        how.exact = exact
        how.rope_off = rope_off
        how.rope_frequency = rope_frequency
        how.context = _at_least_one(context, "context")
        how.begin = "replace" if replace else "resume" if resume else "fresh"
        how.shard_mb = shard_mb
        how.threads = self._count(threads)
        how.seed = seed
        how.part, how.parts = part or (1, 1)
        kept = _core.KeepWords()
        kept.keep = commas(keep)
        kept.budget, kept.memory = ("" if size is None else str(size) for size in (budget, memory))
        kept.fit_tokens = _at_least_one(fit_tokens, "fit_tokens")
        if axes_of is not None:
            kept.axes_of = folder_of(axes_of)
        how.keep = kept
        reading: dict[str, Any] = {"seed": seed, "exact": exact, "rope_off": rope_off, "rope_frequency": rope_frequency}
        with prompt_words(prompts, threads=self._count(threads), **reading, **words) as given, _spec(acts) as spec:
            with reporting(progress) as report:
                _core.capture(self._core, given, os.fspath(out), how, *spec, report)
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
        **words: Any,
    ) -> dict[str, Any]:
        """Change what the model computes and measure what its next tokens lose by it: what `tomograph intervene
        --json` prints (loss before, after, change and interval; KL; the control in random directions). acts: one
        or a list of {"act", "site", …} as docs/interventions.md has them, where a direction may also be an array; or the
        path of their file. prompts None: 8 sequences of a text, as capture() chooses it."""
        if prompts is None and words.get("kind", "text") == "text":
            words.setdefault("sequences", 8)
        if len(contrast) not in (0, 2):
            raise InputError(f"a contrast is of two words, not of {len(contrast)}")
        with prompt_words(prompts, seed=seed, threads=self._count(threads), **words) as given, _spec(acts) as spec, reporting(progress) as report:
            return self._core.intervene(given, *spec, list(contrast), control, bootstrap, seed, exact, self._count(threads), report)

    def lens(
        self,
        prompts: Any = None,
        *,
        run: Run | str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] | None = None,
        twins: Iterable[str | os.PathLike[str]] = (),
        rows: int = 512,
        stream_only: bool = False,
        save: bool = False,
        replace: bool = False,
        exact: bool = False,
        seed: int = 42,
        threads: int | None = None,
        progress: Progress = True,
        **words: Any,
    ) -> Lens:
        """What each layer would answer: the model's own last norm and head on the stream and on what attention and MLPs
        write (logit lens), and affine maps into them (ridge lens), as `tomograph lens`.

        run: one of this model that keeps the stream's vectors; or prompts and words as capture()'s, of which 16 sequences
            of 256 tokens of a text where nothing else is said. They are captured into `out`, which is kept, or into a folder
            that is deleted. Two sequences at least.
        twins: GGUF files of untrained twins (`tomograph randomize`), which read the same tokens.
        rows: so many tokens are read at every site; 0: all. stream_only: without attention and MLPs.
        save: also into the run's folder, where measure() finds it and its tokens get the scores lens_depth and
            ridge_depth; what `out` names is always saved.

        Errors: InputError where the run is of another model, or was captured with other weights; lacks the vectors.
        """
        how = self._lens_how(rows, stream_only, exact, seed, threads)
        how.replace = replace
        paths = [os.fspath(twin) for twin in twins]
        if run is not None and (prompts is not None or out is not None or words):
            raise InputError("a run has been captured: leave prompts, out and what goes with them out")
        with tempfile.TemporaryDirectory(prefix="tomograph-lens-") as folder, reporting(progress) as report:
            if run is not None:
                core = opened(run)._core
                json, logit, ridge = _core.lens(self._core, core, None, "", paths, folder, how, save, report)
            else:
                with self._lens_text(prompts, exact, seed, threads, words) as given:
                    where = os.path.join(folder, "run") if out is None else os.fspath(out)
                    json, logit, ridge = _core.lens(
                        self._core, None, given, where, paths, folder, how, out is not None, report
                    )
        return Lens(json, {"logit": logit, "ridge": ridge})

    def lens_words(
        self,
        prompts: Any,
        *,
        lens: str = "logit",
        top: int = 5,
        rows: int = 512,
        exact: bool = False,
        seed: int = 42,
        threads: int | None = None,
        progress: Progress = False,
        fitted_on: Mapping[str, Any] | None = None,
        **words: Any,
    ) -> list[Reading]:
        """The words that each layer would say after each token of prompts, as `tomograph lens --prompt`: a Reading each.

        lens: "logit", or "ridge", whose maps are fitted first, on 16 sequences of a chapter of Moby-Dick or on what
            fitted_on says in capture()'s words: fitted_on={"files": ["book.txt"]}. top: how many words.
        """
        if lens not in ("logit", "ridge"):
            raise InputError(f"no lens is called {lens!r}; there are logit and ridge")
        if lens == "logit" and fitted_on is not None:
            raise InputError("a logit lens is fitted on nothing; leave fitted_on out, or give lens='ridge'")
        how = self._lens_how(rows, False, exact, seed, threads)
        with tempfile.TemporaryDirectory(prefix="tomograph-lens-") as folder, reporting(progress) as report:
            with prompt_words(prompts, exact=exact, seed=seed, threads=self._count(threads), **words) as given:
                if lens == "logit":
                    found = _core.lens_words(self._core, given, None, folder, top, how, report)
                else:
                    fit = dict(fitted_on or {})
                    with self._lens_text(fit.pop("prompts", None), exact, seed, threads, fit) as text:
                        found = _core.lens_words(self._core, given, text, folder, top, how, report)
        return [self._reading(one) for one in found]

    def _lens_how(self, rows: int, stream_only: bool, exact: bool, seed: int, threads: int | None) -> _core.LensWords:
        how = _core.LensWords()
        how.rows = rows
        how.stream_only = stream_only
        how.exact = exact
        how.seed = seed
        how.threads = self._count(threads)
        return how

    @contextmanager
    def _lens_text(
        self, prompts: Any, exact: bool, seed: int, threads: int | None, words: Mapping[str, Any]
    ) -> Iterator[_core.PromptWords]:
        """Of a text, 16 sequences of 256 tokens."""
        if prompts is None and words.get("kind", "text") == "text":
            words = {"sequences": 16, "length": min(256, int(self.info["context_length"])), **words}
        with prompt_words(prompts, exact=exact, seed=seed, threads=self._count(threads), **words) as given:
            yield given

    def _reading(self, found: dict[str, Any]) -> Reading:
        texts = {}

        def said(ids: np.ndarray) -> np.ndarray:
            new = [int(token) for token in np.unique(ids) if int(token) not in texts]
            for token, piece in zip(new, self.pieces(new)):
                texts[token] = piece.decode("utf-8", "replace")
            return strings([texts[int(token)] for token in ids.ravel()]).reshape(ids.shape)

        return Reading(
            pieces=said(found["tokens"]), words=said(found["top"]), model_words=said(found["model_top"]), **found
        )

    def __repr__(self) -> str:
        if self.closed:
            return "Model, closed"
        info = self.info
        return f"Model {info['name']}: {info['architecture']}, {info['n_layers']} layers of {info['d_model']}, {info['type']}"


@contextmanager
def _spec(acts: Any) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Acts as their file says them, and the folder that names in them are relative to. A direction may be an array,
    which such a file cannot hold: it lies beside as one of NumPy's files while the acts are read."""
    if acts is None:
        yield None, ""
        return
    beside = Path.cwd()
    if isinstance(acts, (str, os.PathLike)):
        path = Path(acts)
        try:
            acts = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise MissingFileError(f"no acts at {path}: there is no such file; give acts, or the path of their file") from None
        except ValueError as error:
            raise InputError(f"{path} holds no acts: it is no JSON, {error}") from None
        beside = path.absolute().parent
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
        yield {"acts": spec}, str(beside)
