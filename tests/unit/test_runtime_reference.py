"""The NumPy arithmetic against exact fractions, Python loops and torch."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support import xnor
from support.xnor_file import bits, numbers, tiny

from irnas.core.errors import DataError
from irnas.runtime import arithmetic, reference

floats = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**60), max_value=2.0**60)


def nearest(value: Fraction) -> np.float32:
    """The float32 nearest to a fraction, ties to even, by search among the neighbours."""
    guess = np.float32(float(value))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    gap = {x: abs(Fraction(float(x)) - value) for x in around}
    least = min(gap.values())
    best = [x for x in around if gap[x] == least]
    return next((x for x in best if not int(x.view(np.uint32)) & 1), best[0])


@settings(max_examples=500, deadline=None)
@given(floats, floats, floats)
def test_fma_rounds_once(x: float, y: float, z: float) -> None:
    rounded = arithmetic.fma(np.float32(x), np.float32(y), np.float32(z))
    assert rounded == nearest(Fraction(x) * Fraction(y) + Fraction(z))


def test_fma_where_rounding_twice_goes_wrong() -> None:
    """The sum lies just above half-way between two float32 values; float64 puts it exactly half-way, then to even."""
    x, y = np.float32(1 + 2.0**-12), np.float32(1 + 2.0**-12)
    z = np.float32(2.0**-60)
    exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    twice = np.float32(np.float64(x) * np.float64(y) + np.float64(z))
    assert arithmetic.fma(x, y, z) == nearest(exact) != twice


def test_fma_among_subnormals() -> None:
    rng = np.random.default_rng(0)
    x, y, z = ((rng.standard_normal(500) * scale).astype(np.float32) for scale in (1e-20, 1e-20, 1e-40))
    rounded = arithmetic.fma(x, y, z)
    for i in range(500):
        assert rounded[i] == nearest(Fraction(float(x[i])) * Fraction(float(y[i])) + Fraction(float(z[i])))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pad", [0, 1, -1])
@pytest.mark.parametrize(("channels", "filters", "groups"), [(5, 4, 1), (9, 3, 3), (16, 16, 16), (130, 2, 1)])
def test_binary_sums_are_what_loops_count(channels: int, filters: int, groups: int, pad: int, stride: int) -> None:
    """N and T of rules A2, A5 and A6, one tap after the other."""
    height, width, per_group = 5, 4, channels // groups
    x = np.where(numbers(height, width, channels, seed=1) < 0, np.float32(-1), np.float32(1))
    packed = bits(filters, 3, per_group, 2)
    attributes = {"kernel": 3, "stride": stride, "groups": groups, "pad": pad}
    n_hwo, t_hwo = arithmetic.sum_signs(x, packed, attributes)
    for i in range(n_hwo.shape[0]):
        for j in range(n_hwo.shape[1]):
            for o in range(filters):
                wanted = total = 0
                for ky in range(3):
                    for kx in range(3):
                        row, column = i * stride + ky - 1, j * stride + kx - 1
                        is_inside = 0 <= row < height and 0 <= column < width
                        for c in range(per_group):
                            group = o // (filters // groups)
                            sign = int(x[row, column, group * per_group + c]) if is_inside else pad
                            weight = -1 if packed[o, ky, kx, c // 8] >> (c % 8) & 1 else 1
                            wanted, total = wanted + sign * weight, total + sign
                assert (n_hwo[i, j, o], t_hwo[i, j, o]) == (wanted, total)


def test_zero_of_either_sign_is_plus_one() -> None:
    op = tiny().ops[5]
    x = np.array([[[0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0]]], np.float32)
    np.testing.assert_array_equal(reference.compute_signs(op, x), [[[1, 1, 1, -1, 1, -1]]])


def test_sigmoid_is_the_sigmoid() -> None:
    """Cephes' exp errs by less than 1 unit in the last place; the division and the sum add one each."""
    x = np.concatenate([np.linspace(-90, 90, 20001), [0.0, -0.0, 1e-30, 500.0, -500.0]]).astype(np.float32)
    y = arithmetic.sigmoid(x)
    wanted = 1 / (1 + np.exp(-np.clip(x.astype(np.float64), -87, None)))
    np.testing.assert_allclose(y, wanted, rtol=3 * np.finfo(np.float32).eps)
    assert (np.diff(arithmetic.sigmoid(np.linspace(-1e-3, 1e-3, 999, dtype=np.float32))) >= 0).all()
    assert y[-5] == 0.5


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_upsampling_is_torchs(kind: str) -> None:
    x = numbers(3, 5, 4, seed=3)
    align = False if kind == "bilinear" else None
    wanted = F.interpolate(
        torch.from_numpy(np.moveaxis(x, -1, 0)[None]), scale_factor=2, mode=kind, align_corners=align
    )
    np.testing.assert_allclose(arithmetic.upsample(x, kind), np.moveaxis(wanted[0].numpy(), 0, -1), atol=4e-7)


def test_the_border_keeps_its_value_in_bilinear_upsampling() -> None:
    x = np.full((1, 1, 1), 0.1, np.float32)
    assert (arithmetic.upsample(x, "bilinear") == np.float32(0.1)).all()


def test_maximum_keeps_the_first_of_equals() -> None:
    x = np.array([[[-0.0], [0.0]], [[0.0], [-0.0]]], np.float32)
    assert np.signbit(arithmetic.pool(x, "maximum")[0, 0, 0])


@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 4), (4, 12), (12, 20)])
def test_each_op_is_what_float64_makes_of_it(height: int, width: int) -> None:
    """Against torch's own layers in float64, op by op from the same inputs."""
    model = tiny()
    tensors = reference.compute_tensors(model, reference.make_reference_input(height, width, 2, 7))
    for k, op in enumerate(model.ops):
        wanted = xnor.apply(op, [tensors[i] for i in op.inputs])
        scale = np.abs(wanted).max() + 1
        np.testing.assert_allclose(tensors[k + 1], wanted, atol=2e-6 * scale, err_msg=f"op {k} ({op.kind})")


def test_an_image_of_any_size_is_extended_and_cut_back() -> None:
    model = tiny()
    image = (numbers(11, 13, seed=5) * 60 + 120).astype(np.uint8)
    mask = reference.predict(model, image)
    assert mask.shape == (11, 13)
    wide = np.pad(image, ((0, 5), (0, 3)), mode="edge")
    np.testing.assert_array_equal(mask, reference.predict(model, wide)[:11, :13])


@pytest.mark.parametrize("shape", [(10, 12), (12, 12, 3), (0, 12, 2), (12,)])
def test_a_map_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="model input: got"):
        reference.run(tiny(), np.zeros(shape, np.float32))


def test_the_reference_input_is_splitmix() -> None:
    """The first value of splitmix64 from seed 0 is 0xE220A8397B1DCDAF, from its author's code."""
    assert reference.make_reference_input(1, 1, 1, 0)[0, 0, 0] == np.float32((0xE220A8397B1DCDAF >> 40) * 2.0**-24)
