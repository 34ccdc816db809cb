"""The answers of nine public evaluation codes on 20 hand-made cases; ``metrics_hand.json`` holds both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irnas.metrics import PRESETS, Counts, Rules, count, image_iou, roc, summarize
from irnas.metrics.component import find

GOLDEN = json.loads((Path(__file__).parent / "metrics_hand.json").read_text())
CASES = tuple(GOLDEN["cases"])
EPSILON = 2.0**-52

BASIC, SCTRANSNET, RPCANET = PRESETS["basicirstd"], PRESETS["sctransnet"], PRESETS["rpcanet"]
CODES: dict[str, Rules] = {
    "basicirstd": BASIC,
    "sctransnet": SCTRANSNET,
    "dnanet": PRESETS["dnanet256"],
    "mshnet": PRESETS["dnanet256"],
    "deepmist": replace(SCTRANSNET, grey_niou="union", smoothing=EPSILON, f1_smoothing=EPSILON),
    "rpcanet": RPCANET,
    "lrpcanet": RPCANET,
    "rpcanet_train": replace(RPCANET, threshold_of="absolute"),
    "rdian": PRESETS["rdian"],
    "dtum": PRESETS["dtum"],
    "ref_first": BASIC,
    "ref_nearest": replace(BASIC, matching="nearest"),
    "ref_optimal": replace(BASIC, matching="optimal"),
    "ref_4conn": replace(BASIC, connectivity=4),
}
SCTRANSNET_MATCHING = replace(RPCANET, hit="centroid", false_alarm="area_list", empty="count")
"""RPCANet's second Pd and Fa, called c_* in the file."""

READ: dict[str, Callable[[Counts], Any]] = {
    "targets": lambda c: c.targets.sum(),
    "matched": lambda c: c.hits.sum(),
    "fa_px": lambda c: c.false_alarm_pixels.sum(),
    "back_px": lambda c: c.false_alarm_area.sum(),
    "all_px": lambda c: c.pixels.sum(),
    "tp": lambda c: c.tp.sum(),
    "fp": lambda c: c.fp.sum(),
    "fn": lambda c: c.fn.sum(),
    "inter": lambda c: c.tp.sum(),
    "union": lambda c: (c.tp + c.fp + c.fn + c.grey).sum(),
    "iou": lambda c: summarize(c)["miou"],
    "niou": lambda c: summarize(c)["niou"],
    "precision": lambda c: summarize(c)["precision"],
    "recall": lambda c: summarize(c)["recall"],
    "pixacc": lambda c: summarize(c)["recall"],
    "f1": lambda c: summarize(c)["f1"],
    "pd": lambda c: summarize(c)["pd"],
    "tar5": lambda c: summarize(c)["pd"],
    "fa": lambda c: summarize(c)["fa"],
    "fpr": lambda c: summarize(c)["fa"],
    "auc": lambda c: summarize(c)["auc"],
    "dr": lambda c: (image_iou(c) > 0.5).mean(),
    "roc_tpr": lambda c: roc(c).true_rate.tolist(),
    "roc_fpr": lambda c: roc(c).false_rate.tolist(),
}
"""How a name of the file is read from counts."""

ONE_ROUNDING = {(code, "f1") for code in CODES}
"""The codes sum P + R + epsilon in different orders, so the last bit of F1 is theirs."""
FLOAT32 = {("basicirstd", "pixacc"), ("basicirstd", "fa"), ("sctransnet", "fa")}
"""These codes divide in float32: one rounding of that kind, either way."""


def pixels(name: str, kind: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image_hw = np.zeros((256, 256), dtype=np.uint8)
    for row, column, length, grey in GOLDEN["cases"][name][kind]:
        image_hw[row, column : column + length] = grey
    return image_hw


def counted(name: str, rules: Rules) -> Counts:
    return count(pixels(name, "prediction") / 255.0, pixels(name, "truth"), rules)


def assert_answers(code: str, expected: dict[str, Any], counts: Counts) -> None:
    for name, answer in expected.items():
        if name not in READ:
            continue
        got = READ[name](counts)
        if answer is None:
            assert got == 0, f"{name}: where the code gets 0/0, we say 0"
        elif (code, name) in ONE_ROUNDING:
            assert abs(got - answer) <= EPSILON * answer, name
        elif (code, name) in FLOAT32:
            assert abs(got - answer) <= np.finfo(np.float32).eps * answer, name
        else:
            assert got == answer, name


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("case", CASES)
def test_case(case: str, code: str) -> None:
    assert_answers(code, GOLDEN["cases"][case]["expected"][code], counted(case, CODES[code]))


@pytest.mark.parametrize("code", [code for code in CODES if code in GOLDEN["set_without_c16"]])
def test_set_of_cases(code: str) -> None:
    counts = Counts.concat([counted(case, CODES[code]) for case in CASES if case != "c16"])
    assert_answers(code, GOLDEN["set_without_c16"][code], counts)


@pytest.mark.parametrize("case", CASES)
def test_centroid_matching_of_rpcanet(case: str) -> None:
    expected, counts = GOLDEN["cases"][case]["expected"]["rpcanet"], counted(case, SCTRANSNET_MATCHING)
    for name in ("targets", "matched", "fa_px"):
        assert READ[name](counts) == expected[f"c_{name}"], name


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith("ref_")])
@pytest.mark.parametrize("case", CASES)
def test_reference_blobs_and_area_list(case: str, code: str) -> None:
    expected, rules = GOLDEN["cases"][case]["expected"][code], CODES[code]
    by_area = counted(case, replace(rules, false_alarm="area_list"))
    assert by_area.false_alarm_pixels[0] == expected["fa_px_area_bug"]
    assert len(find(pixels(case, "prediction") > 127, rules.connectivity)) == expected["preds"]


def test_every_answer_of_the_file_is_read() -> None:
    names = {name for case in GOLDEN["cases"].values() for answers in case["expected"].values() for name in answers}
    assert names - set(READ) == {"c_targets", "c_matched", "c_fa_px", "preds", "fa_px_area_bug"}
    assert all(set(case["expected"]) == set(CODES) for case in GOLDEN["cases"].values())


# (detected, targets, false-alarm pixels) of the survey's printed table, None where it prints none.
TABLE: dict[str, dict[str, tuple[int, int, int | None]]] = {
    case: dict(zip(("basicirstd", "sctransnet", "rpcanet", "rdian", "dtum"), row, strict=True))
    for case, row in {
        "c01": ((1, 1, 0), (1, 1, 0), (1, 1, 0), (1, 1, None), (1, 1, 0)),
        "c02": ((1, 1, 0), (1, 1, 0), (1, 1, 6), (0, 1, None), (1, 1, 0)),
        "c03": ((0, 1, 9), (0, 1, 9), (0, 1, 9), (0, 1, None), (1, 1, 0)),
        "c04": ((1, 1, 0), (1, 1, 0), (1, 1, 8), (0, 1, None), (1, 1, 0)),
        "c05": ((1, 1, 9), (1, 1, 9), (1, 1, 4), (0, 1, None), (1, 1, 0)),
        "c06": ((1, 2, 0), (1, 2, 0), (2, 2, 3), (2, 2, None), (2, 2, 0)),
        "c07": ((1, 2, 1), (1, 2, 0), (0, 2, 2), (1, 2, None), (2, 2, 0)),
        "c08": ((1, 1, 9), (1, 1, 0), (1, 1, 9), (1, 1, None), (1, 1, 9)),
        "c09": ((1, 1, 12), (1, 1, 12), (1, 1, 12), (1, 1, None), (1, 1, 12)),
        "c10": ((0, 0, 9), (0, 0, 9), (0, 0, 0), (0, 0, None), (0, 0, 9)),
        "c11": ((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, None), (0, 0, None)),
        "c12": ((0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 1, None), (0, 1, None)),
        "c13": ((0, 1, 0), (0, 1, 0), (1, 1, 0), (0, 1, None), (0, 1, None)),
        "c14": ((1, 1, None), (1, 1, None), (1, 1, None), (0, 1, None), (1, 1, None)),
        "c15": ((0, 1, 45), (0, 1, 45), (1, 1, 36), (1, 1, None), (1, 1, 24)),
        "c16": ((1, 1, 0), (1, 1, 0), (1, 1, 16), (1, 1, None), (1, 1, 0)),
        "c17": ((1, 1, 0), (1, 1, 0), (1, 1, 0), (0, 1, None), (1, 1, 9)),
        "c18": ((0, 1, 1), (0, 1, 1), (1, 1, 1), (0, 1, None), (0, 1, 1)),
        "c19": ((1, 1, 1), (1, 1, 0), (1, 1, 1), (0, 1, None), (1, 1, 0)),
        "c20": ((1, 1, 4), (1, 1, 4), (1, 1, 4), (1, 1, None), (1, 1, 4)),
    }.items()
}


@pytest.mark.parametrize("case", CASES)
def test_printed_table(case: str) -> None:
    for name, (hits, targets, wrong) in TABLE[case].items():
        for preset in (name, "dnanet256") if name == "sctransnet" else (name,):
            counts = counted(case, PRESETS[preset])
            assert (counts.hits[0], counts.targets[0]) == (hits, targets), preset
            assert wrong is None or counts.false_alarm_pixels[0] == wrong, preset


@pytest.mark.parametrize(
    ("case", "preset", "iou"),
    [
        ("c02", "basicirstd", 0.2),
        ("c04", "basicirstd", 0.0588),
        ("c05", "basicirstd", 0.4615),
        ("c06", "basicirstd", 0.8571),
        ("c08", "sctransnet", 0.5),
        ("c09", "basicirstd", 0.4286),
        ("c11", "basicirstd", 0.0),
        ("c13", "basicirstd", 0.0),
        ("c13", "rpcanet", 1.0),
        ("c15", "basicirstd", 0.2),
        ("c16", "basicirstd", 0.2195),
        ("c16", "sctransnet", 0.2195),
        ("c16", "rpcanet", 0.36),
        ("c16", "rdian", 0.36),
        ("c18", "rpcanet", 0.9),
        ("c20", "basicirstd", 0.9),
    ],
)
def test_printed_iou(case: str, preset: str, iou: float) -> None:
    assert round(summarize(counted(case, PRESETS[preset]))["miou"], 4) == iou


@pytest.mark.parametrize(("case", "matching", "hits", "wrong"), [("c05", "nearest", 1, 1), ("c07", "optimal", 2, 0)])
def test_printed_remarks_on_matching(case: str, matching: Any, hits: int, wrong: int) -> None:
    counts = counted(case, replace(BASIC, matching=matching))
    assert (counts.hits[0], counts.false_alarm_pixels[0]) == (hits, wrong)


def test_float32_maps_give_the_same_counts() -> None:
    for case in CASES:
        for rules in PRESETS.values():
            single_hw = pixels(case, "prediction") / np.float32(255)
            assert summarize(count(single_hw, pixels(case, "truth"), rules)) == summarize(counted(case, rules))
