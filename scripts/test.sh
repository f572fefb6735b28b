#!/usr/bin/env bash
# Sets up what is missing and runs all tests; the first failure ends the run with its traceback.
#
# Usage: scripts/test.sh [--deep] [STAGE...]
#   --deep   also the long tests: thousands of random exchanges, full matrices, more ranks
#   STAGE    only these, in the order given: lint unit cpp cuda mpi mpich horovod quickstart
#
# Stages: lint (scripts/lint.sh), unit (one process; of the kernels also those for CUDA, which an emulator runs on the
# host), cpp (C++ tests with the address and undefined-behaviour sanitizers; with --deep optimised, too), cuda (the CUDA
# kernels compiled by nvcc, if there is one: none may spill registers, and the module must load without a GPU), mpi
# (tests/parallel on 1 to 4 ranks), mpich (the same and jobs whose ranks fail, over MPICH), horovod (tests/integration:
# tests that start jobs, and tests that are run under mpirun and under horovodrun --gloo), quickstart (a short run of
# README's first command).
# The tests run against the package as pip installs it from this checkout. A run that hangs ends at a deadline.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

all_stages=(lint unit cpp cuda mpi mpich horovod quickstart)
depth=(-m "not deep") deep=no stages=()
test_seconds=300   # one test may take this long
run_seconds=900    # one command may take this long
mpich_ranks=(3)
horovod_ranks=(2 3)
gloo_ranks=(2) # over Gloo the same tests take five times as long

while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" && exit ;;
    --deep)
      deep=yes depth=(-m "deep or not deep") mpich_ranks=(1 2 3 4) horovod_ranks=(2 3 4) gloo_ranks=(2 3 4)
      test_seconds=3600 run_seconds=10800
      ;;
    *)
      [[ " ${all_stages[*]} " == *" $1 "* ]] ||
        fail "test.sh: unknown stage or option '$1'" "see scripts/test.sh --help"
      stages+=("$1")
      ;;
  esac
  shift
done
if ((${#stages[@]} == 0)); then stages=("${all_stages[@]}"); fi

# ---- running one command --------------------------------------------------------------------------------------------

passed=0 # tests, over all commands and ranks shown
report=() # one line a command

# run LABEL COMMAND...
run() {
  local label=$1 log began=$SECONDS status=0
  log=$logs/$(tr -c 'A-Za-z0-9\n' '-' <<<"$label").log
  shift
  say "---- $label"
  run_shown "$run_seconds" "$log" "$@" || status=$?
  if ((status)); then
    show_other_ranks
    if ((status == 124 || status == 137)); then say "ended after its deadline of $run_seconds s: a hang?"; fi
    say "FAILED: $label, status $status, after $(elapsed $((SECONDS - began))); logs are in $logs"
    printf '%d passed, 1 failed\n' "$passed"
    exit 1
  fi
  count_passed "$log"
  report+=("$(printf '%-28s %6s' "$label" "$(elapsed $((SECONDS - began)))")")
}

# Adds what pytest and ctest say on their closing lines.
count_passed() {
  local number
  number=$(sed -nE 's/.*[^0-9]([0-9]+) passed.* in [0-9.]+s.*/\1/p; s/^ *100% tests passed.* out of ([0-9]+)$/\1/p' <(
    sed 's/^/ /' "$1") | tail -n 1)
  passed=$((passed + ${number:-0}))
}

# Ranks above 0 write to files (scripts/quiet_rank.sh): nobody can read four outputs at once. What they said matters
# when something failed.
show_other_ranks() {
  local file
  for file in "$GRADWIRE_RANK_LOGS"/*.log; do
    if [[ ! -s $file ]]; then continue; fi
    say "the end of $(basename "$file" .log):"
    tail -n 40 "$file" | sed 's/^/  | /'
  done
}

# ---- stages ---------------------------------------------------------------------------------------------------------

pytest_command() { # FOLDERS...: sets the array `pytest`
  pytest=(python -m pytest -q -x --color=no --timeout="$test_seconds" --timeout-method=thread "${depth[@]}" "$@")
}

stage_lint() { run "lint" "$root/scripts/lint.sh"; }

stage_unit() {
  build_cuda "the emulated CUDA kernels" _cuda_emulated
  local folders=(tests/unit tests/conformance)
  if [[ -d tests/parity ]]; then folders+=(tests/parity); fi
  pytest_command "${folders[@]}"
  run "unit and conformance" env GRADWIRE_EMULATED_CUDA="$root/build/cuda" "${pytest[@]}"
}

# build WHAT FOLDER TARGET OPTIONS...: by CMake and Ninja
build() {
  local what=$1 folder=$2 target=$3
  shift 3
  cmake_step "configuring $what" -S . -B "$folder" -G Ninja "$@"
  cmake_step "building $what" --build "$folder" --target "$target"
}

cmake_step() { # LABEL ARGUMENTS of cmake...
  local label=$1 log
  log=$logs/$(tr -c 'A-Za-z0-9\n' '-' <<<"$label").log
  shift
  run_logged "$label" "$log" cmake "$@" && return
  show_failure "$log"
  fail "$label failed"
}

nvcc=${CUDACXX:-nvcc}
has_nvcc() { command -v "$nvcc" >/dev/null; }

# build_cuda WHAT TARGET: the modules _cuda_emulated, whose kernels run on the host, for the unit tests, and _cuda. One
# architecture tells of spills what others would, and takes a seventh of the time.
build_cuda() {
  local options=(-DGRADWIRE_EMULATE_CUDA=ON -DGRADWIRE_BUILD_TESTS=OFF -DGRADWIRE_WITH_CUDA=OFF)
  if has_nvcc; then
    options+=(-DGRADWIRE_WITH_CUDA=ON -DGRADWIRE_BUILD_PYTHON=ON -DCMAKE_CUDA_ARCHITECTURES=90-real
      -DCMAKE_CUDA_FLAGS=-Xptxas=-v "-DCMAKE_CUDA_COMPILER_LAUNCHER=python;$root/scripts/check_spills.py;--keep")
  fi
  build "$1" build/cuda "$2" "${options[@]}"
}

stage_cuda() {
  if ! has_nvcc; then
    say "---- CUDA kernels: no nvcc here, so they are not compiled for a GPU"
    report+=("$(printf '%-28s %6s' "CUDA kernels" "no nvcc")")
    return
  fi
  build_cuda "the CUDA kernels" _cuda
  run "CUDA kernels, spills" scripts/check_spills.py build/cuda
  run "CUDA kernels, module" python scripts/check_cuda_module.py build/cuda
}

stage_cpp() {
  local kind options kinds=(sanitized)
  # Optimised, the same code is in the package, whose kernels the unit tests compare bit by bit.
  if [[ $deep == yes ]]; then kinds+=(plain); fi
  for kind in "${kinds[@]}"; do
    options=(-DGRADWIRE_BUILD_TESTS=ON -DGRADWIRE_WERROR=ON)
    if [[ $kind == sanitized ]]; then options+=(-DGRADWIRE_SANITIZE=ON); fi
    build "the C++ tests, $kind" "build/cpp-$kind" all "${options[@]}"
    run "C++, $kind" ctest --test-dir "build/cpp-$kind" --output-on-failure --no-tests=error --timeout 300
  done
}

# parallel LABEL COUNT PATHS... LAUNCHER...: pytest of COUNT paths as one job
parallel() {
  local label=$1 count=$2
  shift 2
  rm -f "$GRADWIRE_RANK_LOGS"/*.log
  # Ranks would overwrite each other's pytest cache.
  pytest_command -p no:cacheprovider "${@:1:count}"
  shift "$count"
  run "$label" "$@" "$root/scripts/quiet_rank.sh" "${pytest[@]}"
}

stage_mpi() {
  local ranks
  for ranks in 1 2 3 4; do
    mpi_command "$ranks"
    parallel "MPI, $ranks ranks" 1 tests/parallel "${launch[@]}"
  done
}

# Horovod is built against the MPI of the other stages, so only what needs none is run with this one.
stage_mpich() {
  local ranks path=$PATH
  export PATH=$venv/mpich/bin:$PATH
  hash -r
  for ranks in "${mpich_ranks[@]}"; do
    mpi_command "$ranks"
    parallel "MPICH, $ranks ranks" 1 tests/parallel "${launch[@]}"
  done
  pytest_command -p no:cacheprovider tests/integration/test_launched_failures.py
  run "MPICH, ranks that fail" "${pytest[@]}"
  export PATH=$path
  hash -r
}

# Files named test_horovod_* run on the ranks of a job; the others in that folder start jobs themselves.
stage_horovod() {
  local ranks ranked=(tests/integration/test_horovod_*.py)
  pytest_command tests/integration --ignore-glob='*/test_horovod_*.py'
  run "jobs, launched by tests" "${pytest[@]}"
  for ranks in "${horovod_ranks[@]}"; do
    mpi_command "$ranks"
    parallel "Horovod over MPI, $ranks ranks" "${#ranked[@]}" "${ranked[@]}" "${launch[@]}"
  done
  for ranks in "${gloo_ranks[@]}"; do
    parallel "Horovod over Gloo, $ranks ranks" "${#ranked[@]}" "${ranked[@]}" horovodrun --gloo -np "$ranks" \
      --gloo-timeout-seconds 200 # it aborts the job after 30 s otherwise, which a busy machine can take
  done
}

stage_quickstart() { run "quickstart, 80 steps" "$root/scripts/quickstart.sh" --steps 80; }

# ---- all ------------------------------------------------------------------------------------------------------------

end_running_on_exit
cd "$root"
extras=tools
if [[ " ${stages[*]} " == *" mpich "* ]]; then extras+=" mpich"; fi
prepare_all "$extras"
logs=$root/build/test-logs
export GRADWIRE_RANK_LOGS=$logs/ranks
mkdir -p "$GRADWIRE_RANK_LOGS"
export OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle:-1} # ranks outnumber cores
say "tests on $(python -V), $(cores) cores, deep: $deep; ready after $(elapsed "$SECONDS")"
for stage in "${stages[@]}"; do "stage_$stage"; done
echo
printf '  %s\n' "${report[@]}"
printf '  %-28s %6s\n\n' "all, set-up included" "$(elapsed "$SECONDS")"
printf '%d passed, 0 failed\n' "$passed"
