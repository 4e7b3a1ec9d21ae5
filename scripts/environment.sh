# Sourced by the other scripts: makes a virtual environment once and keeps it in step with pyproject.toml.
# Usage: prepare DIRECTORY EXTRAS       e.g.  prepare .venv "[train,dev]"

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3 python; do
    if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "streamvc needs Python 3.11 or newer with the venv module (Debian: apt-get install python3-venv)" >&2
  return 1
}

prepare() {
  local directory=$1 extras=$2 python stamp wanted
  stamp="$directory/.prepared-$(echo "$extras" | tr -dc 'a-z0-9')"
  wanted=$(cksum < pyproject.toml)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  python=$(find_python)
  echo "Preparing $directory with streamvc$extras (once; takes a few minutes with TensorFlow) ..." >&2
  [ -x "$directory/bin/python" ] || "$python" -m venv "$directory"
  "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".$extras"
  echo "$wanted" > "$stamp"
}
