"""GPUs are used where they are and wanted, as many trials on each as fit, and fewer once one of them is full."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.assignments import unreal
from support.results import result

from irnas.cli.run_options import WorkerOptions
from irnas.cluster.resources import GPU_BYTES_OF_TRIAL, Resources
from irnas.core.errors import SettingsError
from irnas.core.settings import SearchSettings
from irnas.search import ray_executor
from irnas.search.packing import Packing
from irnas.search.retries import MAX_RETRIES, TrialSupervisor
from irnas.search.strategy import Decision
from irnas.training import gpus
from irnas.training.trial import Assignment, Report
from irnas.workflows.executor import Executor

FULL = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB (a.py:3)"


@pytest.mark.parametrize(
    ("resources", "there", "gpus", "at_once"),
    [
        # What a trial is granted of the memory decides, then the cores, then how many are wanted.
        (Resources(workers=64), {"num_gpus": 2, "num_cores": 64, "gpu_bytes": 4 * GPU_BYTES_OF_TRIAL}, 0.25, 8),
        (Resources(workers=8), {"num_gpus": 4, "num_cores": 8, "gpu_bytes": 99 * GPU_BYTES_OF_TRIAL}, 0.5, 8),
        (Resources(workers=3), {"num_gpus": 1, "num_cores": 64, "gpu_bytes": 99 * GPU_BYTES_OF_TRIAL}, 0.3333, 3),
        (Resources(workers=9, threads=4), {"num_gpus": 1, "num_cores": 8, "gpu_bytes": 2**50}, 0.5, 2),
        (Resources(workers=2), {"num_gpus": 1, "num_cores": 2, "gpu_bytes": 2**30}, 1.0, 1),
        (Resources(workers=99), {"num_gpus": 1, "num_cores": 99, "gpu_bytes": 2**50}, 0.0625, 16),
        (Resources(address="10.0.0.1:6379"), {"num_gpus": 4, "num_cores": 8}, 0.5, None),
        # Nothing is decided where there is none, or somebody said what is to be.
        (Resources(workers=3), {"num_gpus": 0, "num_cores": 8}, 0.0, 3),
        (Resources(workers=3, gpus=0.2), {"num_gpus": 4, "num_cores": 8}, 0.2, 3),
        (Resources(workers=3, gpus=0), {"num_gpus": 4, "num_cores": 8}, 0.0, 3),
    ],
)
def test_all_gpus_are_used_as_memory_and_cores_allow(
    resources: Resources, there: dict[str, int], gpus: float, at_once: int | None
) -> None:
    shared = resources.with_gpus(**there)
    assert (shared.gpus, shared.at_once) == (gpus, at_once)
    assert shared.with_gpus(num_gpus=1, num_cores=1) == shared


@pytest.mark.parametrize(
    ("options", "gpus"),
    [({}, None), ({"gpus": "0.1"}, 0.1), ({"cpu": True}, 0.0), ({"cpu": True, "gpus": "0"}, 0.0), ({"gpus": "0"}, 0.0)],
)
def test_options_say_how_gpus_are_shared(options: dict[str, object], gpus: float | None) -> None:
    assert WorkerOptions(**options).resources().gpus == gpus  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpus": "all"}, r"^--gpus: got 'all'; must be auto, or the share of a GPU each trial takes$"),
        ({"gpus": "0.5", "cpu": True}, r"^--cpu: got --gpus 0.5 too; must be one of them$"),
    ],
)
def test_a_wrong_share_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        WorkerOptions(**options).resources()  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "GPU", "cpu"])
def test_the_device_whose_speed_counts_is_no_place_to_train(device: str) -> None:
    with pytest.raises(SettingsError, match=rf"^device: got {device}; .* trials train where --gpus or --cpu says$"):
        SearchSettings(space="biisnet", device=device)


class Endless:
    """A stage that hands out trial after trial, and writes down which were lost."""

    stop_reason = ""

    def __init__(self) -> None:
        self.num, self.lost = 0, list[str]()

    def next(self) -> Assignment:
        self.num += 1
        return unreal(self.num)

    def report(self, trial: int, report: Report, replicate: int = 0) -> Decision:
        return Decision.CONTINUE

    def finish(self, result: object, replicate: int = 0) -> None:
        pass

    def retry(self, trial: int, error: str, replicate: int = 0) -> None:
        self.lost.append(f"{trial}: {error}")

    def fail(self, trial: int, error: str, replicate: int = 0) -> None:
        self.lost.append(f"{trial} failed: {error}")


class Tune:
    """Tune's part: asks for trials and says what became of them."""

    def __init__(self, share: float, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = Endless()
        supervisor, packing = TrialSupervisor(self.stage), Packing(share, at_once)
        self.searcher = ray_executor.SessionSearcher(supervisor, None, packing)
        self.scheduler = ray_executor.SessionScheduler(supervisor, packing)
        monkeypatch.setattr(ray_executor.ray, "kill", lambda _: None)
        monkeypatch.setattr(ray_executor.ray_internals, "worker_of", lambda trial: trial)

    def start(self, *names: str) -> list[float | None]:
        """The share of a GPU of what is started under each name; None where nothing is."""
        configs = [self.searcher.suggest(name) for name in names]
        return [config["gpus"] if isinstance(config, dict) else None for config in configs]

    def fill(self, name: str) -> None:
        """The GPU is full for that one."""
        payload = ray_executor.wire.encode_outcome(ray_executor.wire.OutOfMemory(FULL))
        self.scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), {"payload": payload})
        self.searcher.on_trial_complete(name, error=True)


def test_a_full_gpu_halves_the_packing_once_and_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tune = Tune(0.25, 4, monkeypatch)
    assert tune.start("a", "b", "c", "d") == [0.25] * 4
    for name in "abcd":
        tune.fill(name)
    # Two at a time from now on, the lost ones first; a third would wait for its share of the GPU.
    assert tune.start("e", "f", "g") == [0.5, 0.5, None] and tune.stage.num == 4
    assert tune.stage.lost[0] == f"1: {FULL}; fewer trials share a GPU now; started again from its checkpoint"
    tune.fill("e")
    assert tune.start("h", "i") == [None, None]
    tune.fill("f")
    assert tune.start("j", "k") == [1.0, None]


def test_a_trial_that_a_whole_gpu_cannot_hold_fails_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    tune = Tune(0.5, 2, monkeypatch)
    for name in ["a", *(f"whole{number}" for number in range(MAX_RETRIES + 1))]:
        assert tune.start(name) != [None]
        tune.fill(name)
    # Whom others may have crowded out is not blamed for it.
    assert len(tune.stage.lost) == MAX_RETRIES + 2 and tune.stage.lost[-1].startswith("1 failed: OutOfMemoryError")


@pytest.mark.parametrize(
    ("on_gpu", "sees_one", "device", "trained_on"),
    [
        (False, True, "cpu", "Processor"),
        (True, True, "cuda", "NVIDIA X (GPU 2)"),
        (True, False, "cpu", "Processor (given GPU 2, which torch does not see)"),
    ],
)
def test_a_trial_trains_where_it_was_put_and_says_so(
    on_gpu: bool, sees_one: bool, device: str, trained_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    monkeypatch.setattr(gpus, "device_name", lambda _: "Processor")
    monkeypatch.setattr("torch.cuda.is_available", lambda: sees_one)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA X")
    assert gpus.choose_device(on_gpu=on_gpu) == (device, trained_on)


def test_a_worker_trains_on_the_share_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(ray_executor, "evaluate", lambda _, on_gpu: asked.append(on_gpu) or iter([result(0, {})]))
    text = ray_executor.wire.encode(Endless().next())
    for share in (0.5, 0.0):
        worker = ray_executor._Worker.__new__(ray_executor._Worker)
        worker.setup({"payload": text, "gpus": share})
        worker.reset_config({"payload": text, "gpus": share})
    assert asked == [True, True, False, False]


def test_a_machine_without_gpus_trains_on_its_processor() -> None:
    with Executor(kind="loop").joined() as executor:
        assert executor.resources.gpus == 0.0 and "GPU" not in executor.trains_on and executor.trains_on


def test_a_share_is_at_most_a_gpu_and_room_is_for_one_at_least() -> None:
    packing = Packing(0.3, at_once=2)
    for share, at_once in ((0.6, 1), (1.0, 1)):
        packing.share_for("trial")
        assert packing.loosen("trial") and (packing.share, packing.at_once) == (share, at_once)
    packing.share_for("trial")
    assert not packing.loosen("trial")
    half = Packing(0.4, at_once=3)
    half.share_for("trial")
    assert half.loosen("trial") and half.at_once == 1, "one and a half are one"
