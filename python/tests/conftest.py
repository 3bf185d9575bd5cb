"""What the tests share: the command, and data that is not part of the project."""

import faulthandler
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import cluster as raylets
import pytest
import tables

ROOT = Path(__file__).resolve().parents[2]


def _target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


@pytest.fixture(autouse=True)
def no_test_waits_for_ever():
    """An engine that hangs ends the run, and shows where."""
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


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


class _Model(http.server.BaseHTTPRequestHandler):
    """Answers every question with its words, but for the objects 8 (only when asked again), 9 (never), 10
    and 11 (with what is no text)."""

    refused = set()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        image, text = body["messages"][0]["content"]
        assert image["image_url"]["url"].startswith("data:image/")
        question = text["text"].split("'")[1]
        is_busy = question == "object 8" and question not in self.refused
        self.refused.add(question)
        said = {"object 10": None, "object 11": [{"part": 1}]}.get(question, f"I see {question}")
        answer = {"choices": [{"message": {"content": said}}]}
        self.send_response(500 if question == "object 9" else 429 if is_busy else 200)
        self.end_headers()
        self.wfile.write(b"too hot" if question == "object 9" else json.dumps(answer).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    """The address of a server of OpenAI's protocol."""
    _Model.refused.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
