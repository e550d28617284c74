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

# doc_block FILE NAME: the code block of a document that follows the comment `<!-- ci: NAME -->`.
doc_block() {
  local block
  block="$(awk -v mark="<!-- ci: $2 -->" '
    $0 == mark { wanted = 1; next }
    wanted && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }
  ' "$1")"
  [[ -n $block ]] || die "$1 has no code block after '<!-- ci: $2 -->'"
  echo "$block"
}

# The same of README.md.
readme_block() { doc_block README.md "$1"; }

# Apache Kafka's jars, from Maven Central: fetched once for every script that runs a broker, another pom other jars.
kafka_pom=.ci/kafka-pom.xml
kafka_jars="$ci_home/kafka/lib-$(cksum <"$kafka_pom" | cut -d' ' -f1)"
fetch_kafka() {
  [[ -d $kafka_jars ]] && return
  command -v mvn >/dev/null || die "needs Maven to fetch Apache Kafka: install 'maven' and start again"
  say "fetching Apache Kafka from Maven Central"
  mkdir -p "$ci_home/kafka"
  local part
  part="$(mktemp -d "$ci_home/kafka/part.XXXXXX")"
  mvn -B -q -f "$kafka_pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$part" \
    </dev/null >"$ci_home/kafka/mvn.log" 2>&1 || die "Maven could not fetch the jars, see $ci_home/kafka/mvn.log"
  chmod 755 "$part"
  # Another script may have been faster: then its folder stays.
  mv -T "$part" "$kafka_jars" 2>/dev/null || rm -rf "$part"
}
