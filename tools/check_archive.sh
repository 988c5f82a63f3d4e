#!/usr/bin/env bash
# `make check-archive`: the description of the archives that are named, checked by RO-Crate's own validator. It has an
# environment of its own: it asks for other versions of some packages than we have pinned.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet roc-validator
for archive in "$@"; do
  "$scratch/venv/bin/python" -m zipfile --extract "$archive" "$scratch/crate"
  for folder in "$scratch"/crate/*; do
    "$scratch/venv/bin/rocrate-validator" validate --profile-identifier workflow-run-crate-0.5 "$folder"
  done
  rm -rf "$scratch/crate"
done
