# Messages and long commands with visible progress. Sourced by the other scripts; needs bash >= 4.4.
# shellcheck shell=bash

# Everything a person reads goes to stderr, so that stdout stays free for answers to other scripts.
say() { printf 'gradwire: %s\n' "$*" >&2; }

# fail MESSAGE [WHAT TO DO]: says both and ends the script.
fail() {
  printf 'gradwire: error: %s\n' "$1" >&2
  if (($# > 1)); then printf 'gradwire: %s\n' "${@:2}" >&2; fi
  exit 1
}

elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# The process group of the command that run_logged or run_shown waits for; empty when there is none.
running_group=
end_running() {
  if [[ -n $running_group ]]; then kill -TERM -- "-$running_group" 2>/dev/null || true; fi
  running_group=
}

# A command in the background ignores the keyboard's interrupt, so the script that waits for it passes it on.
end_running_on_exit() {
  trap end_running EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# run_logged LABEL LOG COMMAND...: runs the command with its output in LOG, and says every ten seconds how long
# it has taken and how far it is. Returns the command's status; the caller shows the log when that is not 0.
run_logged() {
  local label=$1 log=$2 began=$SECONDS said=$SECONDS status=0
  shift 2
  say "$label ..."
  setsid "$@" >"$log" 2>&1 </dev/null &
  running_group=$!
  while kill -0 "$running_group" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - said >= 10)); then
      said=$SECONDS
      say "$label: $(elapsed $((SECONDS - began))) $(progress_of "$log")"
    fi
  done
  wait "$running_group" || status=$?
  running_group=
  if ((status == 0)); then say "$label: done in $(elapsed $((SECONDS - began)))"; fi
  return "$status"
}

# progress_of LOG: make's percentage or ninja's count, the latest, when there is one, else the start of the last line.
progress_of() {
  local percent
  percent=$(tail -n 400 "$1" | grep -Eo '^ *\[ *[0-9]+(%|/[0-9]+)\]' | tail -n 1 | tr -d ' ') || true
  if [[ -n $percent ]]; then
    printf '%s' "$percent"
  else
    # ASCII only: cut counts bytes, and half a character spoils the line.
    tail -n 1 "$1" | tr '\r' '\n' | tail -n 1 | tr -cd ' -~' | cut -c 1-90
  fi
}

# show_failure LOG: its first errors with what surrounds them, its end, and where the whole of it is. A build goes on
# for hundreds of lines after the error that matters.
show_failure() {
  {
    grep -n -m 3 -B 2 -A 8 -E '(^|[ :])([Ff]atal )?([Ee]rror|ERROR)( at| in)?[: ]|undefined reference' "$1" |
      cut -c 1-300 || true
    echo "..."
    tail -n 20 "$1" | cut -c 1-300
  } | sed 's/^/  | /' >&2
  say "the whole log is in $1"
}

# run_shown SECONDS LOG COMMAND...: runs the command with its output on the terminal and in LOG, and ends it, with
# everything that it started, when the time is over (status 124).
# The output goes through a file, not a pipe: a process left behind by a killed command cannot hold us up.
run_shown() {
  local limit=$1 log=$2 status=0
  shift 2
  : >"$log"
  setsid timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 </dev/null &
  running_group=$!
  tail -n +1 -s 0.2 -f --pid="$running_group" "$log"
  wait "$running_group" || status=$?
  running_group=
  return "$status"
}
