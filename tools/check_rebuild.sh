#!/usr/bin/env bash
# `make check-rebuild`: build the book and its PDFs again of the same files in another folder, locale and time zone, and
# compare them with those that are here, byte for byte.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git ls-files -z | tar -cf - --null -T - | tar -xf - -C "$scratch"
ln -s "$PWD/.venv" "$scratch/.venv"
LC_ALL=C TZ=Pacific/Kiritimati PYTHONPATH="$scratch" make -C "$scratch" --assume-old env --assume-old system pdf book
for what in html pdf; do
  diff -rq "book/_build/$what" "$scratch/book/_build/$what"
done
echo "The same, byte for byte"
