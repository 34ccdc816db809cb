"""The engine against the NumPy reference, bit by bit: each kernel set of this machine, way of running, thread count."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fuzz_seeds, xnor, xnor_decomposition, xnor_file
from support.engine import FEW_CHANNELS, WAYS, assert_same, block, constants_of, ended, model, of_few_channels, stem
from support.native import library, products, run  # noqa: F401
from support.xnor_decomposition import tiny_with_decompositions
from support.xnor_file import bits, numbers, tiny, tiny_with_counts, tiny_with_threshold, tiny_with_vectors

from irnas.core import catalog
from irnas.core.errors import DataError, ExportError, FormatError, SettingsError
from irnas.deploy.export.write import Origin, convert
from irnas.runtime import engine, format, reference
from irnas.runtime.graph import Op

Array = np.ndarray[Any, np.dtype[Any]]
pytestmark = pytest.mark.usefixtures("library")


def test_the_best_set_comes_first_and_the_reference_last() -> None:
    assert engine.kernels()[-1] == "reference"
    assert engine.Model(format.write(tiny())).facts.kernels == engine.kernels()[0]


@pytest.mark.parametrize("size", [(4, 4), (4, 20), (36, 12), (28, 40)])
def test_every_op_gives_the_bits_of_the_reference(size: tuple[int, int]) -> None:
    assert_same(tiny(), *size)
    assert_same(tiny_with_decompositions(), *size)


@pytest.mark.parametrize("channels", FEW_CHANNELS)
def test_rows_of_few_channels_are_one_run_of_values(channels: int) -> None:
    for height, width in ((4, 6), (6, 36)):
        assert_same(of_few_channels(channels), height, width, ways=WAYS[:1])


def test_a_profile_sees_the_steps_of_a_run() -> None:
    loaded = engine.Model(format.write(tiny()))
    image_hw = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)
    for mode in ("streamed", "layers"):
        steps = loaded.profile(image_hw, mode=mode)
        assert steps[0].name == "input" and steps[0].op is None and steps[-1].name == "output"
        assert steps[-1].op == len(tiny().ops) - 1 and all(step.nanoseconds > 0 for step in steps)
        assert (steps[-1].channels, steps[-1].height, steps[-1].width) == (1, 16, 24)
    with pytest.raises(DataError, match="images: got float64"):
        loaded.profile(image_hw.astype(np.float64))


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64, 65, 96, 127, 128])
def test_blocks_of_any_width(channels: int) -> None:
    rng = np.random.default_rng(channels)
    for trial, (height, width) in enumerate([(1, 1), (1, 9), (5, 2), (6, 19)]):
        kernel, pad = (3, trial % 3 - 1) if trial % 4 < 3 else (1, 0)
        ops = [stem(channels, channels), block(rng, 1, channels, channels, kernel=kernel, pad=pad)]
        ops.append(block(rng, 2, channels, channels, kernel=3))
        assert_same(model(ended(ops, channels), multiple=1, pad=1), height, width, ways=WAYS[:3:2])


@pytest.mark.parametrize("post", [(), ("post_a", "post_b"), ("post_a", "post_b", "post_lo", "post_hi", "post_c")])
@pytest.mark.parametrize("slopes", ["two", "unit", "plain"])
@pytest.mark.parametrize("channels", [16, 32, 64])
def test_blocks_that_have_kernels_of_their_own(channels: int, slopes: str, post: tuple[str, ...]) -> None:
    """A slope of 1 where the sum is not negative, in the block or behind it as well, has fewer operations."""
    ones = {"unit": {"hi"}, "plain": {"hi", "post_hi"}}.get(slopes, set())
    roles = ["scale", "lo", "hi", *([] if slopes == "plain" else ["c"]), *post]
    if slopes != "two" and post == ("post_a", "post_b"):
        roles += ["post_lo", "post_hi"]
    window = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0, "residual": "after", "channels": channels}
    for seed, shift in enumerate([[], ["shift"]]):
        ops = [stem(channels, 5)]
        for x in (1, 2):
            constants = {role: numbers(channels, seed=seed + 9 * n + x) for n, role in enumerate([*roles, *shift])}
            constants |= {role: np.ones(channels, np.float32) for role in ones & set(constants)}
            constants |= {"bits": bits(channels, 3, channels, seed + x), "bias": numbers(4, 4, channels, seed=x)}
            ops.append(Op(kind="binary_block", inputs=(x, x), attributes=window, constants=constants))
        for height, width in ((1, 8), (3, 21)):
            assert_same(model(ended(ops, channels), multiple=1, pad=1), height, width, ways=WAYS[:3:2])


@pytest.mark.parametrize(
    ("channels", "filters", "groups"), [(6, 9, 3), (16, 16, 16), (32, 64, 2), (24, 8, 8), (40, 20, 4)]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_groups_and_strides(channels: int, filters: int, groups: int, stride: int) -> None:
    rng = np.random.default_rng(channels * stride)
    for pad in (-1, 0, 1):
        ops = [stem(channels, 1), block(rng, 1, channels, filters, groups=groups, stride=stride, pad=pad)]
        if stride == 2:
            ops.append(Op(kind="upsample", inputs=(2,), attributes={"kind": "nearest"}))
        assert_same(model(ended(ops, filters), multiple=2), 6, 10)


@pytest.mark.parametrize("channels", [1, 3, 8, 16, 20, 33])
def test_maps_pools_and_upsampling_of_any_width(channels: int) -> None:
    rng = np.random.default_rng(channels)
    for pool, up, start in (("average", "bilinear", 0), ("maximum", "nearest", 1), ("first", "bilinear", channels + 3)):
        wide = 2 * channels + 1
        roles = [("a{}", "b{}"), ("lo{}", "hi{}"), ("c{}",)]
        mixes = [
            constants_of(rng, n, *[tuple(r.format(i) for r in g) for g in roles]) for n, i in ((wide, 0), (channels, 0))
        ]
        mixes[1] |= constants_of(rng, channels, *[tuple(r.format(1) for r in g) for g in roles])
        ops = [
            stem(channels, 5),
            Op(kind="pool", inputs=(1,), attributes={"kind": pool}),
            Op(kind="mix", inputs=(2,), attributes={"channels": wide, "starts": [start]}, constants=mixes[0]),
            Op(kind="upsample", inputs=(3,), attributes={"kind": up}),
            Op(kind="mix", inputs=(4, 1), attributes={"channels": channels, "starts": [start, 2]}, constants=mixes[1]),
            Op(kind="center", inputs=(5,)),
            Op(kind="clamp", inputs=(6,)),
        ]
        assert_same(model(ended(ops, channels)), 8, 12, ways=WAYS[:3:2])


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (40, 5), (70, 41)])
@pytest.mark.parametrize("sides", [[3], [5, 11, 23, 47], [3, 127]])
def test_local_contrast_at_every_border(size: tuple[int, int], sides: list[int]) -> None:
    """The stem ahead of it has negative answers and zeros of both signs."""
    ops = [stem(1, 6), Op(kind="contrast", inputs=(1,), attributes={"sides": sides})]
    assert_same(model(ended(ops, len(sides)), multiple=1, pad=1), *size)


@pytest.mark.parametrize("size", [(2, 2), (4, 2), (2, 6), (10, 18)])
def test_an_upsample_and_the_mix_of_its_halves(size: tuple[int, int]) -> None:
    """Some such pairs run as one stage; a second reader of the map between them forbids it."""
    rng = np.random.default_rng(size[1])
    for outputs, again in ((16, False), (48, False), (16, True), (8, False)):
        roles = [("a0", "b0", "lo1", "hi1"), ("lo0", "hi0"), ("c1",)]
        attributes = {"channels": outputs, "starts": [0, outputs]}
        ops = [
            stem(2 * outputs, 5),
            Op(kind="pool", inputs=(1,), attributes={"kind": "maximum"}),
            Op(kind="upsample", inputs=(2,), attributes={"kind": "bilinear"}),
            Op(kind="mix", inputs=(3, 3), attributes=attributes, constants=constants_of(rng, outputs, *roles)),
        ]
        if again:
            ops.append(Op(kind="mix", inputs=(4, 3), attributes=attributes, constants={}))
        assert_same(model(ended(ops, outputs), multiple=2), *size, ways=WAYS[:3:2])


def test_real_networks_give_the_bits_of_the_reference() -> None:
    for genotype in [catalog.find_point("biisnet", "LIT10"), *xnor.drawn(12, seed=11)]:
        channels = int(genotype.values["in_ch"])
        try:
            converted, _ = convert(xnor.network(genotype), channels, Origin(name="test"))
        except ExportError:
            continue  # signs with a third value have no bits; the exporter's tests cover that
        assert_same(converted, 2 * converted.input.multiple, 3 * converted.input.multiple, ways=WAYS[1:3])


def test_many_bands_need_few_rows_each() -> None:
    converted, _ = convert(xnor.network(catalog.find_point("biisnet", "LIT10")), 1, Origin(name="test"))
    assert_same(converted, 96, 16, ways=[("streamed", 1), ("streamed", 7), ("auto", 5), ("layers", 7)])


def test_wide_sums_overflow_no_byte() -> None:
    """4096 channels, all signs different from their weights: 36864 mismatches."""
    ops = [stem(8, 1), Op(kind="mix", inputs=(1,), attributes={"channels": 4096, "starts": [0]}, constants={})]
    constants = {"bits": np.full((2, 3, 3, 512), 255, np.uint8)}
    constants |= {"scale": numbers(2, seed=1) / np.float32(4096), "bias": numbers(2, seed=2)}
    constants |= {"shift": numbers(2, seed=4) / np.float32(4096), "sign_scale": np.zeros(4096, np.float32)}
    constants["sign_shift"] = np.ones(4096, np.float32)
    attributes = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0, "residual": "none", "channels": 4096}
    ops.append(Op(kind="binary_block", inputs=(2,), attributes=attributes, constants=constants))
    assert_same(model(ended(ops, 2), multiple=1, pad=1), 3, 3, ways=WAYS[:1])


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (13, 30)])
def test_grey_images_of_any_size_run_like_the_reference(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    wanted = reference.predict(tiny(), image)
    loaded = engine.Model(format.write(tiny()))
    np.testing.assert_array_equal(loaded.run(image[None])[0], wanted)
    as_float = (image.astype(np.float32) / np.float32(255))[None]
    np.testing.assert_array_equal(loaded.run(as_float)[0], wanted)
    np.testing.assert_array_equal(loaded.run(np.repeat(as_float[..., None], 2, axis=3))[0], wanted)


def test_a_file_is_verified_with_every_set(tmp_path: Path) -> None:
    path = tmp_path / "tiny.xnor"
    path.write_bytes(format.write(tiny()))
    for name in engine.kernels():
        engine.load(path, kernels=name).verify(threads=2)
    wrong = replace(tiny(), reference=replace(tiny().reference, output_sha256="1" * 64))
    with pytest.raises(FormatError, match="output_sha256"):
        engine.Model(format.write(wrong)).verify()


@pytest.mark.parametrize(
    ("rule", "what", "make"),
    (*xnor_file.BROKEN, *xnor_decomposition.BROKEN),
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_broken_file_is_refused_by_its_rule(rule: str, what: str, make: Callable[[], bytes]) -> None:
    with pytest.raises(FormatError, match=rf"\(rule {rule}\)") as caught:
        engine.Model(make())
    assert "\n" not in str(caught.value)


def test_kernels_are_forced_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = format.write(tiny())
    for name in engine.kernels():
        monkeypatch.setenv("XNOR_KERNELS", name)
        assert engine.Model(content).facts.kernels == name
    with pytest.raises(SettingsError, match=r"got 'sse9'; must be .*reference"):
        engine.Model(content, kernels="sse9")
    monkeypatch.setenv("XNOR_KERNELS", "sse9")
    with pytest.raises(SettingsError, match=r"XNOR_KERNELS: got 'sse9'; must be .*reference"):
        engine.Model(content)


def test_wrong_images_are_one_line() -> None:
    loaded = engine.Model(format.write(tiny()))
    for wrong in (np.zeros((8, 8), np.uint8), np.zeros((1, 8, 8), np.float64), np.zeros((1, 8, 8, 3), np.uint8)):
        with pytest.raises(DataError, match="must be"):
            loaded.run(wrong)
    with pytest.raises(SettingsError, match="must be multiples of 4"):
        loaded.run(np.zeros((1, 7, 8), np.uint8), extend=False)
    with pytest.raises(SettingsError, match=r"threads: got 0; must be 1\.\.256"):
        loaded.run(np.zeros((1, 8, 8), np.uint8), threads=0)
    assert loaded.run(np.zeros((1, 8, 8), np.uint8)).shape == (1, 8, 8)


def test_a_missing_library_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XNOR_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(ExportError, match=r"cmake -S \. -B build"):
        engine.kernels()


def test_the_engine_needs_numpy_alone(tmp_path: Path) -> None:
    path = tmp_path / "tiny.xnor"
    path.write_bytes(format.write(tiny()))
    banned = ["torch", "ray", "mlflow", "optuna", "pyarrow", "boto3", "PIL", "scipy"]
    code = f"""
import sys
for name in {banned}: sys.modules[name] = None
import numpy as np
import irnas.runtime
print(irnas.runtime.load({str(path)!r}).run(np.zeros((1, 8, 8), np.uint8)).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(1, 8, 8)", done.stderr


def test_the_library_is_small(library: Path) -> None:  # noqa: F811
    # 720 KB: narrow rows took 176 of them, decompositions 37, attention 16; a board has room for 1 MB.
    assert library.stat().st_size < 760_000


def test_from_the_inside(products: Path, tmp_path: Path) -> None:  # noqa: F811
    """No allocation while running, no byte outside a row, no surprise from damaged files: tests/native."""
    makers = (tiny, tiny_with_counts, tiny_with_threshold, tiny_with_vectors, tiny_with_decompositions)
    paths = [tmp_path / f"{make.__name__}.xnor" for make in makers]
    for make, path in zip(makers, paths, strict=True):
        path.write_bytes(format.write(make()))
    assert run([str(products / "xnor-test"), *map(str, paths)]).endswith("good\n")


def test_mutated_files_are_refused_or_run_alike_with_every_set(products: Path, tmp_path: Path) -> None:  # noqa: F811
    """The same mutations each time; tests/native/CMakeLists.txt says how to try others for as long as one likes."""
    seeds = fuzz_seeds.write(tmp_path / "seeds")
    printed = run([str(products / "xnor-fuzz"), "--chains", "20", "--findings", str(tmp_path), *map(str, seeds)])
    runs, models, findings = (int(word) for word in printed.split() if word.isdigit())
    assert findings == 0 and runs > 1000 and models > 50


def test_the_runner_writes_the_masks_of_the_reference(products: Path, tmp_path: Path) -> None:  # noqa: F811
    path, images = tmp_path / "tiny.xnor", np.random.default_rng(2).integers(0, 256, (2, 9, 14), dtype=np.uint8)
    path.write_bytes(format.write(tiny()))
    np.save(tmp_path / "pair.npy", images)
    (tmp_path / "one.pgm").write_bytes(b"P5\n# grey\n14 9\n255\n" + images[0].tobytes())
    (tmp_path / "both.raw").write_bytes(images.tobytes())
    files = [str(tmp_path / name) for name in ("pair.npy", "one.pgm", "both.raw")]
    printed = run(
        [str(products / "xnor-run"), str(path), *files, "--raw", "9x14", "-o", str(tmp_path), "--threads", "2"]
    )
    assert f"kernels {engine.kernels()[0]}, 2 threads" in printed
    for name, image in [("pair_0", 0), ("pair_1", 1), ("one", 0), ("both_0", 0), ("both_1", 1)]:
        wanted = np.where(reference.predict(tiny(), images[image]) > 0.5, 255, 0).astype(np.uint8)
        assert (tmp_path / f"{name}.pgm").read_bytes() == b"P5\n14 9\n255\n" + wanted.tobytes()


def test_the_engine_tells_a_models_threshold_and_runs_it_as_without() -> None:
    own, plain = (engine.Model(format.write(model)) for model in (tiny_with_threshold(0.9241), tiny()))
    assert (own.facts.threshold, plain.facts.threshold) == (0.9241, 0.5)
    assert own.facts.counts == tiny_with_counts().input.counts
    images = np.random.default_rng(4).integers(0, 256, (1, 9, 14), dtype=np.uint8)
    np.testing.assert_array_equal(own.run(images), plain.run(images))
    own.verify()


def test_the_runner_takes_the_models_threshold(products: Path, tmp_path: Path) -> None:  # noqa: F811
    image = np.random.default_rng(2).integers(0, 256, (9, 14), dtype=np.uint8)
    wanted = reference.predict(tiny(), image)
    # Exactly a value of the map, which must not pass.
    own = float(np.sort(wanted, axis=None)[100])
    (tmp_path / "one.pgm").write_bytes(b"P5\n14 9\n255\n" + image.tobytes())
    path = tmp_path / "own.xnor"
    path.write_bytes(format.write(replace(tiny(), threshold=own)))
    command = [str(products / "xnor-run"), str(path), str(tmp_path / "one.pgm"), "-o", str(tmp_path / "out")]
    (tmp_path / "out").mkdir()
    printed = run(command)
    at_own, at_half = (int((wanted > np.float32(limit)).sum()) for limit in (own, 0.5))
    assert (wanted == np.float32(own)).any() and 0 < at_own < wanted.size and at_own != at_half
    assert f"{at_own} target pixels ({at_half} at 0.5)" in printed and "of the model\n" in printed
    mask = np.where(wanted > own, 255, 0).astype(np.uint8)
    assert (tmp_path / "out" / "one.pgm").read_bytes() == b"P5\n14 9\n255\n" + mask.tobytes()
    printed = run([*command, "--threshold", "0.5"])
    assert f"{at_half} target pixels, highest" in printed and "threshold" not in printed


def test_the_golden_run_never_changes() -> None:
    """The bits of a fixed model, which x86 and ARM share; another value here is another arithmetic."""
    assert hashlib.sha256(format.write(tiny())).hexdigest()[:16] == GOLDEN_FILE
    assert tiny().reference.output_sha256[:16] == GOLDEN_OUTPUT


GOLDEN_FILE = "e9abfe6221673eb2"
GOLDEN_OUTPUT = "5d315219f95b16aa"
