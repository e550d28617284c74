# What the scripts of this folder share. To be sourced, at the root of the repository, under `set -euo pipefail`.
# shellcheck shell=bash

# Everything that a run fetches, builds or writes, outside of git.
ci_home="${CARGO_TARGET_DIR:-target}/ci"
mkdir -p "$ci_home"
ci_home="$(cd "$ci_home" && pwd)"

# On stderr, so that stdout stays a script's answer.
say() { echo "$(basename "$0"): $*" >&2; }

die() {
  say "$*"
  exit 1
}

# A TCP port of loopback on which nothing listens. Below the range from which the system takes outgoing ports.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  die "found no free port between 20000 and 32000"
}

# wait_until SECONDS WHAT COMMAND...: repeats the command until it succeeds; the script dies when the time is over.
wait_until() {
  local seconds="$1" what="$2"
  shift 2
  for ((waited = 0; waited < seconds * 5; waited++)); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  die "$what: not within $seconds s"
}

# end_process PID SECONDS: SIGTERM, then SIGKILL when the time is over. Only for children of this shell.
end_process() {
  local pid="$1" seconds="$2"
  kill "$pid" 2>/dev/null || return 0
  for ((waited = 0; waited < seconds * 5; waited++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  if kill -9 "$pid" 2>/dev/null; then say "process $pid did not end within $seconds s of SIGTERM and was killed"; fi
  wait "$pid" 2>/dev/null || true
}

# The code block of README.md that follows the comment `<!-- ci: NAME -->`.
readme_block() {
  local block
  block="$(awk -v mark="<!-- ci: $1 -->" '
    $0 == mark { wanted = 1; next }
    wanted && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }
  ' README.md)"
  [[ -n $block ]] || die "README.md has no code block after '<!-- ci: $1 -->'"
  echo "$block"
}
