# SPDX-License-Identifier: MIT
# test_ws_clients.py - other people's WebSocket clients against arena and test_app: Python's "websockets" (Debian:
# python3-websockets) and npm's "ws", which is installed into the build directory from the npm registry.
# Each case of theirs is a case here. A client that cannot be had is skipped, and says so.
# ctest: timeout=400
import fcntl
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from harness import Failure, Suite, which  # noqa: E402

suite = Suite("other people's WebSocket clients")
RUN_S = 350


def python_with_websockets():
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import websockets"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def npm_folder(build):
    """(folder with node_modules/ws, or None; why not). Installed once for a build, whoever comes first."""
    folder = os.path.join(build, "npm")
    if which("node") is None or which("npm") is None:
        return None, "node and npm are not installed (Debian: nodejs npm)"
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, "node_modules", "ws", "package.json")):
            shutil.copy(os.path.join(HERE, "package.json"), folder)
            try:
                run = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
                                     cwd=folder, capture_output=True, text=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                return None, "npm install has taken two minutes"
            if run.returncode != 0:
                return None, f"npm install failed: {(run.stderr or run.stdout).strip()[-300:]}"
    return folder, None


def run_client(name, argv, env=None):
    """Runs a client; each line "ok NAME" or "FAIL NAME: why" becomes a case."""
    arena = suite.shared_server("arena", lambda: suite.arena(workers="2"))
    app = suite.shared_server("app", lambda: suite.app(workers="2"))
    argv = [*argv, f"ws://127.0.0.1:{arena.port}", f"ws://127.0.0.1:{app.port}"]
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=RUN_S, check=False, env={**os.environ, **(env or {})})
        output, status = run.stdout, run.returncode
    except subprocess.TimeoutExpired as late:
        output, status = (late.stdout or b"").decode(), f"none after {RUN_S} s"
        run = late
    found = re.findall(r"^(ok|FAIL) (\w+)(?:: (.*))?$", output, re.MULTILINE)
    for word, case, why in found:
        if word == "ok":
            suite.ok(f"{name}: {case}")
        else:
            suite.fail(f"{name}: {case}", "", Failure("no such error", why))
    if not found or (status != 0 and all(word == "ok" for word, _, _ in found)):
        suite.fail(f"{name} to the end", "", Failure("exit status 0", f"{status}: {output[-500:]} {str(run.stderr)[-1500:]}"))


def main():
    args = suite.parse_args()
    python = python_with_websockets()
    if python:
        run_client("python websockets", [python, os.path.join(HERE, "ws_library_client.py")])
    else:
        suite.skip("python websockets", "the library is not installed (Debian: python3-websockets)")
    folder, why = npm_folder(os.path.dirname(os.path.abspath(args.bin)))
    if folder:
        run_client("npm ws", ["node", os.path.join(HERE, "ws_npm_client.js"), folder])
    else:
        suite.skip("npm ws", why)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
