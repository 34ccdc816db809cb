"""Trainings that go wrong from within, in whichever process they run: what `sitecustomize` and a file of orders do.

Its folder belongs on the path of the processes; orders hold from the next epoch on. Where the variable
TEST_CLOCK_IS_OFF_S is set, Python's clock is off by so many seconds.
"""

from __future__ import annotations

import json
from pathlib import Path

_CODE = """
import importlib.abc, importlib.util, json, os, pathlib, sys, time

OFF_S = float(os.environ.get("TEST_CLOCK_IS_OFF_S", "0"))
if OFF_S:
    now, now_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: now() + OFF_S, lambda: now_ns() + int(OFF_S * 1e9)

ORDERS = pathlib.Path(__file__).with_name("orders.json")
KEPT = []


def harmed(run_epoch):
    def run(training, epoch, **more):
        orders = json.loads(ORDERS.read_text())
        if training.seed == orders.get("seed") and epoch >= orders["from_epoch"]:
            if orders["what"] == "nan":
                next(training.model.parameters()).data.fill_(float("nan"))
            elif orders["what"] == "leak":
                KEPT.append(bytearray(b"x") * 150_000_000)
            while orders["what"] == "flood":
                KEPT.append(bytearray(b"x") * 10_000_000)
                time.sleep(0.02)
        return run_epoch(training, epoch, **more)
    return run


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "irnas.training.fit":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            module._Training.run_epoch = harmed(module._Training.run_epoch)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""


class Sabotage:
    """What is to go wrong, for whom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """To be put on the path of the processes."""
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_CODE)
        self.order()

    def order(self, what: str = "", seed: int | None = None, from_epoch: int = 1) -> None:
        """From that epoch on the training with that seed goes wrong: its weights become NaN, an epoch leaks 150 MB, or
        it takes memory without end (``nan``, ``leak``, ``flood``). Nothing for no training at all."""
        orders = {"what": what, "seed": seed, "from_epoch": from_epoch}
        part = self.folder / "part.json"
        part.write_text(json.dumps(orders))
        part.replace(self.folder / "orders.json")
