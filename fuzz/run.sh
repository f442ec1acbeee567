#!/usr/bin/env bash
# Fuzzes targets one after the other, and prints a table. An input that breaks a property stays in fuzz/artifacts.
#
#     fuzz/run.sh [MINUTES [TARGET ...]]      by default ten minutes for each target
#
# Needs cargo-fuzz (cargo install --locked cargo-fuzz) and a compiler for C++. RUSTC_BOOTSTRAP lets the stable compiler
# use the flags for which cargo-fuzz would need a nightly one.
set -euo pipefail
cd "$(dirname "$0")"
minutes=${1:-10}
[[ $minutes =~ ^[0-9]+$ ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shift $(($# > 0 ? 1 : 0))
cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2; exit 2; }
export RUSTC_BOOTSTRAP=1
# A server writes to connections that its client has closed. Rust programs ignore the signal, the main function of
# libFuzzer does not.
trap '' PIPE
targets=${*:-$(cargo fuzz list)}
cargo fuzz build
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0
printf '| %-8s | %7s | %12s | %8s | %6s | %-5s |\n' target minutes executions features inputs found
printf '| -------- | ------: | -----------: | -------: | -----: | ----- |\n'
for target in $targets; do
    mkdir -p "corpus/$target"
    seeds=(../examples/articles ../tests/data/hostile)
    [ ! -d "../tests/data/fuzz/$target" ] || seeds+=("../tests/data/fuzz/$target")
    found=none
    # A slow input is a finding, too: all work must be linear in its length.
    cargo fuzz run "$target" "corpus/$target" "${seeds[@]}" -- -max_total_time=$((60 * minutes)) -max_len=65536 \
        -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 >"$logs/$target" 2>&1 || { found=fault; failed=1; }
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target" | tail -1)
    features=$(grep -o ' ft: [0-9]*' "$logs/$target" | tail -1 | tr -dc 0-9)
    inputs=$(find "corpus/$target" -type f | wc -l)
    printf '| %-8s | %7s | %12s | %8s | %6s | %-5s |\n' "$target" "$minutes" "$count" "$features" "$inputs" "$found"
    [ $found = none ] || grep -E -m 3 'panicked|ERROR|Test unit written' "$logs/$target" || true
done
exit $failed
