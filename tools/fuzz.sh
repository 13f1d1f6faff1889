#!/usr/bin/env bash
# fuzz.sh BUILD SECONDS: runs each fuzz target of the build for so long, with a corpus made anew.
set -euo pipefail
build=$1 seconds=$2
for target in "$build"/tests/fuzz/*_fuzz; do
    corpus=$(mktemp -d)
    log=$(mktemp)
    if "$target" -max_total_time="$seconds" -seed=1 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$corpus/" "$corpus" >"$log" 2>&1; then
        printf '%-24s %s\n' "$(basename "$target")" "$(grep -E '^Done|^#[0-9]+.*DONE' "$log" | tail -1)"
    else
        tail -40 "$log"
        exit 1
    fi
    rm -rf "$corpus" "$log"
done
