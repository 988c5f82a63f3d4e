#!/usr/bin/env bash
# `make env`: make the environment, or renew it when a pin changed: tools/environment.sh FOLDER PYTHON…
#
# The first of the interpreters that runs and is new enough is taken. What decides whether to install again: the pins and
# what pyproject.toml says of the project and its packages, and nothing else. `.pins` is written last. pip takes a package
# for installed of which a kill left a part: then all is installed anew.
#
# pip compares each file that it fetches with its hash in requirements.lock. On x86-64 Linux two plain packages come as
# source alone, and are built with that file's setuptools; elsewhere there are some that bring a build system, which pip
# fetches as it is. HASHES=no takes any build of the pinned versions: torch's for the CPU alone, a site's own wheels.
# pip would compile the modules one by one; compileall does so on every core. Were they left to their first import, others'
# SyntaxWarnings would come out there: among a command's own lines, and as errors in the tests.
set -euo pipefail
venv=$1

pins() { cat constraints.txt; cksum < requirements.lock; sed -n '/^\[project/,/^\[tool\.ruff/p' pyproject.toml; }

if [ -e "$venv/.pins" ] && pins | cmp -s - "$venv/.pins"; then exit 0; fi

if [ "${2:-}" != --locked ]; then
  for python in "${@:2}"; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then
      exec "$python" tools/locked.py "$venv.lock" 'make env' bash "$0" "$venv" --locked "$python"
    fi
  done
  echo "No Python 3.12 or newer found: install one (pyenv, uv, conda or your system's packages), or name it: make PYTHON=/path/to/python3.12 env" >&2
  exit 1
fi

python=$3
if [ -e "$venv/.installing" ]; then echo "The last installation was cut off: it begins anew"; rm -rf "$venv"; fi
echo "Installing into $venv with $("$python" --version): some minutes and 7 GB the first time"
rm -f "$venv/.pins"
mkdir -p "$venv"
touch "$venv/.installing"
"$python" -m venv "$venv" || { echo "Python's venv module does not work here (on Debian: apt-get install python3-venv)" >&2; exit 1; }
install=("$venv/bin/python" -m pip install --quiet --no-compile)
awk '/^[A-Za-z0-9]/ { first = /^(pip|setuptools)==/ } first' requirements.lock > "$venv/.installing"
"${install[@]}" --require-hashes --no-deps --requirement "$venv/.installing"
if [ "${HASHES:-yes}" = no ]; then
  "${install[@]}" --constraint constraints.txt --editable '.[dev]'
else
  locked=("${install[@]}" --require-hashes --requirement requirements.lock)
  if [ "$(uname -sm)" = "Linux x86_64" ]; then locked+=(--no-build-isolation); fi
  "${locked[@]}"
  "${install[@]}" --no-deps --no-build-isolation --editable .
fi
"$venv/bin/python" -W ignore -m compileall -qq -j 0 "$venv"/lib/python3*/site-packages || true  # as pip: templates are no modules
rm "$venv/.installing"
pins > "$venv/.pins"
