"""Synthetic infrared scenes with small targets: the default data set, and data for tests and demonstrations.

Every image has a generator of its own, seeded by (seed, kind, index): image i is the same in a set of ten and of ten
thousand. Equal library versions give equal bytes; another version of the Fourier transform or of JPEG may differ in a
last bit, so a set is named by its content hash like any other. How near the scenes come to SIRST is tested in
tests/unit/test_data_synthetic.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from irnas.data import cache, motion, shards, split
from irnas.data.manifest import FILE, Manifest
from irnas.data.sample import Bytes, Progress, Sample
from irnas.data.scene import Field, background, draw_look
from irnas.data.sensor import blur, draw_sensor, expose
from irnas.data.staging import hold_build
from irnas.data.synthetic_settings import DEFAULT, HARD, SyntheticSettings
from irnas.data.target import Placed, TargetSettings, draw_scr, draw_target, place, render, sigma_around

VERSION = 1
"""Raised when the same settings give other pixels; part of the manifest's parameters."""
_SINGLE, _SEQUENCE = 0, 1


def single(settings: SyntheticSettings, index: int) -> Sample:
    """Image ``index`` of a set of single images; it does not depend on how many there are."""
    rng = np.random.default_rng([settings.seed, _SINGLE, index])
    side = settings.size
    scene = background(rng, side, side, draw_look(rng, settings.scene))
    scene = blur(scene, rng.uniform(*settings.sensor.blur))
    count = int(rng.choice(len(settings.target.counts), p=settings.target.counts))
    looks = [draw_target(rng, settings.target) for _ in range(count)]
    clustered = len(looks) > 1 and rng.random() < settings.target.cluster
    scene, mask = _add_targets(rng, scene, place(rng, looks, side, side, clustered), settings.target)
    sensor = draw_sensor(rng, side, side, settings.sensor)
    return Sample(name=f"{index:06d}", image=expose(rng, scene, mask, sensor), mask=mask)


def _add_targets(
    rng: np.random.Generator, scene: Field, placed: list[Placed], settings: TargetSettings
) -> tuple[Field, Bytes]:
    """The scene with targets on it, in DN, and their mask, both [H, W]."""
    renderings = render(placed, *scene.shape)
    mask = np.zeros(scene.shape, dtype=np.uint8)
    for rendering in renderings:
        mask[rendering.window] |= rendering.mask
    lit = scene.copy()
    for rendering in renderings:
        contrast = draw_scr(rng, settings) * sigma_around(scene, mask, rendering.window)
        rendering.add_to(lit, float(np.clip(contrast, *settings.contrast)))
    return lit, mask


def samples(settings: SyntheticSettings) -> Iterator[Sample]:
    """All samples of a set, in order."""
    if settings.images:
        return (single(settings, i) for i in range(settings.images))
    return (s for i in range(settings.sequences) for s in motion.sequence(settings, i))


def write(
    target: Path, settings: SyntheticSettings, *, val_fraction: float = split.FRACTION, progress: Progress | None = None
) -> Manifest:
    """Write a synthetic data folder.

    Raises:
        DataError: the folder is in use or its disk is full.
    """
    names, sequence_of = _list_names(settings)
    cut = (settings.num_units - settings.num_test) * (settings.frames if settings.sequences else 1)
    official = {"train": names[:cut], "test": names[cut:]}
    splits, validation = split.with_validation(official, sequence_of, fraction=val_fraction, seed=settings.seed)
    return shards.write(
        target,
        samples(settings),
        total=len(names),
        format="synthetic",
        splits=splits,
        validation=validation,
        warnings=[],
        parameters=_to_parameters(settings),
        progress=progress,
    )


def default_folder(progress: Progress | None = None) -> Path:
    """The folder of the set called ``synthetic`` in this node's cache, generated where it is missing."""
    text = json.dumps(_to_parameters(DEFAULT), sort_keys=True)
    target = cache.folder() / "data" / f"synthetic-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not (target / FILE).is_file():
        with hold_build(target):
            if not (target / FILE).is_file():
                write(target, DEFAULT, progress=progress)
    return target


def make_settings(
    *, images: int = 400, sequences: int = 0, frames: int = 20, size: int = 256, seed: int = 0, hard: bool = False
) -> SyntheticSettings:
    """Make settings from a few numbers; ``hard`` starts from ``HARD``.

    Raises:
        DataError: they do not go together.
    """
    base = HARD if hard else SyntheticSettings()
    return replace(base, images=images, sequences=sequences, frames=frames, size=size, seed=seed)


def _list_names(settings: SyntheticSettings) -> tuple[list[str], dict[str, str]]:
    if settings.images:
        return [f"{i:06d}" for i in range(settings.images)], {}
    pairs = [(f"{i:04d}", t) for i in range(settings.sequences) for t in range(settings.frames)]
    return [f"{s}/{t:05d}" for s, t in pairs], {f"{s}/{t:05d}": s for s, t in pairs}


def _to_parameters(settings: SyntheticSettings) -> dict[str, object]:
    # Through JSON and back: tuples become lists, as a reader of the manifest will find them.
    parameters: dict[str, object] = json.loads(json.dumps({"version": VERSION, **asdict(settings)}))
    return parameters
