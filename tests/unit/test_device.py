"""Speed without training: steps of a graph, prices fitted to times, profiles on disk, and what a search is told."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import profiles
from support.native import library, products  # noqa: F401

from irnas.core import catalog
from irnas.core.errors import ExportError, FormatError, SettingsError
from irnas.core.space import Genotype
from irnas.deploy.device import calibrate, layer, speed, target
from irnas.deploy.device.profile import Profile, load, milliseconds, save
from irnas.deploy.device.work import LANES, count_steps
from irnas.runtime.extent import infer_extents
from irnas.runtime.graph import OPS, Op

CHW = (1, 64, 48)


def conv(channels: int, filters: int, kernel: int = 3, source: int = 0) -> Op:
    weight = np.zeros((filters, kernel, kernel, channels), np.float32)
    attributes = {"kernel": kernel, "stride": 1, "groups": 1, "pad": 0}
    return Op(kind="conv", inputs=(source,), attributes=attributes, constants={"weight": weight})


def block(channels: int, source: int, **constants: Any) -> Op:
    attributes = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0, "residual": "after", "channels": channels}
    one = np.ones(channels, np.float32)
    bits = np.zeros((channels, 3, 3, -(-channels // 8)), np.uint8)
    constants_of_roles = {"bits": bits, "scale": one, "bias": one, **{role: one for role in constants}}
    return Op(kind="binary_block", inputs=(source, source), attributes=attributes, constants=constants_of_roles)


def counted(ops: list[Op], size: tuple[int, int] = (32, 64), kernels: str = "avx512", multiple: int = 1) -> Any:
    return {k: v * 1e6 for k, v in count_steps(ops, infer_extents(ops, 1), size, kernels, multiple).items()}


def test_a_graph_is_counted_as_it_is_by_hand() -> None:
    ops = [conv(1, 20), block(20, 1, post_lo=1, post_hi=1), conv(20, 1, 1, 2), Op(kind="sigmoid", inputs=(3,))]
    pixels = 32 * 64
    counts = counted(ops)
    # 20 channels fill two vectors of 16, the second in part; a window has 3 * 3 * 3 bytes, which are 7 words.
    assert counts["block vector in part"] == counts["post vector"] == 2 * pixels and "block vector" not in counts
    assert counts["block word in part"] == 2 * 7 * pixels
    assert counts["window"] == pixels and counts["window byte"] == 9 * pixels
    assert counts["residual value"] == 20 * pixels and counts["sign vector"] == 2 * pixels
    assert counts["conv tap"] == 2 * 9 * pixels + 20 * pixels and counts["padded value"] == 3 * pixels
    assert counts["sigmoid value"] == counts["input pixel"] == pixels
    assert counts["row"] == 32 * 5 and counts["image"] == 1


def test_narrower_vectors_take_more_steps_and_odd_sizes_are_extended() -> None:
    ops = [conv(1, 16), conv(16, 1, 1, 1), Op(kind="sigmoid", inputs=(2,))]
    assert [counted(ops, kernels=k)["conv vector"] / (32 * 64) for k in ("avx512", "avx2", "neon")] == [1, 2, 4]
    assert counted(ops, (31, 50), multiple=16) == counted(ops, (32, 64))


def test_both_halves_of_an_upsampled_map_are_one_stage() -> None:
    def graph(starts: list[int], kind: str) -> list[Op]:
        return [
            conv(1, 32),
            Op(kind="pool", inputs=(1,), attributes={"kind": "average"}),
            Op(kind="upsample", inputs=(2,), attributes={"kind": kind}),
            Op(kind="mix", inputs=(3, 3), attributes={"channels": 16, "starts": starts}),
            conv(16, 1, 1, 4),
            Op(kind="sigmoid", inputs=(5,)),
        ]

    merged, apart = counted(graph([0, 16], "bilinear")), counted(graph([0, 0], "bilinear"))
    assert "upsample-mix vector" in merged and "bilinear upsample vector" not in merged
    assert "bilinear upsample vector" in apart and "upsample-mix vector" not in apart
    assert "nearest upsample vector" in counted(graph([0, 16], "nearest"))


def test_a_convolution_of_few_outputs_and_its_activation_are_one_stage_with_lanes_of_pixels() -> None:
    slopes = {"lo0": np.zeros(4, np.float32), "hi0": np.ones(4, np.float32)}
    act = Op(kind="mix", inputs=(2,), attributes={"channels": 4, "starts": [0]}, constants=slopes)
    counts = counted([conv(1, 2), conv(2, 4, 3, 1), act, conv(4, 1, 1, 3), Op(kind="sigmoid", inputs=(4,))])
    pixels = 32 * 64
    assert counts["plane tap"] == 18 * 4 * pixels / 16 and counts["plane value"] == 2 * pixels
    assert "mix-of-one vector" not in counts and counts["row"] == 32 * 5


def test_no_op_is_free_and_an_unknown_one_is_an_error() -> None:
    from irnas.deploy.device.work import _COUNTS

    assert set(_COUNTS) == set(OPS)
    ops = [Op(kind="dream", inputs=(0,))]
    with pytest.raises(ExportError, match="op dream: got no count"):
        count_steps(ops, [*infer_extents([conv(1, 1), Op(kind="sigmoid", inputs=(1,))], 1)], (8, 8), "avx512")
    with pytest.raises(ExportError, match="kernel set: got 'sse'"):
        count_steps(ops, [], (8, 8), "sse")


def test_every_kernel_set_of_the_engine_has_its_lanes(library: Path) -> None:  # noqa: F811
    assert set(speed.runtime.kernels()) <= set(LANES)


def test_the_fit_finds_the_prices_that_made_the_times() -> None:
    rng = np.random.default_rng(3)
    rows = [{"a": float(x), "b": float(1000 * y), "c": 1.0} for x, y in rng.random((40, 2))]
    ms = [2 * row["a"] + 0.03 * row["b"] + 0.5 for row in rows]
    assert calibrate.fit(rows, ms) == pytest.approx({"a": 2, "b": 0.03, "c": 0.5})
    assert min(calibrate.fit(rows, [row["b"] - 0.1 * row["a"] + 5 for row in rows]).values()) >= 0


def test_large_networks_do_not_drown_small_ones_in_the_fit() -> None:
    rows, ms = [{"a": 1.0}] * 5 + [{"a": 1000.0}], [1.0] * 5 + [2000.0]
    assert calibrate.fit(rows, ms)["a"] < 1.2


def test_errors_are_shares_of_what_was_measured() -> None:
    errors = calibrate.measure_errors("x", [1.1, 2.0, 2.0, 4.0], [1.0, 2.0, 2.5, 2.0])
    assert (errors.count, errors.median, errors.most) == (4, pytest.approx(0.15), pytest.approx(1.0))


def test_a_calibration_predicts_networks_it_has_not_seen() -> None:
    profile = profiles.profile()
    table = profile.table("xnor")
    assert (table.kernels, table.count, table.sizes) == ("avx512", 45, profiles.SIZES)
    assert [e.count for e in table.errors] == [10, 10] and table.median < 1e-9
    prices = {kind: profiles.price(kind) for kind in ("block word", "conv tap", "sign vector", "row")}
    assert {kind: table.ns[kind] for kind in prices} == pytest.approx(prices)


def test_no_network_is_both_fitted_and_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    space = catalog.load("biisnet")
    axes = {param.name: (param.default,) for param in space.params}
    few = space.focus({**axes, "base": (4, 6, 8, 10), "stages": (2, 3, 4)})
    monkeypatch.setattr(catalog, "load", lambda _: few)
    # Twelve of twelve points, each once.
    samples = calibrate._lowered(6, 6, 0, lambda *_: None)
    assert len({s.genotype.key for s in samples}) == few.count() == 12
    assert [s.is_searched for s in samples] == [False, True, True] * 2 + [True] * 6


def test_too_few_points_are_refused() -> None:
    with pytest.raises(SettingsError, match="points: got 5; must be at least 30"):
        calibrate.calibrate("x", points=5)


def test_steps_that_no_calibration_saw_have_no_price() -> None:
    table = profiles.profile().table("xnor")
    assert milliseconds(table, {"conv tap": 2.0}) == pytest.approx(2 * profiles.price("conv tap"))
    with pytest.raises(SettingsError, match="got steps of the kind 'dream'"):
        milliseconds(table, {"dream": 1.0})
    with pytest.raises(SettingsError, match="device a board: got a network for the engine onnx"):
        profiles.profile().table("onnx")


def test_a_profile_survives_its_file_and_its_revision_is_its_content(tmp_path: Path) -> None:
    path, loaded = profiles.written(tmp_path), profiles.profile()
    assert load(path) == loaded and load(path).revision == loaded.revision
    assert replace(loaded, threads=2).revision != loaded.revision
    assert [p.name for p in tmp_path.iterdir()] == ["board.json"]


def first(**changes: Any) -> dict[str, Any]:
    """The document with a changed first table."""
    document = profiles.document()
    document["tables"][0] |= changes
    return document


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: profiles.document(schema=2), "got schema 2; must be at most 1"),
        (lambda: profiles.document(schema="1"), "got no schema; must be schema 1"),
        (lambda: profiles.document(extra=1), "got the fields .*extra"),
        (lambda: profiles.document(name=3), "name: got 3; must be text"),
        (lambda: profiles.document(threads=0), "threads: got 0; must be a whole number"),
        (lambda: profiles.document(threads=True), "threads: got True"),
        (lambda: profiles.document(tables=[]), "tables: got none"),
        (lambda: profiles.document(tables=2 * profiles.document()["tables"]), "got one engine twice"),
        (lambda: first(ns={"row": -1}), "ns row: got -1; must be a finite number"),
        (lambda: first(ns={"row": float("nan")}), "ns row: got nan"),
        (lambda: first(ns=[]), r"ns: got \[\]"),
        (lambda: first(sizes=[[1, 2, 3]]), r"sizes: got \[1, 2, 3\]"),
        (lambda: first(errors=[{"of": "x"}]), "errors: got the fields of"),
        (lambda: [], "got a list; must be an object"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, make: Any, message: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(make()))
    with pytest.raises(FormatError, match=message) as raised:
        load(str(path))
    assert "\n" not in str(raised.value) and "p.json" in str(raised.value)


def test_no_file_and_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="got no such file"):
        load(str(tmp_path / "absent.json"))
    (tmp_path / "torn.json").write_text('{"schema": 1, "na')
    with pytest.raises(FormatError, match="got text that is no JSON"):
        load(str(tmp_path / "torn.json"))


@pytest.fixture
def board(tmp_path: Path) -> target.Target:
    return target.open_target(profiles.written(tmp_path, cpu="a small chip"))


def test_a_prediction_is_the_steps_at_their_prices(board: target.Target) -> None:
    genotype = catalog.find_point("biisnet", "LIT10")
    lowered = speed.lower_genotype(genotype, 1)
    wanted = sum(n * profiles.price(kind) for kind, n in speed.count_steps(lowered, CHW[1:], "avx512").items())
    assert target.measure_or_predict_ms(board, genotype, CHW) == pytest.approx(wanted)
    assert target.measure_or_predict_ms(board, genotype, (1, 128, 96)) > 3 * wanted


def test_the_input_decides_the_channels_as_it_does_for_costs(board: target.Target) -> None:
    grey, colour = (catalog.find_point("biisnet", f"in_ch={n}") for n in (1, 3))
    assert target.measure_or_predict_ms(board, grey, CHW) == target.measure_or_predict_ms(board, colour, CHW)
    assert target.measure_or_predict_ms(board, grey, (3, *CHW[1:])) > target.measure_or_predict_ms(board, grey, CHW)


def test_a_device_can_measure_when_processor_and_kernels_are(library: Path, tmp_path: Path) -> None:  # noqa: F811
    here = target.open_target(None)
    assert here.can_measure and here.profile is None and here.threads == 1
    table = replace(profiles.profile().tables[0], kernels=here.kernels)
    mine = target.open_target(profiles.written(tmp_path, cpu=here.cpu, tables=(table,)))
    assert mine.can_measure and mine.revision != here.revision
    assert not target.open_target(profiles.written(tmp_path, cpu="a small chip")).can_measure
    assert not target.open_target(
        profiles.written(tmp_path, cpu=here.cpu, tables=(replace(table, kernels="neon"),))
    ).can_measure


def test_this_machine_is_measured(library: Path) -> None:  # noqa: F811
    genotype = catalog.find_point("biisnet", "base=4,stages=2")
    assert target.measure_or_predict_ms(target.open_target(None), genotype, CHW) > 0
    timing = target.measure(genotype, CHW, seconds=0.0)
    assert timing.engine == "xnor" and 0 < timing.ms_min <= timing.ms_median and timing.runs == speed.MIN_RUNS
    assert target.to_objectives(4.0) == {"latency_ms": 4.0, "fps": 250.0}
    with pytest.raises(SettingsError, match="latency: got 0"):
        target.to_objectives(0.0)


NO_BITS = "sign0=0,base=4,stages=2,n_bot=0"
"""A sign of zero has no bit: the engine refuses such a network."""


@pytest.mark.slow
def test_what_the_engine_refuses_runs_on_onnx_runtime() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    timing = target.measure(catalog.find_point("biisnet", NO_BITS), CHW, seconds=0.0)
    assert timing.engine == "onnx" and timing.kernels.startswith("onnxruntime ") and timing.ms_min > 0


def test_a_profile_prices_layers_that_the_engine_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[bytes, Genotype] = {}

    def export_genotype(genotype: Genotype, channels: int) -> speed.Program:
        known[genotype.key.encode()] = genotype
        return speed.Program(engine="onnx", content=genotype.key.encode(), model=None)

    def make_runner(program: speed.Program, size: tuple[int, int], threads: int = 1) -> speed.Run:
        steps = layer.count_steps(known[program.content], (1, *size))
        ms = sum(n * profiles.price(kind) for kind, n in steps.items())
        return speed.Run(go=lambda: ms, engine="onnx", kernels="onnxruntime 1")

    monkeypatch.setattr(calibrate, "ROUNDS", 1)
    monkeypatch.setattr(speed, "export_genotype", export_genotype)
    monkeypatch.setattr(speed, "make_runner", make_runner)
    monkeypatch.setattr(speed, "measure", profiles.measure)
    samples = calibrate._exported("biisnet", 40, 5, 0, lambda *_: None)
    table = calibrate._table(samples, "onnx", "biisnet", 40, profiles.SIZES[:1], 1, lambda *_: None)
    assert (table.count, table.kernels) == (40, "onnxruntime 1") and table.median < 1e-6
    both = target.open_target(profiles.written(tmp_path, tables=(*profiles.profile().tables, table)))
    genotype = catalog.find_point("biisnet", NO_BITS)
    wanted = sum(n * profiles.price(kind) for kind, n in layer.count_steps(genotype, CHW).items())
    assert target.measure_or_predict_ms(both, genotype, CHW) == pytest.approx(wanted, rel=1e-3)


def test_layers_are_counted_by_type() -> None:
    counts = layer.count_steps(catalog.find_point("biisnet", "base=4,stages=2"), (1, 8, 12))
    assert counts["Conv2d layer"] == 2e-6 and counts["Conv2d value"] == (4 + 1) * 96 / 1e6
    assert counts["Conv2d MAC"] == pytest.approx((9 * 4 + 4) * 96 / 1e6) and "Identity MAC" not in counts


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        ExportError, match=r"got no package onnxscript; must be installed: pip install 'irnas\[export\]'"
    ):
        target.measure(catalog.find_point("biisnet", NO_BITS), CHW)


def test_a_profile_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = profiles.written(tmp_path)

    def torn(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", torn)
    changed: Profile = replace(profiles.profile(), name="another")
    with pytest.raises(OSError, match="must have room"):
        save(changed, path)
    assert load(path).name == "a board" and len(list(tmp_path.iterdir())) == 1


def test_a_device_that_is_a_node_measures_there(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    called: list[str] = []

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        called.append(function.__name__)
        # What crosses are plain values and functions of modules.
        return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))

    monkeypatch.setenv("XNOR_KERNELS", "reference")
    node = target.open_node("board", call)
    assert (node.name, node.kernels, node.can_measure) == ("node:board", "reference", True)
    monkeypatch.delenv("XNOR_KERNELS")
    assert target.measure_or_predict_ms(node, catalog.load("biisnet").default(), (1, 32, 32)) > 0
    assert called == ["_described", "_measured"]
    assert node.revision != target.open_target(None).revision
