"""What a model is to read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np

from . import _core
from ._errors import InputError
from ._words import Words, listed

Message = Mapping[str, str]
Prompt = Union[str, Sequence[int], np.ndarray, Sequence[Message], Mapping[str, Any]]

# What a line of JSONL may be: docs/cli.md.
_LINE_KEYS = ("text", "segments", "messages", "ids", "source")


def _is_line(prompt: Any) -> bool:
    return isinstance(prompt, Mapping) and sum(key in prompt for key in _LINE_KEYS) == 1


def _line(prompt: Any) -> dict[str, Any]:
    """A prompt as a line of JSONL says it."""
    if isinstance(prompt, str):
        return {"text": prompt}
    if _is_line(prompt):
        return dict(prompt)
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


def several(prompts: Any) -> list[Any]:
    """One prompt or several as a list of them."""
    if isinstance(prompts, str):
        return [prompts]
    if isinstance(prompts, np.ndarray):
        return [prompts] if prompts.ndim == 1 else list(prompts)
    if isinstance(prompts, Mapping) or not isinstance(prompts, Iterable):
        return [prompts]
    prompts = list(prompts)
    if not prompts or all(map(_is_line, prompts)):
        return prompts
    if all(hasattr(one, "__index__") or isinstance(one, Mapping) for one in prompts):
        return [prompts]
    return prompts


@contextmanager
def prompt_words(
    prompts: Any,
    *,
    kind: str | None = None,
    files: Iterable[str | os.PathLike[str]] = (),
    labels: Iterable[str] = (),
    documents: str | None = None,
    stride: int | None = None,
    word: str = "",
    token: int | None = None,
    prefix: str | int | None = None,
    length: int | None = None,
    sequences: int | None = None,
    vocabulary_rows: int = 0,
    start: bool | None = None,
    plant_start: int | None = None,
    special: str = "text",
    chat_template: str = "",
    ask: bool = True,
    generate: int = 0,
    temperature: float = 0,
    stop: Words = None,
    seed: int = 42,
    exact: bool = False,
    rope_off: bool = False,
    rope_frequency: float = 1.0,
    threads: int = 0,
) -> Iterator[_core.PromptWords]:
    """Prompts and the keywords that go with them, as the core reads them: Model.capture() says what they mean."""
    words = _core.PromptWords()
    words.length = length or 0
    words.sequences = sequences or 0
    words.rows = vocabulary_rows
    words.documents = documents or ""
    words.stride = stride or 0
    words.word = word
    words.token = token
    words.prefix = "" if prefix is None else str(prefix)
    words.start = "" if start is None else "yes" if start else "no"
    words.plant_start = plant_start or 0
    words.special = special
    words.chat_template = chat_template
    words.ask = ask
    words.seed = seed
    words.exact = exact
    words.rope_off = rope_off
    words.rope_frequency = rope_frequency
    words.threads = threads
    words.generate = generate
    words.temperature = temperature
    words.stops = listed(stop)
    words.labels = listed(labels)
    paths = [os.fspath(file) for file in files]
    if prompts is None:
        words.kind = kind or ("repeat" if word or token is not None else "text")
        words.files = paths
        yield words
        return
    if kind not in (None, "prompt", "jsonl") or paths:
        raise InputError(f"prompts were given together with {'files' if paths else 'kind=' + repr(kind)}; give one of them")
    given = several(prompts)
    if not given:
        raise InputError("there are no prompts; give at least one")
    if words.labels and len(words.labels) != len(given):
        raise InputError(f"there are {len(words.labels)} labels for {len(given)} prompts; give one each")
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
