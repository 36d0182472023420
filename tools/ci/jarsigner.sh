#!/usr/bin/env bash
# The JAR tools accept what `bowline package` makes, and both they and we refuse it after one byte was changed.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/need.bash"
need jarsigner default-jdk-headless
need keytool default-jdk-headless

bowline=$here/../../bin/bowline
"$bowline" --version >/dev/null # Installs what is missing, so that the next line can choose.
node=$(ls "$here"/../runtime/node_modules/node-*/bin/node 2>/dev/null || command -v node)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bowline" package "$here/../../examples/obligation" --dev-key --home "$work/home" --out "$work"
"$bowline" package certificate --dev-key --home "$work/home" >"$work/signer.pem"
"$bowline" network generate-group-policy -f "$work/GroupPolicy.json" \
  --notary "O=Notary, L=Zurich, C=CH" -m "O=Alice, L=London, C=GB" -m "O=Bob, L=Paris, C=FR"
cpb=$(ls "$work"/*.cpb)
"$bowline" package cpi --cpb "$cpb" -g "$work/GroupPolicy.json" --dev-key --home "$work/home" --out "$work"

keytool -importcert -noprompt -keystore "$work/trusted.p12" -storepass trusted -alias signer -file "$work/signer.pem" 2>/dev/null
verify() { jarsigner -verify -strict -keystore "$work/trusted.p12" -storepass trusted "$1"; }

for package in "$work"/*.jar "$work"/*.cpb "$work"/*.cpi; do
  verify "$package" >"$work/said" || { cat "$work/said"; exit 1; }
  echo "jarsigner accepts $(basename "$package")"
done

read_cpb() { "$node" --disable-warning=ExperimentalWarning "$here/read-cpb.ts" "$1" "$work/signer.pem"; }
echo "bowline reads $(basename "$cpb"): $(read_cpb "$cpb")"

# In the middle lies the data of an entry, whatever the order of entries.
changed=$work/changed.cpb
cp "$cpb" "$changed"
middle=$(($(stat -c %s "$changed") / 2))
byte=$(od -An -tu1 -j "$middle" -N 1 "$changed")
printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$changed" bs=1 seek="$middle" conv=notrunc status=none

if verify "$changed" >"$work/said" 2>&1; then
  echo "jarsigner accepts a package that was changed"
  exit 1
fi
if read_cpb "$changed" >"$work/said"; then
  echo "bowline accepts a package that was changed"
  exit 1
fi
echo "a changed byte is refused by jarsigner, and by bowline: $(cat "$work/said")"
