#!/usr/bin/env bash
# Tests the Python wheel in a fresh environment of its own: `scripts/python.sh [pytest's arguments]`.
#
# The extension module is the one that `cargo build --release --workspace` leaves in the target folder.
# `pip install ./python` compiles the same sources, but alone, with fewer features of what they depend
# on, and so everything a second time: SEGZERO_PIP=1 tests that. SEGZERO_RAY=1 adds Ray and its tests,
# SEGZERO_ENGINES=1 those of Spark (which needs Java) and Daft too.
set -euo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-python3}"
if ! "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "skipped: the wheel's tests need Python 3.10 or newer with venv (set PYTHON)"
  exit 0
fi
environment="$(mktemp -d)"
trap 'rm -rf "$environment"' EXIT
"$python" -m venv "$environment"
pip() { "$environment/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

needed=(numpy pyarrow pycocotools pytest)
# Engines of fixed versions: what a new one breaks is no fault of the change under test.
ray="ray[data]==2.60.0"
if [[ "${SEGZERO_ENGINES:-0}" == 1 ]]; then
  needed+=("$ray" pyspark==4.3.0 daft==0.7.26)
elif [[ "${SEGZERO_RAY:-0}" == 1 ]]; then
  needed+=("$ray")
  echo "skipped: the recipes of Spark and Daft (SEGZERO_ENGINES=1 runs them)"
else
  echo "skipped: the tests on Ray (SEGZERO_RAY=1 runs them), and the recipes of Spark and Daft"
fi
if ! pip download --no-deps --dest "$environment/probe" pytest 2>/dev/null; then
  echo "skipped: the wheel's tests need a package index, for ${needed[*]}"
  exit 0
fi
pip install "${needed[@]}"

cargo build --release --workspace
if [[ "${SEGZERO_PIP:-0}" == 1 ]]; then
  pip install ./python
else
  packages="$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
  cp -r python/segzero python/segzero_ray "$packages/"
  target="${CARGO_TARGET_DIR:-target}/release"
  module="$target/lib_segzero.so"
  [[ -f "$module" ]] || module="$target/lib_segzero.dylib"
  cp "$module" "$packages/segzero/_segzero.abi3.so"
fi
"$environment/bin/python" -m pytest -q -rs -p no:cacheprovider \
  --doctest-modules --pyargs segzero "$@" python/tests
