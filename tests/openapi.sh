#!/usr/bin/env bash
# Compares the HTTP door with its own description, by schemathesis (from PyPI), and its numbers with what Prometheus takes, by
# promtool where there is one. Not part of `.ci/run`: `cargo test` has a test of both that needs neither.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
cleanup() {
    if [ -n "${node:-}" ]; then
        kill "$node" 2>/dev/null || true
        wait "$node" 2>/dev/null || true
    fi
    rm -rf "$place"
}
trap cleanup EXIT

if ! command -v schemathesis >/dev/null; then
    python3 -m venv "$place/venv"
    "$place/venv/bin/pip" install --quiet schemathesis
    PATH="$place/venv/bin:$PATH"
fi

cargo build --release
port=${PORT:-18100}
target/release/driftless serve --data-dir "$place/data" --log-level off \
    --port "$port" --gossip-port "$((port + 1))" --cluster-port 0 --lines-port 0 --http-port "$((port + 2))" >"$place/out" &
node=$!
at=http://127.0.0.1:$((port + 2))
until curl --silent --fail --output /dev/null "$at/health"; do
    kill -0 "$node" || { echo "the node has ended" >&2; exit 1; }
    sleep 0.1
done

# It keeps what it has found where it is run.
cd "$place"
schemathesis run "$at/openapi.json" --checks all --max-examples "${EXAMPLES:-200}"
if command -v promtool >/dev/null; then
    curl --silent "$at/metrics" | promtool check metrics
    echo "promtool: no complaint"
fi
