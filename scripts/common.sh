# Sourced by the other scripts; sets `root` and `cache`.
# shellcheck shell=bash
set -euo pipefail

say() { printf '== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# usage_error TEXT...: what is wrong, then the usage lines at the head of the calling script.
usage_error() {
    printf '%s\n' "$*" >&2
    usage >&2
    exit 2
}
usage() { sed -n '/^# usage:/,/^[^#]/ s/^# \{0,1\}//p' "$0"; }

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034  # used by those who source this
cache=${TOMOGRAPH_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set: set TOMOGRAPH_CACHE to a folder}/.cache}/tomograph}

# What the viewer is built with, if the machine's own Node is missing or older than 20.19.
node=$cache/node-22.20.0

# use_node: puts a Node that is new enough and its npm first in PATH. Fails when there is none.
use_node() {
    local folder
    for folder in "" "$node/bin"; do
        if PATH=$folder${folder:+:}$PATH node -e '
            const [major, minor] = process.versions.node.split(".").map(Number);
            process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null &&
            PATH=$folder${folder:+:}$PATH command -v npm >/dev/null; then
            PATH=$folder${folder:+:}$PATH
            return
        fi
    done
    return 1
}

# processor [portable]: what cmake/Processor.cmake calls TOMOGRAPH_PROCESSOR.
processor() {
    if [[ ${1:-} == portable ]]; then
        printf portable
    elif [[ -e /proc/cpuinfo ]]; then
        printf %s "$(grep -m1 -E '^(flags|Features)[[:space:]]*:' /proc/cpuinfo)" | sha256sum | cut -c1-8
    else
        uname -m
    fi
}

# read_llama_pins [portable]: sets llama_version, llama_sha256 and llama_revision as cmake/LlamaVersion.cmake has them, and
# `llama`, where that release is installed.
# shellcheck disable=SC2034  # used by those who call it
read_llama_pins() {
    llama_pin() { sed -n "s/^set(TOMOGRAPH_LLAMA_$1 \\(.*\\))\$/\\1/p" "$root/cmake/LlamaVersion.cmake"; }
    llama_version=$(llama_pin VERSION)
    llama_sha256=$(llama_pin SHA256)
    llama_revision=$(llama_pin REVISION)
    llama=$cache/llama-$llama_version-$llama_revision-$(processor "$@")
}

# pip_download NAME VERSION SHA256: the package's file into $work.
pip_download() {
    printf '%s==%s --hash=sha256:%s\n' "$@" >"$work/requirements.txt"
    TMPDIR=$work python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps \
        --no-binary llama-cpp-python --require-hashes --dest "$work" --requirement "$work/requirements.txt" ||
        die "could not download $1 $2 with pip"
}

# python_environment [PYTHON]: the environment that the Python module is built and tested in: another one for other
# requirements and for another interpreter.
python_environment() {
    printf %s "$cache/python-$(sha256sum "$root/python/requirements.txt" | cut -c1-8)-$(
        "${1:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
}

# python_fits [PYTHON]: is it one that the requirements name files for, with what it takes to build a module?
python_fits() {
    "${1:-python3}" - 2>/dev/null <<'PYTHON'
import os, sys, sysconfig, ensurepip, venv
headers = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and os.path.exists(headers)))
PYTHON
}

# build PRESET [TARGET...]: configure and compile; all targets when none is named. Options for CMake: `configure`.
configure=()
build() {
    local preset=$1
    shift
    say "building build/$preset"
    cd "$root"
    # Configuring again costs a second and prints a page: keep it for when it fails.
    local log
    log=$(cmake --preset "$preset" "${configure[@]}" 2>&1) || die "$log"
    cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"}
}
