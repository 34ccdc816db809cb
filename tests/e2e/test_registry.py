"""A winner in MLflow's registry: loaded without torch, served on loopback, with the masks of `irnas run`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.command import environment, printed, run, run_json
from support.datasets import tiny
from support.tracking_server import free_port

from irnas.cli.track import app as track
from irnas.core.errors import SettingsError
from irnas.tracking import registry

pytestmark = pytest.mark.service

SMALL = ("--axis", "base=4", "--axis", "stages=2", "--crop", "32", "--batch", "4", "--input", "1x64x64")

# Whoever serves a network has no torch, no Ray and nothing to search with.
BARE = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "ray", "optuna", "boto3", "plotly"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import numpy as np
from mlflow import pyfunc
for uri in sys.argv[3:]:
    found = pyfunc.load_model(uri).predict(np.load(sys.argv[1])[None], params={"threshold": float(sys.argv[2])})
    assert found.dtype == np.uint8
    print(found.tolist())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, an image that tells its pixels apart, and the winner registered twice, in both formats."""
    folder = tmp_path_factory.mktemp("registered")
    data = ("--dataset", str(tiny().root), "--run", "runs/one", "--trials", "1", "--epochs", "1")
    run(folder, "search", *data, *SMALL, "--executor", "loop", timeout_s=400)
    image_hw = np.random.default_rng(5).integers(0, 256, (40, 52), dtype=np.uint8)
    np.save(folder / "image.npy", image_hw)
    Image.fromarray(image_hw).save(folder / "image.png")
    return folder


@pytest.fixture(scope="module")
def registered(folder: Path) -> list[Any]:
    """What registering printed: the network, the same again under another alias, its ONNX form."""
    ways = ((), ("--alias", "again"), ("--format", "onnx", "--alias", "o"))
    return [run_json(folder, "track", "register", "runs/one", "best", *way) for way in ways]


@pytest.fixture(scope="module")
def mask(folder: Path) -> tuple[float, list[Any]]:
    """A threshold that splits the image's pixels, and `irnas run`'s mask for it."""
    run(folder, "export", "runs/one", "best", "-o", "best.xnor")
    run(folder, "run", "best.xnor", "image.png", "-o", "probability", "--probability")
    threshold = float(np.median(np.asarray(Image.open(folder / "probability" / "image.png")))) / 255
    run(folder, "run", "best.xnor", "image.png", "-o", "masks", "--threshold", str(threshold))
    found = np.asarray(Image.open(folder / "masks" / "image.png"))
    assert set(np.unique(found)) == {0, 255}
    return threshold, found.tolist()


def surroundings(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'runs' / 'mlflow.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return {**environment(folder), **store, "PATH": path}


def test_one_file_is_one_version(folder: Path, registered: list[Any]) -> None:
    assert [(each["version"], each["new"]) for each in registered] == [(1, True), (1, False), (2, True)]
    assert not (folder / "mlflow.db").exists(), "MLflow's own default is another store"
    assert [each["uri"] for each in registered] == [f"models:/biisnet@{alias}" for alias in ("champion", "again", "o")]


def test_it_is_loaded_without_torch(folder: Path, registered: list[Any], mask: tuple[float, list[Any]]) -> None:
    words = ["image.npy", str(mask[0]), registered[0]["uri"], registered[2]["uri"]]
    done = subprocess.run(
        [sys.executable, "-c", BARE, *words],
        cwd=folder,
        env=surroundings(folder),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    xnor, onnx = (json.loads(line) for line in done.stdout.splitlines())
    assert xnor == [mask[1]]
    # Floats elsewhere than in the engine: a pixel at the threshold may fall to the other side.
    assert (np.array(onnx) != xnor).mean() < 0.01


@contextmanager
def serving(folder: Path, uri: str) -> Iterator[str]:
    """`mlflow models serve`, as `irnas track register` says it; the address."""
    port = free_port()
    words = ["models", "serve", "-m", uri, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        cwd=folder,
        env=surroundings(folder),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until = time.monotonic() + 300
            while True:
                assert process.poll() is None and time.monotonic() < until
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def ask(address: str, document: Any) -> Any:
    body, kind = json.dumps(document).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address, body, kind), timeout=60) as answer:
        return json.load(answer)["predictions"]


def test_it_answers_over_http_with_the_mask_of_irnas_run(
    folder: Path, registered: list[Any], mask: tuple[float, list[Any]]
) -> None:
    image = np.load(folder / "image.npy").tolist()
    with serving(folder, registered[0]["uri"]) as address:
        threshold = {"params": {"threshold": mask[0]}}
        assert ask(address, {"inputs": [image, image], **threshold}) == [mask[1]] * 2
        assert not np.any(ask(address, {"inputs": [image], "params": {"threshold": 1.0}}))
        for wrong in ([[[300]]], [image[0]]):
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(address, {"inputs": wrong})
            assert refused.value.code == 400
            refused.value.close()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--name", "a/b"), "--name: got 'a/b'"),
        (("--alias", "latest"), "--alias: got 'latest'"),
        (("--alias", "v3"), "--alias: got 'v3'"),
        (("--format", "pt"), "--format: got 'pt'"),
    ],
)
def test_names_that_mlflow_would_refuse(words: tuple[str, str], what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        printed(track, "register", "run", "best", *words)


def test_a_name_is_refused_before_anything_is_done() -> None:
    for name in ("", " ", ".", "a:b", "it's", 'a"b', "x" * 300):
        with pytest.raises(SettingsError, match="--name"):
            registry.check(name, "champion")
    registry.check("small ones, 2026", "champion-lt-0_2")
