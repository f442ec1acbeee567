#!/usr/bin/env bash
# Counts the instructions that the classification of fixed articles takes, with valgrind's callgrind, and fails if they are more
# than 5 % above the figure in benches/instructions.txt. Unlike a time, the count does not depend on how busy the machine is.
#
#   benches/instructions.sh            compare
#   benches/instructions.sh --update   write a new figure
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: instructions are not counted: $1"; exit 0; }

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || skip "the figure is of Linux on x86-64"
grep -qw avx2 /proc/cpuinfo || skip "the figure is of a processor with AVX2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
valgrind=$(command -v valgrind || true)
if [ -z "$valgrind" ]; then
    # Unpacked into a temporary folder, which needs no rights.
    (cd "$work" && apt-get download valgrind >/dev/null 2>&1 && dpkg-deb -x valgrind_*.deb .) ||
        skip "valgrind is not installed, and cannot be downloaded (apt-get install valgrind)"
    valgrind=$work/usr/bin/valgrind.bin
    [ -x "$valgrind" ] || valgrind=$work/usr/bin/valgrind
    export VALGRIND_LIB=$work/usr/libexec/valgrind
fi
compiler=$(rustc --version | cut -d ' ' -f 2)
read -r figure of_compiler <benches/instructions.txt
if [ "$compiler" != "$of_compiler" ] && [ "${1:-}" != --update ]; then
    skip "the figure is of Rust $of_compiler, and this is $compiler"
fi

# The library alone, as it is released; with symbols, which callgrind needs to find the function.
program=$(CARGO_PROFILE_BENCH_STRIP=none cargo bench --no-default-features --bench instructions --no-run \
    --message-format json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
counted=$("$valgrind" --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*counted_again*' "$program" 2>&1 |
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p')
[ "${counted:-0}" -gt 0 ] || { echo "error: callgrind counted nothing; run it by hand: $valgrind --tool=callgrind $program"; exit 1; }
if [ "${1:-}" = --update ]; then
    echo "$counted $compiler" >benches/instructions.txt
    figure=$counted
fi
awk -v counted="$counted" -v figure="$figure" 'BEGIN {
    printf "instructions: %.1f million, %+.1f %% of the figure\n", counted / 1e6, 100 * (counted / figure - 1)
    if (counted > 1.05 * figure) {
        print "error: more than 5 % above benches/instructions.txt: find out why (callgrind_annotate), or update the figure and say why"
        exit 1
    }
}'
