"""What a network costs before it is trained: counts, and its speed where a search asks for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from support import profiles
from support.opened import opened

from irnas import cost, models
from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.objective import LIMITABLE, OBJECTIVES, RUNTIME, parse
from irnas.core.proposal import Proposal
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype
from irnas.deploy import price as deployed
from irnas.deploy.device import target
from irnas.deploy.export import write
from irnas.record.events import Proposed
from irnas.record.run import Run
from irnas.runtime import format
from irnas.search import pricing


def settings(**changes: Any) -> SearchSettings:
    return SearchSettings(**{"space": "biisnet", "cost_input": (1, 64, 48), **changes})


def test_speed_is_an_objective_that_needs_no_training() -> None:
    fps, latency = parse("fps,latency_ms")
    assert fps.is_free and fps.loss(50.0) < fps.loss(40.0) and latency.loss(20.0) < latency.loss(25.0)
    # On a logarithmic axis the two are one.
    assert fps.position(1000 / 8) - fps.position(1000 / 2) == pytest.approx(latency.position(8) - latency.position(2))
    assert RUNTIME == {"fps", "latency_ms"}
    assert "latency_ms" in LIMITABLE and not {"fps", "miou", "fa"} & set(LIMITABLE)


def test_a_search_without_speed_loads_no_engine() -> None:
    code = (
        "import sys; from irnas.search import pricing; from irnas.core.settings import SearchSettings as S;"
        "s = S(space='biisnet');"
        "from irnas.core import catalog;"
        "found = pricing.pricer(s, pricing.target_of(s))(catalog.load('biisnet').default());"
        "assert 'fps' not in found and found['ops'] > 0;"
        "from irnas.runtime import library;"
        "loaded = [m for m in sys.modules if m.startswith(('irnas.deploy.device', 'onnx'))];"
        "print(loaded, library._open.cache_info().misses)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] 0"


def test_bytes_are_those_of_the_xnor_file() -> None:
    for point, channels in (("LIT10", 1), ("LIT10", 3), ("base=4,stages=2,n_bot=0", 1)):
        genotype = models.with_channels(catalog.find_point("biisnet", point), channels)
        torch.manual_seed(1)
        network = models.build(genotype).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        content = format.write(write.convert(network, channels, write.Origin(name="a name", trial=genotype.key))[0])
        size = deployed.price(genotype, (channels, 64, 64))["bytes"]
        # The name, the trial, the digests and who exported are all that is between them.
        assert 0 <= len(content) - size < 200


def test_bytes_of_what_has_no_xnor_file_are_its_numbers() -> None:
    costs = deployed.price(catalog.find_point("biisnet", "sign0=0"), (1, 64, 64))
    total = cost.survey(catalog.find_point("biisnet", "sign0=0"), (1, 64, 64)).total
    assert costs["bytes"] == total.bytes == -(-total.bits // 8) + 4 * total.numbers


def test_pricing_draws_none_of_the_random_numbers_of_others() -> None:
    genotype = catalog.find_point("biisnet", "base=4")
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    deployed.price(genotype, (1, 64, 64))
    assert torch.equal(torch.rand(4), wanted)


def run_of(genotype: Genotype, costs: dict[str, float], objectives: str) -> Run:
    wanted = SearchSettings(space=genotype.space, cost_input=(1, 64, 64), objectives=parse(objectives))
    proposal = Proposal(trial=0, genotype=genotype, costs=costs, origin="random")
    return Run.of("runs/old", [opened(wanted), Proposed(proposal=proposal)])


def test_a_run_with_costs_of_an_older_rule_does_not_go_on() -> None:
    genotype = catalog.find_point("rpcanet_plus", "stages=1")
    as_trained = cost.survey(genotype, (1, 64, 64), as_trained=True).values()
    today = pricing.pricer(settings(space="rpcanet_plus", cost_input=(1, 64, 64)), None)
    run = run_of(genotype, as_trained, "miou,ops")
    with pytest.raises(
        SettingsError, match=r"^run runs/old: got ops .* as an earlier irnas counted; must be .*: begin"
    ):
        pricing.require_same_costs(run, today)
    pricing.require_same_costs(run_of(genotype, dict(today(genotype)), "miou,ops"), today)


def test_a_cost_that_a_run_does_not_ask_for_may_have_changed() -> None:
    genotype = catalog.find_point("biisnet", "base=4")
    today = pricing.pricer(settings(cost_input=(1, 64, 64)), None)
    costs = {**today(genotype), "bytes": 1.0}
    pricing.require_same_costs(run_of(genotype, costs, "miou,ops"), today)
    with pytest.raises(SettingsError, match="got bytes 1 of"):
        pricing.require_same_costs(run_of(genotype, costs, "miou,bytes"), today)


def test_a_profile_that_nothing_asks_for_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"device: got pi4\.json with the objectives miou, ops; must come with"):
        pricing.target_of(settings(device="pi4.json"))
    with pytest.raises(SettingsError, match=r"device absent\.json: got no such file"):
        pricing.target_of(settings(device="absent.json", objectives=parse("miou,fps")))


@pytest.mark.parametrize("asked", [{"objectives": parse("miou,fps")}, {"limits": {"latency_ms": 5.0}}])
def test_speed_comes_with_the_costs_once_for_each_network(
    tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = settings(device=profiles.written(tmp_path), **asked)
    find = pricing.pricer(wanted, pricing.target_of(wanted))
    genotype = catalog.load("biisnet").default()
    first = find(genotype)
    assert first["fps"] * first["latency_ms"] == pytest.approx(1000) and first["ops"] > 0
    monkeypatch.setattr("irnas.deploy.device.target.measure_or_predict_ms", pytest.fail)
    assert find(genotype) is first


def test_the_box_spans_the_pool_whichever_way_is_better() -> None:
    pool = [{"fps": fps, "latency_ms": 1000 / fps, "ops": 1e6} for fps in (20.0, 100.0, 400.0)]
    found = pricing.bounds(settings(objectives=parse("miou,fps,latency_ms,ops")), pool)
    assert found["fps"] == (400.0, 20.0) and found["latency_ms"] == (2.5, 50.0) and found["ops"] == (5e5, 1e6)
    limited = settings(objectives=parse("miou,latency_ms"), limits={"latency_ms": 20.0})
    assert pricing.bounds(limited, pool)["latency_ms"] == (2.5, 20.0)
    assert pricing.bounds(settings(objectives=parse("miou,fps")), pool[:1])["fps"] == (40.0, 20.0)


def test_the_pool_says_how_far_it_is_and_that_a_limit_is_too_tight() -> None:
    told: list[tuple[str, int, int]] = []
    space = catalog.load("biisnet").focus()
    cheap = {"latency_ms": 3.0}
    assert len(pricing.pool(space, settings(), lambda _: cheap, None, lambda *t: told.append(t))) == pricing.POOL + 1
    assert not told
    here = target.Target(name="here", cpu="", kernels="", threads=1)
    found = pricing.pool(space, settings(), lambda _: cheap, here, lambda *t: told.append(t))
    assert len(found) == pricing.MEASURED_POOL + 1 < pricing.POOL
    assert told[-1] == ("timing networks", 16, 16) and len(told) == 15
    with pytest.raises(SettingsError, match=r"got latency_ms 2; must admit some network: .* is latency_ms 3"):
        pricing.pool(space, settings(limits={"latency_ms": 2.0}), lambda _: cheap)


@pytest.mark.parametrize("name", ["fps", "miou", "speed"])
def test_only_what_is_smaller_when_better_can_be_limited(name: str) -> None:
    with pytest.raises(SettingsError, match=f"limit: got '{name}'; one of ops, .*, latency_ms"):
        settings(limits={name: 1.0})


def test_the_table_of_objectives_is_whole() -> None:
    assert {o.kind for o in OBJECTIVES.values()} == {"metric", "cost", "runtime"}


def test_what_only_spans_the_box_is_priced_without_its_file_unless_that_counts() -> None:
    space, asked = catalog.load("biisnet"), []

    def price(genotype: Genotype) -> Mapping[str, float]:
        asked.append(genotype.key)
        return {"ops": 1.0}

    quick = pricing.counter(settings(), price)(space.default())
    assert not asked and quick["ops"] == cost.price(space.default(), settings().cost_input)["ops"]
    for changes in ({"limits": {"bytes": 9e9}}, {"objectives": parse("miou,bytes")}, {"objectives": parse("miou,fps")}):
        assert pricing.counter(settings(**changes), price) is price
