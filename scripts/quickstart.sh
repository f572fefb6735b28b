#!/usr/bin/env bash
# Sets gradwire up on this machine and shows what it does: trains a small network on real data (scikit-learn's digits)
# on two ranks, once with Horovod's dense gradients and once with Ok-Topk, and prints both side by side.
#
# Usage: scripts/quickstart.sh [--np N] [--steps N] [--no-train]
#   --np N      ranks, all on this machine (default 2)
#   --steps N   training steps (default: the example's own)
#   --no-train  only set up, then print what was built and found
#
# Needs Linux, Python >= 3.10 with its headers and venv, a C++ compiler and make (Debian, Ubuntu: python3-dev
# python3-venv g++ make), and a package index that pip reaches. No root: everything goes into .venv, except one wheel
# of Horovod, which is built once, takes a few minutes, and is kept in the user's cache folder.
# Environment variables: GRADWIRE_PYTHON, GRADWIRE_VENV, GRADWIRE_TORCH, GRADWIRE_TORCH_INDEX, GRADWIRE_MPI;
# scripts/environment.sh explains them.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

ranks=2 train=yes density=0.01 steps=()

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"; }

# whole_number OPTION VALUE
whole_number() {
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || fail "quickstart.sh: $1 must be a whole number >= 1, got '${2:-}'"
  echo "$2"
}

read_arguments() {
  while (($#)); do
    case $1 in
      -h | --help) usage && exit ;;
      --no-train) train=no ;;
      --np)
        ranks=$(whole_number "$1" "${2:-}")
        shift
        ;;
      --steps)
        steps=(--steps)
        steps+=("$(whole_number "$1" "${2:-}")")
        shift
        ;;
      *) fail "quickstart.sh: unknown option '$1'" "see scripts/quickstart.sh --help" ;;
    esac
    shift
  done
}

# train_with COMPRESSOR: in the foreground, so that its progress lines and the keyboard's interrupt work as usual.
train_with() {
  say "training on $ranks ranks with compressor $1"
  "${launch[@]}" python "$root/examples/pytorch_digits.py" --compressor "$1" --density "$density" \
    "${steps[@]}" --summary "$results/$1.json"
}

end_running_on_exit
read_arguments "$@"
began=$SECONDS
prepare_all
say "ready after $(elapsed $((SECONDS - began))): $venv"
if [[ $train == no ]]; then
  python -m gradwire info
  exit
fi
results=$root/build/quickstart
mkdir -p "$results"
rm -f "$results"/*.json
mpi_command "$ranks"
train_with none
train_with oktopk
echo
python "$root/scripts/compare_runs.py" "$results/none.json" "$results/oktopk.json"
