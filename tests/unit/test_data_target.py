"""Targets have the place, the size and the shape that were asked for, and masks reach to a fifth of the peak."""

from __future__ import annotations

import numpy as np
import pytest

from irnas.core.errors import DataError
from irnas.data.target import (
    MASK_LEVEL,
    Target,
    TargetSettings,
    draw_target,
    place,
    profile,
    render,
    sigma_around,
)

KINDS = ("gauss", "flat", "winged")


def _target(kind: str = "gauss", area: float = 40.0, aspect: float = 1.5, angle: float = 0.3) -> Target:
    return Target(kind=kind, area=area, aspect=aspect, angle=angle, blur=0.7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (0.5, -0.5), (0.3, 0.1)])
def test_a_profile_has_unit_peak_and_its_centre_where_asked(kind: str, dy: float, dx: float) -> None:
    patch = profile(_target(kind), dy, dx)
    side = patch.shape[0]
    assert patch.shape == (side, side)
    assert side % 2 == 1
    assert patch.max() == 1
    y, x = np.mgrid[:side, :side] - side // 2
    centre = [float((patch * v).sum() / patch.sum()) for v in (y, x)]
    # A hard edge is sampled four times a pixel, so a flat target's centre is good to about an eighth.
    assert np.allclose(centre, (dy, dx), atol=0.01 if kind == "gauss" else 0.13)
    assert max(patch[0].max(), patch[-1].max(), patch[:, 0].max(), patch[:, -1].max()) < MASK_LEVEL


@pytest.mark.parametrize("area", [10.0, 40.0, 200.0])
@pytest.mark.parametrize("kind", ["gauss", "flat"])
def test_the_mask_has_about_the_area_that_was_asked_for(kind: str, area: float) -> None:
    rng = np.random.default_rng(0)
    sizes = [
        (profile(_target(kind, area, 1.3, rng.uniform(0, 3)), *rng.uniform(-0.5, 0.5, 2)) >= MASK_LEVEL).sum()
        for _ in range(30)
    ]
    # The peak of a small sampled target lies below its true peak, which lowers the fifth and grows the mask.
    assert abs(np.mean(sizes) / area - 1) < 0.15


def test_a_long_target_is_longer_than_wide_along_its_angle() -> None:
    bright = np.argwhere(profile(_target(aspect=4.0, area=80, angle=0.0), 0, 0) >= MASK_LEVEL)
    height, width = np.ptp(bright, axis=0) + 1
    assert 3 < width / height < 5


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_target_still_has_a_mask(kind: str) -> None:
    for aspect in (1.0, 4.0):
        patch = profile(_target(kind, 3.0, aspect), 0.5, 0.5)
        assert (patch >= MASK_LEVEL).sum() >= 1


def test_rendering_cuts_at_the_rim_and_drops_what_is_outside() -> None:
    target = _target()
    inside, cut = render([(target, 10.0, 10.0), (target, 0.0, 31.0), (target, -30.0, 5.0)], 32, 32)
    assert inside.mask.sum() > cut.mask.sum() > 0
    assert cut.window[0].start == 0
    assert cut.window[1].stop == 32
    assert cut.profile.shape == cut.mask.shape == tuple(s.stop - s.start for s in cut.window)


def test_a_target_is_added_with_the_contrast_that_was_asked_for() -> None:
    scene = np.full((32, 32), 50, dtype=np.float32)
    (rendering,) = render([(_target(), 12.3, 15.8)], 32, 32)
    rendering.add_to(scene, 30.0)
    assert scene[rendering.window][rendering.mask > 0].mean() == pytest.approx(80, abs=1e-3)


def test_the_background_is_measured_without_targets() -> None:
    rng = np.random.default_rng(0)
    scene = rng.normal(100, 5, (80, 80)).astype(np.float32)
    mask = np.zeros((80, 80), dtype=np.uint8)
    mask[38:42, 38:42] = 1
    clean = sigma_around(scene, mask, (slice(38, 42), slice(38, 42)))
    scene[mask > 0] += 200
    assert sigma_around(scene, mask, (slice(38, 42), slice(38, 42))) == clean
    # 44 x 44 - 16 normal values: the sample's sigma is within 5 % of 5.
    assert clean == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("clustered", [False, True])
def test_masks_never_touch(clustered: bool) -> None:
    from scipy import ndimage

    counts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        looks = [draw_target(rng, TargetSettings(log_area=(2.5, 0.5))) for _ in range(3)]
        placed = place(rng, looks, 96, 96, clustered)
        total = np.zeros((96, 96), dtype=int)
        drawn = render(placed, 96, 96)
        for rendering in drawn:
            total[rendering.window] += rendering.mask
        assert total.max() == 1
        _, num_targets = ndimage.label(total, np.ones((3, 3)))
        assert num_targets == len(drawn)
        counts.append(num_targets)
        if clustered and len(placed) > 1:
            assert np.hypot(placed[1][1] - placed[0][1], placed[1][2] - placed[0][2]) <= 15
    assert np.mean(counts) > (2 if clustered else 2.9)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DataError, match="target counts"):
        TargetSettings(counts=(0.5, 0.4))
    with pytest.raises(DataError, match="target contrast"):
        TargetSettings(contrast=(20.0, 10.0))
