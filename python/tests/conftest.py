"""What the tests share: the command, and data that is not part of the project."""

import os
import shutil
import subprocess
from pathlib import Path

import cluster as raylets
import pytest
import tables

ROOT = Path(__file__).resolve().parents[2]


def _target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


@pytest.fixture(scope="session")
def command():
    """Runs ``segzero`` and returns what it printed."""
    program = _target() / "release" / "segzero"
    program = program if program.exists() else shutil.which("segzero")
    if program is None:
        pytest.skip("the command is not built: cargo build --release")

    def run(*args):
        done = subprocess.run([program, *map(str, args)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.program = program
    return run


@pytest.fixture(scope="session")
def synthetic(command, tmp_path_factory):
    """The synthetic RefCOCOg that the command makes."""
    root = tmp_path_factory.mktemp("synth")
    command("synth", "--out", root / "data", "--count", 100)
    return root / "data"


@pytest.fixture(scope="session")
def shared_data():
    """Real data beside the checkout; see ``segzero_test_support::shared_data``."""
    for folder in [os.environ.get("SEGZERO_TEST_DATA"), ROOT / ".." / "shared" / "data"]:
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip("no shared data beside the checkout")


@pytest.fixture(scope="session")
def drawn():
    """Rows of drawn images, masks and predictions, one of each kind of failure among them."""
    return tables.drawn()


@pytest.fixture(scope="session")
def cluster():
    """A head and a worker of one CPU each, to which this process belongs. They end with the tests."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (SEGZERO_RAY=1 of scripts/python.sh)")
    with raylets.Cluster() as cluster:
        cluster.worker = cluster.add("worker")
        ray.init(cluster.address, logging_level="error", log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield cluster
        ray.shutdown()
