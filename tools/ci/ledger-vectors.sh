#!/usr/bin/env bash
# A decoder that shares no code with ours, in another language, computes all that docs/ledger-vectors.json publishes.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/need.bash"
need python3 python3

python3 "$here/../../packages/ledger/vectors/decode.py"
