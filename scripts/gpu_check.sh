#!/usr/bin/env bash
# Builds gradwire for the GPU of this machine, tests its kernels there and measures them. Needs no network and installs
# nothing outside build/gpu: what is used is what python3 has (or GRADWIRE_PYTHON): torch with CUDA, NumPy, pybind11,
# pytest, pytest-timeout and hypothesis; and nvcc and CMake.
#
# Usage: scripts/gpu_check.sh [--results FOLDER] [--wheels FOLDER] [STEP...]
#   --results FOLDER   where results go (default: bench/results/gpu)
#   --wheels FOLDER    wheels of what this Python lacks; unpacked into build/gpu/site
#   STEP               only these, in the order given: build info tests memcheck racecheck synccheck bench bench-long
#                      peers ranks
#
# Steps: build (with nvcc, for this GPU; the registers of all kernels), info, tests (unit tests with arrays on the GPU:
# kernels, CUDA graphs, exchanges), memcheck, racecheck and synccheck (every row of the benchmark once, short, under
# compute-sanitizer), bench (25 million elements, with peers), bench-long (256 million, chosen rows), peers (CUB's
# kernels; GRADWIRE_CCCL=FOLDER has newer headers), ranks (sparse_allreduce of CUDA tensors under mpirun).
# Each step has a time limit of its own, and one that fails does not stop those after it. At the end: a table, and
# gpu_check.json with device, date and commit. Exit code 1: a step failed, or there is no GPU (scripts/test.sh unit runs
# the same kernels on an emulator). What lacks its tools is skipped.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

declare -A limits=(
  [build]=1500 [info]=120 [tests]=900 [memcheck]=600 [racecheck]=900 [synccheck]=600 [bench]=900 [bench-long]=1500
  [peers]=900 [ranks]=600
)
all_steps=(build info tests memcheck racecheck synccheck bench bench-long peers ranks)
# Of 256 million elements only what the goals are about: the specifications run on the host, and take their time.
long_rows=(absmax histogram kth_magnitude select topk compensate_select 'compensate_topk*' 'quantize/*'
  'compensate_quantize/*' 'dequantize*/4' scatter_add 'merge/8' add 'queued/*')
skipped=77 # exit status of a step that lacks its tools

python=${GRADWIRE_PYTHON:-python3}
build=$root/build/gpu
results=$root/bench/results/gpu
wheels=
one_step=
steps=()
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" && exit ;;
    --results | --wheels | --one-step)
      (($# > 1)) || fail "gpu_check.sh: $1 needs a value"
      case $1 in
        --results) results=$(realpath -m "$2") ;;
        --wheels)
          [[ -d $2 ]] || fail "gpu_check.sh: --wheels: there is no folder $2"
          wheels=$(realpath "$2")
          ;;
        --one-step) one_step=$2 ;; # how the script calls itself
      esac
      shift
      ;;
    *)
      [[ " ${all_steps[*]} " == *" $1 "* ]] ||
        fail "gpu_check.sh: unknown step or option '$1'" "see scripts/gpu_check.sh --help"
      steps+=("$1")
      ;;
  esac
  shift
done
if ((${#steps[@]} == 0)); then steps=("${all_steps[@]}"); fi

# ---- steps: each runs in a process of its own ------------------------------------------------------------------------

skip() {
  say "skipped: $*"
  exit "$skipped"
}

ask_gpu() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1; }

# cmake_build SOURCE FOLDER OPTIONS...
cmake_build() {
  local source=$1 folder=$2 generator=()
  shift 2
  if command -v ninja >/dev/null; then generator=(-G Ninja); fi
  cmake -S "$source" -B "$folder" "${generator[@]}" -DCMAKE_CUDA_ARCHITECTURES="$(ask_gpu compute_cap | tr -d .)-real" \
    "$@"
  cmake --build "$folder" --parallel "$(cores)"
}

step_build() {
  cmake_build "$root" "$build" -DGRADWIRE_WITH_CUDA=ON -DGRADWIRE_BUILD_PYTHON=ON -DGRADWIRE_BUILD_TESTS=OFF \
    -DPython_EXECUTABLE="$(command -v "$python")" -DCMAKE_CUDA_FLAGS=-Xptxas=-v \
    "-DCMAKE_CUDA_COMPILER_LAUNCHER=$(command -v "$python");$root/scripts/check_spills.py;--keep"
  rm -rf "$build/package"
  cmake --install "$build" --prefix "$build/package"
  cp -r "$root/python/gradwire/." "$build/package/gradwire/"
  "$python" "$root/scripts/check_spills.py" "$build" | tee "$results/registers.txt"
}

step_info() {
  "$python" -m gradwire info --json | tee "$results/info.json"
  "$python" -c 'import json, sys; sys.exit(not json.load(open(sys.argv[1]))["devices"])' "$results/info.json" ||
    fail "the kernels find no device"
}

step_tests() {
  local parallel=()
  if "$python" -c 'import xdist' 2>/dev/null; then parallel=(-n "$(($(cores) < 8 ? $(cores) : 8))"); fi
  # What other versions of torch warn of is not the question here.
  GRADWIRE_TEST_CUDA=1 "$python" -m pytest -q -p no:cacheprovider --color=no -W default "${parallel[@]}" \
    "$root"/tests/unit/test_{kernels_*,staging,functional_on_gpu}.py -k "cuda or gpu or graphs"
}

# Without torch's cache an access beyond an array is one beyond an allocation.
sanitize() {
  command -v compute-sanitizer >/dev/null || skip "compute-sanitizer is not there"
  PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$1" --error-exitcode 9 \
    "$python" -m gradwire bench kernels --device cuda --n "$2" --repetitions 1 --no-peers
}

step_memcheck() { sanitize memcheck 300007; }
step_racecheck() { sanitize racecheck 70001; }
step_synccheck() { sanitize synccheck 70001; }

step_bench() {
  "$python" -m gradwire bench kernels --device cuda --n 25000000 --repetitions 30 --json "$results/kernels-25M.json"
}

step_bench-long() {
  "$python" -m gradwire bench kernels --device cuda --n 256000000 --repetitions 30 --rows "${long_rows[@]}" \
    --json "$results/kernels-256M.json"
}

step_peers() {
  cmake_build "$root/bench/cuda_peers" "$build/peers" "-DGRADWIRE_CCCL=${GRADWIRE_CCCL:-}"
  "$build/peers/cuda_peers" --n 25000000 | tee "$results/cub-25M.json"
  "$build/peers/cuda_peers" --n 256000000 | tee "$results/cub-256M.json"
}

step_ranks() {
  local ranks
  command -v mpirun >/dev/null || skip "mpirun is not there"
  "$python" -c 'from mpi4py import MPI' || skip "mpi4py finds no MPI library"
  mpi_environment
  for ranks in 2 4; do
    mpi_command "$ranks"
    GRADWIRE_TEST_CUDA=1 "${launch[@]}" "$python" -m pytest -q -x -p no:cacheprovider -W default \
      "$root/tests/parallel/test_cuda_tensors_mpi.py"
  done
}

# ---- all ------------------------------------------------------------------------------------------------------------

unpack_wheels() {
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --upgrade --target "$build/site" \
    "$wheels"/*.whl || fail "the wheels in $wheels cannot be unpacked for $("$python" -V)"
}

table=() # lines of "step result seconds"

run_step() {
  local began=$SECONDS status=0 result=passed
  say "---- $1"
  run_shown "${limits[$1]}" "$results/$1.log" "${BASH_SOURCE[0]}" --results "$results" --one-step "$1" || status=$?
  case $status in
    0) ;;
    "$skipped") result=skipped ;;
    124 | 137) result="timed-out" ;;
    *) result=failed ;;
  esac
  table+=("$1 $result $((SECONDS - began))")
  say "$1: $result after $(elapsed $((SECONDS - began)))"
}

write_summary() {
  printf '%s\n' "${table[@]}" | "$python" -c '
import datetime, json, sys
device, driver, commit, path = sys.argv[1:]
steps = [line.split() for line in sys.stdin]
summary = {
    "device": device,
    "driver": driver,
    "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    "commit": commit,
    "steps": [{"step": name, "result": result, "seconds": int(s)} for name, result, s in steps],
}
open(path, "w", encoding="utf-8").write(json.dumps(summary, indent=2) + "\n")
' "$(ask_gpu name)" "$(ask_gpu driver_version)" "$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)" \
    "$results/gpu_check.json"
}

export PYTHONPATH=$build/package:$build/site PYTHONUNBUFFERED=1 PATH=$build/site/bin:$PATH
if [[ -n $one_step ]]; then
  cd "$root"
  "step_$one_step"
  exit
fi
end_running_on_exit
has_gpu || fail "no NVIDIA GPU was found (nvidia-smi --list-gpus)" \
  "without one, scripts/test.sh unit runs the same kernels on an emulator"
for tool in "$python" cmake nvcc; do
  command -v "$tool" >/dev/null || fail "$tool was not found, which this check cannot do without"
done
mkdir -p "$results" "$build"
if [[ -n $wheels ]]; then unpack_wheels; fi
say "$(ask_gpu name), driver $(ask_gpu driver_version), $("$python" -V), $(cores) cores; results go to $results"
for step in "${steps[@]}"; do run_step "$step"; done
write_summary
echo
printf '  %-12s %-10s %8s\n' step result seconds
for line in "${table[@]}"; do
  read -r step result seconds <<<"$line"
  printf '  %-12s %-10s %8s\n' "$step" "$result" "$seconds"
done
[[ ${table[*]} != *failed* && ${table[*]} != *timed-out* ]]
