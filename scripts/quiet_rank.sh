#!/usr/bin/env bash
# Runs a command as one rank of many: rank 0 speaks, the others write to $GRADWIRE_RANK_LOGS/rank-N.log.
#
# Usage: mpirun -np N scripts/quiet_rank.sh COMMAND...
set -euo pipefail
case ${1:---help} in -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" && exit ;; esac
rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${HOROVOD_RANK:-0}}}
if ((rank == 0)); then exec "$@"; fi
exec "$@" >"${GRADWIRE_RANK_LOGS:?must name a folder}/rank-$rank.log" 2>&1
