#!/usr/bin/env bash
# Trains fastText, LinearSVC (LIBLINEAR) and Dateline on the same rows, and prints their quality on the same test rows.
#
#     benches/peers/run.sh CORPORA [R8|20NG|EVENTS|FOLDS ...]
#
# CORPORA is a folder with topics/ and bench/ (JSON Lines with "headline", "body" and "topics", as for `dateline train`).
# Needs cargo and python3; the peers are installed in a virtual environment in target/.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
corpora=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
cargo build --release
venv=target/peers
if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
"$venv/bin/pip" install --quiet --requirement benches/peers/requirements.txt
exec "$venv/bin/python" benches/peers/peers.py --dateline target/release/dateline --corpora "$corpora" "$@"
