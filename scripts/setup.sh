#!/usr/bin/env bash
# Installs what the build needs and the machine lacks: a C compiler, cmake and nasm, with which
# libjpeg-turbo is built (its arithmetic is the one that OpenCV and PIL share). Rust itself comes
# from https://rustup.rs. Does nothing where everything is there.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(cc)
command -v cmake >/dev/null || missing+=(cmake)
command -v nasm >/dev/null || missing+=(nasm)

if ((${#missing[@]})); then
  sudo=()
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  if command -v apt-get >/dev/null; then
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq build-essential cmake nasm
  elif command -v dnf >/dev/null; then
    "${sudo[@]}" dnf install -y -q gcc make cmake nasm
  elif command -v brew >/dev/null; then
    brew install cmake nasm
  else
    echo "please install: ${missing[*]}" >&2
    exit 1
  fi
fi

command -v cargo >/dev/null || { echo "please install Rust: https://rustup.rs" >&2; exit 1; }
