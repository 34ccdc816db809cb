"""The schema of the record: every kind of event survives its document, and what is wrong is said in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.opened import opened
from support.results import proposed, result

from irnas.core.errors import FormatError
from irnas.record.events import (
    KINDS,
    SCHEMA,
    Closed,
    Continued,
    DataSource,
    Device,
    Event,
    Finished,
    Measured,
    Opened,
    Repaired,
    Repeated,
    Reported,
    Resumed,
    Retried,
    Tested,
)
from irnas.record.line import parse
from irnas.record.upgrade import upgrade

DEVICE = Device(name="a", cpu="c", kernels="neon", threads=1, clock="CPU", predicted=False, revision="r")
MEASURED = Measured(
    trial=1,
    key="k",
    input=(1, 64, 64),
    threads=1,
    expected_ms=3.0,
    engine="xnor",
    kernels="avx2",
    ms_min=2.0,
    ms_median=2.5,
    runs=9,
)
ONE_OF_EACH: list[Event] = [
    opened(device=DEVICE, baselines={"all_background": {"miou": 0.0}}, versions={"torch": "2"}),
    Resumed(trials=9, code_rev="c", data_path="moved/data"),
    proposed(0, "ops: too many"),
    Reported(
        trial=0, epoch=2, values={"miou": 0.5}, seconds=1.5, paused=True, replicate=1, trained_on="a cpu", fused=True
    ),
    Continued(trial=0, belief={"mean": 0.5}, promoted=True),
    Retried(trial=0, error="its worker died"),
    Finished(result=result(0, {"miou": 0.5, "ops": 1.0})),
    Repeated(trial=0, key="k", seed=7, replicate=1, seconds=1.0, values={"miou": 0.25}),
    MEASURED,
    replace(MEASURED, expected_ms=None, cpu="c"),
    Tested(
        trial=0,
        key="k",
        replicate=2,
        seed=7,
        split="test",
        data_rev="5eed",
        threshold=0.7,
        values={"basicirstd": {"miou": 0.5}},
        at_half={"basicirstd": {"miou": 0.25}},
        reading=3,
        source="a.xnor",
    ),
    Repaired(num_events=2, faults=("line 3: no JSON",), proposals=(proposed(0).proposal,), lost_trials=(4,)),
    Closed(reason="interrupted"),
]


def line(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: e.KIND)
def test_an_event_survives_its_document(event: Event) -> None:
    document = event.document()
    assert (document["schema"], document["kind"], document["t"]) == (SCHEMA, event.KIND, event.t)
    assert parse(line(document), "here") == event


def test_every_kind_is_tried_above() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(KINDS.values())


def finished(**wrong: Any) -> bytes:
    document = Finished(result=result(0, {"miou": 0.5, "ops": 1.0})).document()
    return line({**document, "result": {**document["result"], **wrong}})


def without(name: str) -> dict[str, Any]:
    document = Retried(trial=0, error="x", t=1.0).document()
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"rubbish", "got no JSON; must be one event a line"),
        (b"[1]", "got list; must be one event a line"),
        (line({"schema": SCHEMA + 1, "kind": "closed"}), f"got schema {SCHEMA + 1}; this irnas reads up to {SCHEMA}"),
        (line({"schema": SCHEMA, "t": 1.0, "kind": "danced"}), "got kind 'danced'; must be one of opened, resumed"),
        (line(without("error")), r"\(retried\): got no error; must be there"),
        (line(without("t")), r"\(retried\): got no t; must be there"),
        (line(without("schema")), "got schema None; must be a whole number from 1"),
        (line({**without("schema"), "schema": "4"}), "got schema '4'; must be a whole number from 1"),
        (line({**without("kind"), "kind": ["closed"]}), r"got kind \['closed'\]; must be one of"),
        (line({**without("trial"), "trial": "0"}), r"\(retried\): got trial '0'; must be"),
        (line({**without("trial"), "trial": True}), r"\(retried\): got trial True; must be"),
        (line({**without("trial"), "trial": 10**30}), r"\(retried\): got trial 1000.*; must be"),
        (line({**without("t"), "t": None}), r"\(retried\): got t None; must be"),
        (b'{"schema":4,"kind":"closed","t":1e999,"reason":"x"}', r"\(closed\): got t inf; must be"),
        (b'{"schema":4,"kind":"closed","t":NaN,"reason":"x"}', "got no JSON; must be"),
        (b"[" * 100_000, "got no JSON; must be"),
        (b'{"schema":' + b"9" * 5000 + b"}", "got no JSON; must be"),
        (finished(epochs="3"), r"got result.epochs '3'; must be"),
        (finished(values={"miou": "a"}), r"\(finished\): got .*; must be"),
        (finished(genotype=None), r"\(finished\): got .*; must be"),
        (line({**opened().document(), "bounds": {"miou": [1.0]}}), r"\(opened\): got .*; must be"),
        (line({**opened().document(), "versions": [1]}), r"\(opened\): got versions \[1\]; must be"),
        (line({**MEASURED.document(), "input": 3}), r"\(measured\): got .*; must be an event of an irnas run"),
        (line({**opened().document(), "settings": {}}), r"\(opened\): got .*; must be"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=rf"^r, event 3.*{message}") as error:
        parse(content, "r, event 3")
    assert "\n" not in str(error.value)


def test_a_timing_of_before_names_no_processor() -> None:
    document = {**MEASURED.document(), "schema": 4}
    del document["cpu"]
    assert Measured.from_document(upgrade(document)) == MEASURED and MEASURED.cpu == ""


def test_a_record_of_version_0_1_means_what_it_meant() -> None:
    new = opened()
    old = {k: v for k, v in new.document().items() if k not in ("run_id", "device", "versions", "baselines")}
    data = {"name": "d", "revision": "5eed", "path": "p"}
    event = parse(line({**old, "schema": 1, "data": data, "data_rev": "5eed"}), "here")
    assert isinstance(event, Opened)
    assert event.data == DataSource(name="d", revision="5eed", path="p") and event.device is None
    assert len(event.run_id) == 16 and event.settings == new.settings
    again = parse(line({**old, "schema": 1, "data": data, "data_rev": "5eed", "t": 5.0}), "here")
    assert isinstance(again, Opened) and again.run_id != event.run_id, "the identity is that of the whole opening"
    report = {"schema": 1, "t": 1.0, "kind": "reported", "trial": 0, "epoch": 1, "values": {}, "seconds": 1.0}
    assert parse(line(report), "here") == Reported(t=1.0, trial=0, epoch=1, values={}, seconds=1.0, paused=False)
    continued = {"schema": 1, "t": 1.0, "kind": "continued", "trial": 4}
    assert parse(line(continued), "here") == Continued(t=1.0, trial=4)


def test_a_record_of_schema_2_means_what_it_meant() -> None:
    repeated = {"schema": 2, "t": 1.0, "kind": "repeated", "trial": 0, "key": "k", "seed": 7, "seconds": 1.0}
    event = parse(line({**repeated, "values": {"miou": 0.5}}), "here")
    assert event == Repeated(t=1.0, trial=0, key="k", seed=7, seconds=1.0, values={"miou": 0.5}, replicate=0)
    new = opened()
    assert parse(line({**new.document(), "schema": 2}), "here") == new
    resumed = {"schema": 2, "t": 1.0, "kind": "resumed", "trials": 3, "code_rev": "c"}
    assert parse(line(resumed), "here") == Resumed(t=1.0, trials=3, code_rev="c")
