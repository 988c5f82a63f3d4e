#!/usr/bin/env bash
# `make book` and `make pdf`: tools/build_book.sh html, or pdf.
set -euo pipefail
bin=$1 what=$2 book=book/_build
if [ "${3:-}" != --locked ]; then
  exec "$bin/python" tools/locked.py "$book/.lock" 'make book` or `make pdf' bash "$0" "$bin" "$what" --locked
fi

# The build's cache of executed pages looks at their cells alone: drop it when the package or the records changed. A build
# that was killed can leave an entry without its file there, over which every later build would stumble: then all pages are
# executed anew, too. One that only failed keeps the cache.
sources=$(find analysis fused harness results -type f -not -path '*/.*' -not -path '*/__pycache__/*' -newer "$book/.executed-with" 2>/dev/null || echo none)
if [ -e "$book/.building" ]; then
  echo "The last build was cut off: this one begins anew"
fi
if [ -e "$book/.building" ] || [ -n "$sources" ]; then
  rm -rf "$book/.doctrees" "$book/.jupyter_cache" "$book/.read"
  touch "$book/.executed-with"
fi

# What `make pdf` has read without a complaint is not read again for the first HTML, unless a page has changed since.
fresh=--all
if [ -e "$book/.read" ] && [ ! -e "$book/html" ]; then
  changed=$(find book notebooks _config.yml _toc.yml -path "$book" -prune -o -type f -not -name '*.pyc' -newer "$book/.read" -print 2>/dev/null || echo some)
  [ -n "$changed" ] || fresh=
fi
rm -f "$book/.read"

step() {
  "$@" || { failed=$?; [ $failed -gt 128 ] || rm "$book/.building"; exit $failed; }
}
touch "$book/.building"
step "$bin/python" -m tools.links
step "$bin/python" -m tools.execute_pages
case $what in
  html) step "$bin/jupyter-book" build book $fresh -W --keep-going -n -q ;;
  pdf)
    touch "$book/.reading"
    step "$bin/jupyter-book" build book --builder singlehtml -W --keep-going -n -q
    mv "$book/.reading" "$book/.read"
    ;;
esac
rm "$book/.building"

case $what in
  html) echo "The book: $book/html/index.html" ;;
  pdf) "$bin/python" -m tools.print_book; echo "The book on paper:" "$book"/pdf/*.pdf ;;
esac
