#!/usr/bin/env python3
"""Conversations, and what the reference implementations make of them: README.md says which.

usage: make.py SMOLLM2.gguf

Writes templates.jsonl (a template, a conversation and its rendered text a line) and smollm2.jsonl (a
conversation, its rendered text and token ids by the model's own template and vocabulary a line).
"""
import datetime
import json
import pathlib
import sys

import gguf
import jinja2
import jinja2.ext
import tokenizers
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import decoders, models, pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
DATE = datetime.datetime(2024, 7, 26)

USER = [
    "Hi", "What is the capital of France?", "Count: 1, 2, 3, 10, 2024, 3.14159.",
    "  leading and trailing spaces  ", "Two\nlines", "Three\n\n\nparagraphs\n", "\ttabs\tinside",
    "naïve café, Zürich, smørrebrød", "Привет, как дела?", "你好,世界。今天天气怎么样?", "こんにちは、元気ですか?",
    "مرحبا بالعالم", "שלום עולם", "emoji 🙂🚀👩‍👩‍👧 and flags 🇨🇭", "math: ∑ x² ≤ ∞, α→β", "x", " ", "don't, I'll, we've, they're, it's",
    "```python\ndef f(x):\n    return {'a': [x, \"y\"]}\n```", "{\"json\": [1, 2, {\"k\": null}]}", "<html><b>bold</b></html>",
    "a | b || c & d && e", "C:\\path\\to\\file and /usr/local/bin", "UPPER lower MiXeD", "aaaaaaaaaaaaaaaaaaaaaaaa",
    "The whale, the whale! Call me Ishmael. " * 8, "0123456789 00 000 ½ ² ③ Ⅷ", "soft\u00adhyphen, nb\u00a0space, zero\u200bwidth",
    "combining: e\u0301 n\u0303", "ends with a newline\n", "\nbegins with one", "quotes 'single' \"double\" «guillemets» “curly”",
    "percent %d %s {{ braces }} {% block %} {# note #}", "http://example.org/a?b=c&d=e#f", "key: value; other=1,2,3", "- one\n- two\n  - three",
    "Is 17 prime? Answer yes or no.", "Repeat after me: the the the", "I have 3 apples & 4 pears; 3+4=7", "Thanks! Bye.",
]
ANSWERS = ["Paris.", "Yes.\n\nBecause it is.", "", "  ", "1. First\n2. Second", "Ja, natürlich."]


def conversations():
    """Forty of them: with and without a system message, of one to five messages, asking or not."""
    made = []
    for i, text in enumerate(USER):
        messages = []
        if i % 3 == 1:
            messages.append({"role": "system", "content": ["You are terse.", "Speak like a whaler.\nAlways.", ""][i % 9 // 3]})
        messages.append({"role": "user", "content": text})
        if i % 4 >= 2:
            messages += [{"role": "assistant", "content": ANSWERS[i % len(ANSWERS)]},
                         {"role": "user", "content": USER[(7 * i + 3) % len(USER)]}]
        if i % 5 == 4:
            messages.append({"role": "assistant", "content": ANSWERS[(i + 1) % len(ANSWERS)]})
        made.append(messages)
    assert len(made) == 40
    return made


# Templates in the manners of families of models, written for this file.
TEMPLATES = {
    "marks": "{% for message in messages %}{{'<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>' + '\\n'}}"
             "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
    "instruct": "{{ bos_token }}\n{% if messages[0].role == 'system' %}\n  {% set system = messages[0].content | trim + '\\n\\n' %}\n"
                "  {% set rest = messages[1:] %}\n{% else %}\n  {% set system = '' %}\n  {% set rest = messages %}\n{% endif %}\n"
                "{% for message in rest %}\n  {% if (message.role == 'user') != (loop.index0 % 2 == 0) %}\n"
                "    {{ raise_exception('roles must take turns') }}\n  {% endif %}\n"
                "  {% if message.role == 'user' %}\n    {{- '[INST] ' + (system if loop.first else '') + message.content + ' [/INST]' -}}\n"
                "  {% else %}\n    {{- ' ' + message.content | trim + eos_token -}}\n  {% endif %}\n{% endfor %}\n",
    "turns": "{{ bos_token }}{%- for message in messages -%}{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
             "{{ '<turn>' + role + '\\n' + message['content'] | trim + '</turn>\\n' }}{%- endfor -%}"
             "{%- if add_generation_prompt -%}{{ '<turn>model\\n' }}{%- endif -%}",
    "dated": "{%- if strftime_now is defined %}{%- set date = strftime_now('%d %b %Y') %}{%- else %}{%- set date = '26 Jul 2024' %}{%- endif %}"
             "{{- '# ' ~ date ~ '\\n' }}{% for m in messages %}{{ loop.index ~ '. ' ~ m.role | upper ~ ': ' ~ m.content | tojson ~ '\\n' }}"
             "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT: ' }}{% endif %}",
}


def environment():
    """As transformers' _compile_jinja_template makes it."""
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = DATE.strftime
    return env


def render(template, messages, start, end):
    """(text, None), or (None, the template's complaint). It asks where the user spoke last."""
    ask = messages[-1]["role"] != "assistant"
    try:
        return environment().from_string(template).render(
            messages=messages, bos_token=start, eos_token=end, add_generation_prompt=ask), None
    except jinja2.exceptions.TemplateError as error:
        return None, str(error)


def field(reader, key):
    return reader.fields[key].contents()


def tokenizer_of(reader):
    """SmolLM2's tokenizer.json, from the GGUF's vocabulary: single digits, then GPT-2's byte-level BPE."""
    tokens, merges, types = (field(reader, "tokenizer.ggml." + k) for k in ("tokens", "merges", "token_type"))
    assert field(reader, "tokenizer.ggml.pre") == "smollm"
    bpe = models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ")) for m in merges])
    tokenizer = tokenizers.Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, types) if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([tokenizers.AddedToken(t, special=True, normalized=False) for t in control])
    return tokenizer


def write(name, lines):
    (HERE / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="ascii")


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    made = conversations()
    cases = []
    for name, template in TEMPLATES.items():
        for messages in made:
            text, error = render(template, messages, "<s>", "</s>")
            assert error is None, (name, error)
            cases.append({"name": name, "template": template, "messages": messages, "text": text})
    write("templates.jsonl", cases)

    tokens = field(reader, "tokenizer.ggml.tokens")
    start, end = (tokens[field(reader, f"tokenizer.ggml.{k}_token_id")] for k in ("bos", "eos"))
    tokenizer = tokenizer_of(reader)
    smollm2 = []
    for messages in made:
        text, error = render(field(reader, "tokenizer.chat_template"), messages, start, end)
        assert error is None, error
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        smollm2.append({"messages": messages, "text": text, "ids": ids})
    write("smollm2.jsonl", smollm2)


if __name__ == "__main__":
    main()
