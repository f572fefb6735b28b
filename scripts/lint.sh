#!/usr/bin/env bash
# Checks everything that can be checked without running it: ruff (rules and layout), mypy (strict), clang-format and
# the shell scripts.
#
# Usage: scripts/lint.sh [--fix]
#   --fix   let ruff and clang-format change the files, then check
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

fix=no
case ${1:-} in
  '') ;;
  --fix) fix=yes ;;
  -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" && exit ;;
  *) fail "lint.sh: unknown option '$1'" "see scripts/lint.sh --help" ;;
esac

end_running_on_exit
prepare_python
prepare_tools
unlock_environment
cd "$root"
sources=()
while IFS= read -r -d '' file; do sources+=("$file"); done < <(find csrc tests/cpp bench/cuda_peers -type f \
  \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 | LC_ALL=C sort -z)
python_folders=(setup.py python tests scripts examples)

if [[ $fix == yes ]]; then
  ruff check --fix --quiet "${python_folders[@]}" || true
  ruff format --quiet "${python_folders[@]}"
  clang-format -i "${sources[@]}"
fi

status=0
check() { # LABEL COMMAND...: runs every check, so that one run shows everything that is wrong.
  local label=$1
  shift
  if "$@"; then say "$label: fine"; else status=1 && say "$label: see above"; fi
}
check "ruff check" ruff check --quiet "${python_folders[@]}"
check "ruff format" ruff format --check --quiet --diff "${python_folders[@]}"
check "mypy" mypy --no-error-summary
# Programs that use torch and other untyped libraries: strict, except for what those libraries do not say.
check "mypy, scripts and examples" env MYPYPATH=examples mypy --no-error-summary \
  --allow-untyped-calls --no-warn-return-any --disable-error-code=import-untyped scripts/*.py examples/*.py
check "clang-format" clang-format --dry-run --Werror "${sources[@]}"
check "shellcheck" shellcheck --external-sources --source-path=SCRIPTDIR --source-path="$root" scripts/*.sh .ci/run
if ((status)); then say "scripts/lint.sh --fix repairs the layout of Python and C++ files"; fi
exit "$status"
