"""``irnas bench``, on a small model."""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from support import rpcanet
from support.command import printed
from support.native import library, products  # noqa: F401
from support.xnor_file import tiny
from torch import Tensor, nn

from irnas.cli import bench
from irnas.core.errors import SettingsError
from irnas.deploy.bench import contest, rival
from irnas.deploy.bench.source import Source, from_block
from irnas.deploy.bench.subject import Subject
from irnas.runtime import engine, format

pytestmark = pytest.mark.usefixtures("library")
app = typer.Typer()
app.command("bench")(bench.bench)
app.callback()(lambda: None)


def call(*arguments: object) -> str:
    return printed(app, *arguments)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.xnor"
    path.write_bytes(format.write(tiny()))
    return path


def test_bench_times_every_kernel_set_and_torch(model: Path) -> None:
    names = [model, "biisnet:stages=2,base=4"]
    printed = call("bench", *names, "--size", "16x24", "--seconds", 0, "--kernels", "all", "--json")
    document = json.loads(printed)
    assert [each["kernels"] for each in document["models"]] == [*engine.kernels(), "fp32 eager"]
    assert all(0 < each["ms_min"] <= each["ms_median"] for each in document["models"])
    assert (document["size"], document["threads"], document["clock"]) == ([16, 24], [1], "CPU time of the process")
    for each in document["models"][1:-1]:
        assert (each["max_difference"], each["mask_agreement"]) == (0, 1)
        assert each["cycles_per_pixel"] > 0 and ("share_of_peak" in each) == (each["kernels"] != "reference")


def test_bench_prints_ratios_to_the_first(model: Path) -> None:
    printed = call("bench", model, model, "--size", "16x16", "--seconds", 0, "--threads", 2)
    assert "2 threads, wall clock" in printed and printed.count("tiny.xnor") == 2 and "1.00" in printed


def test_bench_times_several_numbers_of_threads(model: Path) -> None:
    document = json.loads(call("bench", model, "--size", "16x16", "--seconds", 0, "--threads", "1,2", "--json"))
    assert [each["threads"] for each in document["models"]] == [1, 2] and document["clock"] == "wall clock"
    assert document["models"][1]["max_difference"] == 0


def test_a_profile_tells_each_step_of_each_kernel_set(model: Path) -> None:
    document = json.loads(
        call("bench", model, "--size", "16x24", "--seconds", 0, "--kernels", "all", "--profile", "--json")
    )
    profiles = document["profiles"]
    assert [each["kernels"] for each in profiles] == engine.kernels() and document["size"] == [16, 24]
    for each in profiles:
        steps = each["steps"]
        assert {"input", "sign", "block", "conv", "output"} <= {step["step"] for step in steps}
        assert each["ms_min"] > 0 and sum(step["share"] for step in steps) == pytest.approx(1)
        assert all(step["us"] > 0 and step["cycles_per_pixel"] > 0 for step in steps)
        compared = {step["step"] for step in steps if step["share_of_peak"] is not None}
        assert compared == (set() if each["kernels"] == "reference" else {"block"})
        assert {step["op"] for step in steps if step["step"] == "block"} == {"binary_block"}
    printed = call("bench", f"{model}", "--size", "16x24", "--seconds", 0, "--profile")
    assert "cycles/px" in printed and "binary_block" in printed


def test_a_profile_is_of_the_engine_alone(model: Path) -> None:
    for words in (("--threads", "1,2"), ("--rivals", "torch")):
        with pytest.raises(SettingsError, match="--profile: got --rivals or other --threads"):
            app(["bench", str(model), "--profile", *words], standalone_mode=False)
    with pytest.raises(SettingsError, match=r"got no form in \.xnor"):
        app(["bench", "std2net:default", "--profile"], standalone_mode=False)


def test_bench_times_a_block_against_rivals() -> None:
    call_ = ("bench", "block:8@16x24", "--rivals", "torch,litert", "--seconds", 0)
    document = json.loads(call(*call_, "--json"))
    ours, theirs = document["models"][:2]
    assert (ours["engine"], ours["model"]) == ("xnor", "block:8@16x24") and theirs["kernels"] == "fp32 eager"
    assert theirs["max_difference"] < 1e-4 and theirs["mask_agreement"] > 0.99
    here = importlib.util.find_spec("ai_edge_litert") is not None
    assert len(document["models"]) == 2 + here and len(document["notes"]) == 1 - here
    if not here:
        assert document["notes"][0]["engine"] == "litert" and "irnas[bench]" in document["notes"][0]["note"]
        assert "block:8@16x24 on litert: got no package" in call(*call_)


def compiled(network: nn.Module) -> rival.Runner:
    source = Source(name="n", image_hw=np.zeros((8, 8), np.uint8), network=network)
    return rival.torch_compile(source, 1)


class Scaled(nn.Module):
    """One network of many: their code is one, what they are told apart by is not."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 1)

    def forward(self, x_nchw: Tensor) -> Tensor:
        y_nchw: Tensor = self.conv(x_nchw)[:, :1]
        return y_nchw


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_compiler_does_not_tire_of_networks() -> None:
    config = importlib.import_module("torch._dynamo.config")
    # Eight unless it is told otherwise.
    with config.patch(recompile_limit=1):
        runners = [compiled(Scaled(channels)) for channels in (1, 2, 3)]
    assert [runner.kernels for runner in runners] == ["fp32 compiled"] * 3
    assert all(runner.run().shape == (8, 8) for runner in runners)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiler_that_gives_up_is_said_to() -> None:
    class Broken(Scaled):
        def forward(self, x_nchw: Tensor) -> Tensor:
            y_nchw = super().forward(x_nchw) * 2
            torch._dynamo.graph_break()
            return y_nchw + 1

    class Refused(Scaled):
        @torch.compiler.disable
        def forward(self, x_nchw: Tensor) -> Tensor:
            return super().forward(x_nchw)

    assert compiled(Broken(1)).kernels == "fp32 compiled in 2 parts"
    assert compiled(Refused(1)).kernels == "fp32 eager: the compiler gave up"


def test_openvino_int8_is_timed_with_its_difference() -> None:
    call_ = ("bench", "block:8@32x32", "--rivals", "openvino-int8", "--seconds", 0, "--json")
    document = json.loads(call(*call_))
    here = all(importlib.util.find_spec(name) for name in ("openvino", "nncf"))
    assert len(document["models"]) == 1 + here and len(document["notes"]) == 1 - here
    if here:
        row = document["models"][1]
        assert row["kernels"] == "int8" and row["max_difference"] > 0 and row["mask_agreement"] > 0.5
    else:
        assert "irnas[bench]" in document["notes"][0]["note"]


@pytest.mark.parametrize(
    ("make", "name"), [(rpcanet.imported, "w.safetensors"), (rpcanet.imported_by_0_1, "w.pt")], ids=["now", "0.1"]
)
def test_bench_takes_weights(tmp_path: Path, make: Callable[[Path], Path], name: str) -> None:
    file = make(tmp_path / name)
    (row,) = json.loads(call("bench", file, "--size", "16x16", "--seconds", 0, "--json"))["models"]
    assert (row["model"], row["kernels"]) == (str(file), "fp32 eager")


def test_bench_does_not_time_a_rival_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(source: Source, threads: int) -> rival.Runner:
        return rival.Runner(engine="wrong", kernels="fp32", run=lambda: np.full(source.image_hw.shape, 2, np.float32))

    monkeypatch.setitem(rival.RIVALS, "torch", wrong)
    document = json.loads(call("bench", "block:8@16x24", "--rivals", "torch", "--seconds", 0, "--json"))
    assert [each["engine"] for each in document["models"]] == ["xnor"]
    assert document["notes"][0]["note"].startswith("wrong result: the mask agrees on")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps its memory in its own way")
def test_memory_that_was_freed_is_kept() -> None:
    code = (
        "import resource, sys, torch;"
        "from irnas.deploy.bench.subject import keep_memory;"
        "len(sys.argv) > 1 and keep_memory();"
        "run = lambda: [torch.empty(1_000_000).fill_(1) for _ in range(8)] and None;"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt;"
        "[run() for _ in range(9)]; before = faults(); [run() for _ in range(5)]; print(faults() - before)"
    )
    default, kept = (
        int(subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True).stdout)
        for words in ((), ("keep",))
    )
    # By default thousands, but for a heap that something else has grown already.
    assert kept < 200 and kept <= default


def test_a_block_is_the_chain_less_what_surrounds_it() -> None:
    subject = Subject(model="m", engine="e", kernels="k", run=lambda: np.zeros((2, 4), np.float32), blocks=4)
    subject.times_ms, subject.ends_ms = [9.0, 11.0, 10.0], [1.0, 2.0, 3.0]
    subject.clocks_ghz = [1.0, 2.0, 2.0]
    assert subject.document()["ms_min"] == 2.0 and subject.document()["ms_median"] == 2.0
    assert subject.cycles() == pytest.approx(2.0 * 2.0 * 1e6)


def test_binary_multiply_adds_are_counted() -> None:
    source = from_block("block:16", np.zeros((8, 8), np.uint8))
    assert source.model is not None and contest.count_bit_macs(source.model, 8, 8) == 4 * 16 * 16 * 9 * 64


@pytest.mark.parametrize(
    "wrong",
    [
        ("block:x",),
        ("block:0",),
        ("block:8@16",),
        ("block:8", "--rivals", "ncnn"),
        ("block:8", "--threads", "0"),
        ("block:8", "--threads", "1,1"),
    ],
)
def test_bench_refuses_other_blocks_and_rivals(wrong: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="must be"):
        call("bench", *wrong)


def test_bench_runs_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Sigmoid", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, 1, [1, 1, "h", "w"]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([node], "one", values[:1], values[1:])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "one.onnx").write_bytes(proto.SerializeToString())
    (document,) = json.loads(call("bench", tmp_path / "one.onnx", "--seconds", 0, "--json"))["models"]
    assert document["engine"].startswith("onnxruntime") and document["kernels"] == "fp32"
    (tmp_path / "one.onnx").write_bytes(b"no model")
    with pytest.raises(SettingsError, match="must be an ONNX model"):
        call("bench", tmp_path / "one.onnx")


@pytest.mark.parametrize(
    "wrong", [["model.pt"], ["gone.safetensors"], ["gone.xnor"], ["gone.onnx"], ["biisnet:none=1"]]
)
def test_bench_refuses_other_models(wrong: list[str]) -> None:
    with pytest.raises(ValueError, match=r"must be|one of|got"):
        call("bench", *wrong)


def test_bench_refuses_a_size(model: Path) -> None:
    with pytest.raises(SettingsError, match="must be HxW"):
        call("bench", model, "--size", "256")
