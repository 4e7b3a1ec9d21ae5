# Sourced by the other scripts: finds a Python, and makes virtual environments that are kept in step with pyproject.toml.

# Succeeds if this is Python 3.11 or newer, able to make virtual environments.
is_fit() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints "3.12", say; nothing if it does not run.
version_of() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# Usage: find_version 3.12      Prints a Python of this version: one on PATH, or one of pyenv's.
find_version() {
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/"$1".*/bin/python; do
    if [ "$(version_of "$candidate")" = "$1" ] && is_fit "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# Prints the Python to use: PYTHON where that is set, or the first that fits.
find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    if is_fit "$PYTHON"; then
      echo "$PYTHON"
      return
    fi
    echo "PYTHON is $PYTHON, which is not Python 3.11 or newer with the modules venv and ensurepip" >&2
    return 1
  fi
  for candidate in 3.11 3.12 3.13 3.14; do
    find_version "$candidate" && return
  done
  for candidate in python3 python; do
    if is_fit "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "streamvc needs Python 3.11 or newer with the modules venv and ensurepip (Debian: apt-get install python3-venv)." >&2
  echo "If there is one elsewhere, say where: PYTHON=/path/to/python $0" >&2
  return 1
}

# Usage: prepare DIRECTORY EXTRAS [LOCK]      e.g.  prepare .venv "[train,dev]" requirements/test.txt
# With a lock its versions are installed, and none other; without, the newest that pyproject.toml allows.
# An environment that is there stays, unless PYTHON asks for another version.
prepare() {
  local directory=$1 extras=$2 lock=${3:-} python stamp version wanted
  if [ -z "${PYTHON:-}" ] && is_fit "$directory/bin/python"; then
    python="$directory/bin/python"
  else
    python=$(find_python)
  fi
  version=$(version_of "$python")
  stamp="$directory/.prepared-$(echo "$extras" | tr -dc 'a-z0-9')"
  wanted="$version $(cat pyproject.toml ${lock:+"$lock"} | cksum)"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  echo "Preparing $directory with streamvc$extras (once; takes a few minutes with TensorFlow) ..." >&2
  if [ "$(version_of "$directory/bin/python")" != "$version" ]; then
    "$python" -m venv --clear "$directory"
  fi
  set -- "$directory/bin/python" -m pip install --quiet --disable-pip-version-check
  if [ -n "$lock" ]; then
    "$@" --require-hashes --requirement "$lock"
    "$@" --no-index --no-build-isolation --editable ".$extras" # fails if the lock lacks what pyproject.toml asks for
  else
    "$@" --editable ".$extras"
  fi
  echo "$wanted" > "$stamp"
}
