"""Raylets on this machine, for tests and measurements: a head and workers of one CPU each."""

import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

# Ray reads these when it is imported: import this module before.
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
}


def processes(program, part):
    """Running processes whose program ends so, with this part in their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if line[0].endswith(program) and any(part in argument for argument in line):
            found.append(int(folder.name))
    return found


class Cluster:
    """A head that asks everybody for a token. `with` ends it, and all that belongs to it.

    Raises `RuntimeError` with what Ray said where it does not start."""

    def __init__(self, object_store=200_000_000, pinned=False):
        """With ``pinned``, each node has one core of this machine to itself, in turn."""
        self.object_store, self.pinned, self.nodes = object_store, pinned, 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # Every process of the cluster names this folder. Its path is short, as sockets lie below it.
        self.folder = tempfile.mkdtemp(prefix="segzero-")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _start(self, *args):
        program = Path(sys.executable).parent / "ray"
        fixed = [f"--object-store-memory={self.object_store}", "--num-cpus=1"]
        pin = functools.partial(os.sched_setaffinity, 0, {self.nodes}) if self.pinned else None
        self.nodes += 1
        done = subprocess.run(
            [program, "start", *fixed, *args], capture_output=True, text=True, timeout=120,
            preexec_fn=pin,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"ray start {' '.join(args)}: {done.stdout[-800:]}{done.stderr[-800:]}")

    def __enter__(self):
        try:
            self._start(
                "--head",
                f"--port={self.port}",
                "--include-dashboard=false",
                f"--temp-dir={self.folder}",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, name):
        """Starts a worker node; returns the name that its processes go by."""
        name = f"segzero-{name}-{self.port}"
        self._start(f"--address={self.address}", f"--node-name={name}")
        return name

    def __exit__(self, *_):
        for process in processes("", self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        # Where `ray.init()` of others looks for a cluster, and would find one that is no more.
        current = Path(tempfile.gettempdir(), "ray", "ray_current_cluster")
        if current.exists() and current.read_text().endswith(f":{self.port}"):
            current.unlink()
