#!/usr/bin/env bash
# `make lock`: requirements.lock from constraints.txt, with the hash of every file that the registry has of a pin, and for
# each pin on which systems it is needed.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet uv
printf 'pip\nsetuptools\nwheel\n' > "$scratch/first.in" # which build and install the others
{
  echo "# Made by \`make lock\` from constraints.txt and pyproject.toml: pip takes a file only if its hash stands here."
  "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version "$(cat .python-version)" --generate-hashes \
    --all-extras --no-annotate --no-header --constraints constraints.txt pyproject.toml "$scratch/first.in"
} > "$scratch/lock"
mv "$scratch/lock" requirements.lock
