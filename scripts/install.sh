#!/bin/sh
# Makes .venv with exactly the libraries of requirements.lock and the project itself. Quick when that is already so.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
VENV_PYTHON=.venv/bin/python

# What .venv depends on: also the place, since a virtual environment does not survive being moved.
wanted="$(cat requirements.lock pyproject.toml scripts/install.sh | cksum) $(pwd -P)"
if [ "$(cat .venv/installed 2>/dev/null)" = "$wanted" ] && "$VENV_PYTHON" -c '' 2>/dev/null; then
    exit 0
fi

say() {
    printf '%s\n' "$*" >&2
}

# The first suitable Python: first the versions that every library publishes ready-built packages for.
find_python() {
    for limit in '3, 14' '4, 0'; do
        for candidate in python3 python3.13 python3.12; do
            if "$candidate" -c "import sys; sys.exit(not (3, 12) <= sys.version_info < ($limit))" 2>/dev/null; then
                printf '%s' "$candidate"
                return
            fi
        done
    done
}

make_venv() {
    python="$(find_python)"
    if [ -n "$python" ] && "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear .venv
        "$VENV_PYTHON" -m pip install --quiet --disable-pip-version-check --target .venv/uv "uv==$UV_VERSION"
    elif command -v uv >/dev/null; then
        # A Python that uv has to fetch stays inside the checkout.
        UV_PYTHON_INSTALL_DIR="$(pwd)/var/python" uv venv --quiet --clear --python "${python:-3.13}" .venv
        uv pip install --quiet --python "$VENV_PYTHON" --target .venv/uv "uv==$UV_VERSION"
    else
        say 'Python 3.12 or newer with its venv module is needed and was not found.'
        say 'Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13),'
        say 'or install uv, which brings its own: https://docs.astral.sh/uv/'
        exit 1
    fi
}

rm -f .venv/installed
if ! { "$VENV_PYTHON" -c '' && [ -x .venv/uv/bin/uv ] && [ "$(cat .venv/made-in)" = "$(pwd -P)" ]; } 2>/dev/null; then
    say 'Making .venv'
    make_venv
    pwd -P >.venv/made-in
fi
say 'Installing the locked libraries'
.venv/uv/bin/uv pip sync --quiet --require-hashes --python "$VENV_PYTHON" requirements.lock
.venv/uv/bin/uv pip install --quiet --no-deps --python "$VENV_PYTHON" --editable .
printf '%s' "$wanted" >.venv/installed
