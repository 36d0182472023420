#!/usr/bin/env bash
# 500 bad days of a whole network, 311 of them the ledger's; every hundredth also on a real PostgreSQL.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

npm run --silent sim -- --seeds 1..500 --postgres every=100 --jobs "$(nproc)"
