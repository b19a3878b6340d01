"""What the benchmarks of this folder share: their figures are kept, and held against the last ones of the same machine."""

import json
import os
import re
import time
from pathlib import Path


def cache_folder():
    """Where scripts/setup puts things."""
    if folder := os.environ.get("TOMOGRAPH_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tomograph"


def machine():
    """The processor, as figures are compared by: its name, its widest float units, and how many of it there are."""
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", "").split()
    units = next((name for flag, name in (("avx512_vnni", "AVX-512 VNNI"), ("avx512f", "AVX-512"), ("avx_vnni", "AVX-VNNI"),
                                          ("avx2", "AVX2")) if flag in flags), "")
    name = facts.get("model name", os.uname().machine)
    family = f" ({facts['cpu family']}/{facts['model']})" if "model" in facts and "cpu family" in facts else ""
    return f"{name}{family}, {units}, {len(os.sched_getaffinity(0))} processors"


def memory_gib():
    return int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20


def remember(bench, options, figures, *, load, as_json):
    """Print the figures beside the last ones of this benchmark with these options on this machine, and keep them in
    bench-history.jsonl in the cache folder. With as_json, print them as JSON alone. figures: {name: number}."""
    record = {"bench": bench, "options": options, "machine": machine(), "load": round(load, 2),
              "time": time.strftime("%Y-%m-%dT%H:%M:%S"), "figures": figures}
    history = cache_folder() / "bench-history.jsonl"
    earlier = []
    if history.exists():
        for line in history.read_text().splitlines():
            kept = json.loads(line)
            if all(kept[key] == record[key] for key in ("bench", "options", "machine")):
                earlier.append(kept)
    with history.open("a") as out:
        out.write(json.dumps(record) + "\n")
    if as_json:
        print(json.dumps(record, indent=2))
        return
    if earlier:
        last = earlier[-1]
        print(f"\nbeside {last['time']}, load {last['load']}:")
        for name, value in figures.items():
            before = last["figures"].get(name)
            if before:
                print(f"  {name:<40} {value:>12.4g}  before {before:>12.4g}  {value / before - 1:+8.1%}")
