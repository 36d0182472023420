# For the checks beside it: `need COMMAND PACKAGE` makes sure that a command is there, or ends the check with the reason.

need() {
  local command=$1 package=$2
  command -v "$command" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "$package" >/dev/null
  fi
  command -v "$command" >/dev/null && return
  echo "left out: $command is missing; install $package, or run as root on Debian or Ubuntu"
  if [ -n "${CI:-}" ]; then exit 1; else exit 0; fi
}
