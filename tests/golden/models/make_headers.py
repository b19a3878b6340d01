#!/usr/bin/env python3
"""Writes the small broken GGUF headers of bad/header/, one fault each. No package is needed.

usage: make_headers.py
tests/model/gguf_check_test.cpp says what each is answered with."""
import struct
from pathlib import Path

U32, STRING, ARRAY, BOOL = 4, 8, 9, 7
F32, Q8_0 = 0, 8


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return u64(len(value)) + value


def entry(key, kind, value):
    return text(key) + u32(kind) + value


def tensor(name, extents, kind=F32, offset=0, n_extents=None):
    n = len(extents) if n_extents is None else n_extents
    return text(name) + u32(n) + b"".join(u64(e) for e in extents) + u32(kind) + u64(offset)


def gguf(entries=(), tensors=(), data=b"", version=3, n_entries=None, n_tensors=None):
    head = b"GGUF" + u32(version)
    head += u64(len(tensors) if n_tensors is None else n_tensors)
    head += u64(len(entries) if n_entries is None else n_entries)
    head += b"".join(entries) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data


kind = entry("general.architecture", STRING, text("llama"))


def number(key, value):
    return entry("llama." + key, U32, u32(value))


table = tensor("token_embd.weight", [8, 4])
files = {
    "version_1": gguf(version=1),
    "version_9": gguf(version=9),
    "other_byte_order": gguf(version=0x03000000),
    "many_entries": gguf([kind], n_entries=2**40),
    "many_tensors": gguf([kind], n_tensors=2**62),
    "most_tensors": gguf([kind], n_tensors=2**64 - 1),
    "long_key": b"GGUF" + u32(3) + u64(0) + u64(1) + u64(2**63) + b"general.name" + bytes(16),
    "empty_key": gguf([entry("", U32, u32(1))]),
    "twice": gguf([kind, kind]),
    "no_such_type": gguf([entry("a", 99, u32(1))]),
    "long_text": b"GGUF" + u32(3) + u64(0) + u64(1) + text("general.name") + u32(STRING) + u64(2**33) + bytes(8),
    "cut_number": gguf([entry("a.key.that.is.long.enough", U32, b"")])[:-10],
    "long_array": gguf([entry("a", ARRAY, u32(U32) + u64(2**34))]),
    "longest_array": gguf([entry("a", ARRAY, u32(U32) + u64(2**64 - 1))]),
    "cut_array": b"GGUF" + u32(3) + u64(0) + u64(1) + text("a") + u32(ARRAY) + u32(U32) + u64(100) + bytes(80),
    "long_array_of_texts": gguf([entry("a", ARRAY, u32(STRING) + u64(2**31))]),
    "cut_array_of_texts": gguf([entry("a", ARRAY, u32(STRING) + u64(3) + text("one") + u64(2**50) + bytes(8))]),
    "array_of_arrays": gguf([entry("a", ARRAY, u32(ARRAY) + u64(1) + u32(ARRAY) + u64(1))]),
    "array_of_no_type": gguf([entry("a", ARRAY, u32(77) + u64(1) + u64(0))]),
    "alignment_0": gguf([kind, entry("general.alignment", U32, u32(0))]),
    "alignment_12": gguf([kind, entry("general.alignment", U32, u32(12))]),
    "alignment_huge": gguf([kind, entry("general.alignment", U32, u32(2**31))]),
    "tensor_without_name": gguf([kind], [tensor("", [4])]),
    "tensor_with_long_name": gguf([kind], [tensor("x" * 64, [4])]),
    "tensor_twice": gguf([kind], [tensor("a", [8]), tensor("a", [8], offset=32)], bytes(64)),
    "tensor_of_five": gguf([kind], [tensor("a", [1, 1, 1, 1, 1])]),
    "tensor_of_many": gguf([kind], [tensor("a", [1], n_extents=2**31)]),
    "tensor_of_nothing": gguf([kind], [tensor("a", [0])]),
    "tensor_that_overflows": gguf([kind], [tensor("a", [2**40, 2**40])]),
    "tensor_of_negative_extent": gguf([kind], [tensor("a", [2**64 - 1])]),
    "tensor_of_no_type": gguf([kind], [tensor("a", [4], kind=4)]),
    "tensor_of_half_a_block": gguf([kind], [tensor("a", [16], kind=Q8_0)], bytes(64)),
    "tensor_elsewhere": gguf([kind], [tensor("a", [4], offset=2**40)], bytes(32)),
    "no_layers": gguf([kind, number("block_count", 0)]),
    "many_layers": gguf([kind, number("block_count", 2**32 - 1)]),
    "negative_width": gguf([kind, entry("llama.embedding_length", 5, struct.pack("<i", -4))]),
    "no_heads": gguf([kind, number("attention.head_count", 0)]),
    "many_experts": gguf([kind, number("expert_count", 10**6)]),
    "more_experts_used": gguf([kind, number("expert_count", 2), number("expert_used_count", 3)]),
    "another_width": gguf([kind, number("embedding_length", 16)], [table], bytes(128)),
    "wide_rotation": gguf([kind, number("rope.dimension_count", 2**31)]),
}

folder = Path(__file__).parent / "bad" / "header"
folder.mkdir(parents=True, exist_ok=True)
for name, content in files.items():
    (folder / f"{name}.gguf").write_bytes(content)
