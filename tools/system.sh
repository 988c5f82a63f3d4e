#!/usr/bin/env bash
# `make system`: programs that no Python package brings. The spelling test needs hunspell, the browser tests Chromium and
# Firefox, the book on paper qpdf, the tests of a cluster SLURM and PostgreSQL, and those of a power cut strace.
set -euo pipefail
PATH="$PATH:/usr/sbin:/usr/local/sbin"
missing=""
command -v hunspell >/dev/null || missing="hunspell hunspell-ca hunspell-en-gb"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
command -v firefox >/dev/null || command -v firefox-esr >/dev/null || missing="$missing firefox-esr"
command -v qpdf >/dev/null || missing="$missing qpdf"
command -v slurmctld >/dev/null && command -v munged >/dev/null || missing="$missing slurm-wlm munge"
{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || missing="$missing postgresql"
command -v strace >/dev/null || missing="$missing strace"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need these programs: $missing (Debian's package names). Install them and run this again." >&2
  exit 1
fi

# apt-get waits for the lock of installing if it is told to, and for the lock of its lists not at all.
waiting=""
until said=$(LC_ALL=C apt-get update -qq 2>&1); do
  case $said in
    *"Could not get lock"*) [ -n "$waiting" ] || echo "Waiting for another apt-get to end"; waiting=yes; sleep 1 ;;
    *) echo "$said" >&2; exit 1 ;;
  esac
done
# $missing is several words
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=-1 $missing >/dev/null
