"""The one file of weights: what is written comes back, what is damaged is refused, what came before is still read."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from support import rpcanet
from support.xnor_file import tiny as tiny_model

import irnas
from irnas import models, runtime
from irnas.core import catalog
from irnas.core.errors import DataError, ExportError, FormatError, IrnasError, SettingsError
from irnas.core.recipe import Budget, Late, Recipe
from irnas.core.space import Genotype
from irnas.record.events import DataSource
from irnas.record.run import Run
from irnas.runtime import format
from irnas.runtime.value_range import ValueRange
from irnas.training.weights import WeightsInfo, find_weights, read_weights, restore, weights_uri, write_weights

POINT = catalog.find_point("biisnet", "base=4,stages=2,n_bot=0,bn=true")
INFO = WeightsInfo(
    genotype=POINT,
    origin="trained",
    data=DataSource(name="tiny", revision="0" * 16, path="data/tiny", dvc="md5"),
    split="fit",
    budget=Budget(epochs=3, crop=32),
    recipe=Recipe(schedule="steps", milestones=(0.5, 0.75), late=Late(share=0.1)),
    epochs=2,
    seed=7,
    replicate=1,
    preset="rpcanet",
    threshold=0.9241,
    miou_at_threshold=0.61,
    miou_at_half=0.58,
    value_range=ValueRange(1000.0, 5000.5),
    is_range_known=False,
    values={"miou": 0.58, "pd": 1.0},
    code_rev="0.1.0+gabc",
)
GOLDEN = Path(__file__).parents[1] / "golden" / "run-0.1"


def network(genotype: Genotype = POINT, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    built = models.build(genotype)
    with torch.no_grad():
        for tensor in built.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return built.eval()


def written(folder: Path, info: WeightsInfo = INFO, of: torch.nn.Module | None = None) -> Path:
    path = folder / "w.safetensors"
    write_weights(str(path), of or network(info.genotype), info)
    return path


def logits(of: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = of(torch.rand(1, 1, 32, 64, generator=torch.Generator().manual_seed(1)))
    return result


def refused(path: Path, expected: str) -> None:
    with pytest.raises(FormatError, match=expected) as caught:
        read_weights(str(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value) and len(str(caught.value)) < 500


def with_metadata(path: Path, text: str | None) -> Path:
    """The file with another document, or none."""
    tensors = safetensors.torch.load(path.read_bytes())
    path.write_bytes(safetensors.torch.save(tensors, None if text is None else {"irnas": text}))
    return path


def document_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(json.loads(header["__metadata__"]["irnas"]))


def test_network_and_facts_come_back_as_they_were(tmp_path: Path) -> None:
    assert all(getattr(INFO, f.name) != f.default for f in fields(INFO)), "a field that is not tried"
    path = written(tmp_path)
    restored, info = read_weights(str(path))
    assert info == INFO and not restored.training
    torch.testing.assert_close(logits(restored), logits(network()), rtol=0, atol=0)
    bare = WeightsInfo(genotype=POINT, origin="imported")
    assert read_weights(str(written(tmp_path, bare)))[1] == bare


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    first = written(tmp_path).read_bytes()
    assert written(tmp_path, of=network().to(memory_format=torch.channels_last)).read_bytes() == first
    assert written(tmp_path, of=network(seed=1)).read_bytes() != first


def test_a_file_cut_anywhere_is_refused_in_a_line(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    for end in [*range(12), *range(12, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:end])
        refused(path, "got no safetensors file, or a damaged one")


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    document = document_of(path)
    text = json.dumps
    for content, expected in (
        (None, "does not say which network it is"),
        ("no json", "metadata that is no JSON object"),
        ("[" * 100_000, "metadata that is no JSON object"),
        ("[]", "metadata that is no JSON object"),
        (text({**document, "schema": 2}), "got schema 2; this irnas reads up to 1"),
        (text({**document, "schema": None}), "got schema 'None'; must be 1"),
        (text({name: value for name, value in document.items() if name != "seed"}), "got no seed; must be there"),
        (text({**document, "origin": ["x"]}), "got origin"),
        (text({**document, "threshold": 1.0}), "weights.threshold: got 1.0; must lie between 0 and 1"),
        (text({**document, "preset": "mine"}), "preset: got 'mine'"),
        (text({**document, "recipe": {"loss": "none"}}), "recipe.loss: got 'none'"),
        (text({**document, "values": 3}), "must be facts as irnas writes them"),
        (text({**document, "genotype": 3}), "must be facts as irnas writes them"),
        (text({**document, "layer_versions": {"a": "b"}}), "layer versions"),
        (text({**document, "genotype": {**document["genotype"], "family": "os"}}), "family: got 'os'"),
        (text({**document, "genotype": {**document["genotype"], "values": {}}}), r"w\.safetensors: "),
    ):
        refused(with_metadata(path, content), expected)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = catalog.find_point("biisnet", "base=8,stages=2,n_bot=0,bn=true")
    refused(written(tmp_path, replace(INFO, genotype=other), network()), r"got \[.*\]; must be \[.*\] in the network")
    deeper = catalog.find_point("biisnet", "base=4,stages=2,n_bot=1,bn=true")
    refused(written(tmp_path, replace(INFO, genotype=deeper), network()), "got nothing; must be")
    refused(written(tmp_path, INFO, network(deeper)), "must be nothing in the network")


def test_a_network_too_large_to_be_one_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.setattr(models, "build", lambda genotype: pytest.fail("it was built"))
    for value in (10**9, -(10**9), 1e300):
        huge = replace(INFO, genotype=replace(POINT, values={**POINT.values, "base": value}))
        refused(with_metadata(path, json.dumps(huge.document())), r"biisnet\.base: got .*; must be at most 4096")


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"irnas_weights": 1, "genotype": Trap(sprung), "state": {}}, tmp_path / "trap.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("trap.pt", "bare.pt"):
        with pytest.raises(FormatError, match=name):
            read_weights(str(tmp_path / name))
    assert not sprung.exists()
    (tmp_path / "run" / "weights").mkdir(parents=True)
    result = Run.read(str(GOLDEN / "run")).outcomes[0]
    torch.save({"x": Trap(sprung)}, tmp_path / "run" / "weights" / f"{result.key}.pt")
    with pytest.raises(FormatError, match="cannot read safely"):
        restore(str(tmp_path / "run"), result)
    assert not sprung.exists()


def test_layers_that_were_mended_refuse_weights_of_before(tmp_path: Path) -> None:
    point = catalog.find_point("sd2net", "xin=true")
    path = written(tmp_path, WeightsInfo(genotype=point, origin="trained"))
    torch.testing.assert_close(logits(read_weights(str(path))[0]), logits(network(point)), rtol=0, atol=0)
    document = document_of(path)
    assert set(document["layer_versions"].values()) == {2}
    with_metadata(path, json.dumps({**document, "layer_versions": {}}))
    refused(path, "got some from before .* was mended; must be trained again")


def test_imports_of_version_0_1_are_read(tmp_path: Path) -> None:
    old, _ = read_weights(str(rpcanet.imported_by_0_1(tmp_path / "w.pt")))
    new, info = read_weights(str(rpcanet.imported(tmp_path / "w.safetensors")))
    torch.testing.assert_close(logits(old), logits(new), rtol=0, atol=0)
    assert info.genotype.space == "rpcanet_plus" and not old.training
    content = (tmp_path / "w.pt").read_bytes()
    for broken in (content[:1000], content[:-40]):
        (tmp_path / "cut.pt").write_bytes(broken)
        refused(tmp_path / "cut.pt", "cannot read safely")
    torch.save({"x": torch.zeros(1)}, tmp_path / "state.pt")
    refused(tmp_path / "state.pt", "got a state dict alone; must say which network it is of")
    torch.save({"irnas_weights": 2}, tmp_path / "later.pt")
    refused(tmp_path / "later.pt", "got version '2'; must be 1")
    other = {"irnas_weights": 1, "genotype": info.genotype.document(), "state": {"x": torch.zeros(1)}}
    torch.save(other, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", "must be .* in the network")


def test_a_run_of_version_0_1_gives_its_weights_and_tells_of_them() -> None:
    run = Run.read(str(GOLDEN / "run"))
    (result,) = run.front.results[:1]
    restored, info = find_weights(run, result)
    assert info.genotype == result.genotype and not info.is_range_known and not restored.training
    assert (info.split, info.threshold, info.epochs, info.seed) == ("fit", 0.5, result.epochs, result.seed)
    assert info.data == run.opened.data and info.recipe == run.settings.recipe and info.budget == run.settings.budget
    assert {"miou", "pd"} <= info.values.keys() and "ops" not in info.values
    torch.testing.assert_close(logits(restore(run.uri, result)), logits(restored), rtol=0, atol=0)
    with pytest.raises(DataError, match=f"got no weights of {result.key}, replicate 1; must be a trial"):
        find_weights(run, result, 1)


def test_the_run_keeps_a_file_for_each_training(tmp_path: Path) -> None:
    names = [weights_uri("s3://a/b", "k", replicate) for replicate in (0, 2)]
    assert names == ["s3://a/b/weights/k.safetensors", "s3://a/b/weights/k-2.safetensors"]
    run = Run.read(str(GOLDEN / "run"))
    (result,) = run.front.results[:1]
    first, second = (network(result.genotype, seed) for seed in (0, 1))
    info = WeightsInfo(genotype=result.genotype, origin="trained")
    shutil.copytree(GOLDEN / "run", tmp_path / "run")
    for replicate, trained in enumerate((first, second)):
        uri = weights_uri(str(tmp_path / "run"), result.key, replicate)
        write_weights(uri, trained, replace(info, replicate=replicate))
        restored, known = find_weights(Run.read(str(tmp_path / "run")), result, replicate)
        # The new file goes before the old one, which is there too.
        torch.testing.assert_close(logits(restored), logits(trained), rtol=0, atol=0)
        assert known.replicate == replicate
    uri = weights_uri(str(tmp_path / "run"), result.key)
    write_weights(uri, network(), INFO)
    with pytest.raises(FormatError, match=f"got the network {POINT.key}; must be {result.key}"):
        restore(str(tmp_path / "run"), result)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.0}, {"threshold": float("nan")}, {"preset": "x"}]
)
def test_facts_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"threshold: got|preset: got"):
        WeightsInfo(genotype=POINT, origin="trained", **wrong)


def test_load_takes_weights_and_exported_files(tmp_path: Path) -> None:
    module = irnas.load(written(tmp_path))
    assert isinstance(module, torch.nn.Module) and not module.training
    torch.testing.assert_close(logits(module), logits(network()), rtol=0, atol=0)
    exported = tmp_path / "m.xnor"
    exported.write_bytes(format.write(replace(tiny_model(), threshold=0.3)))
    try:
        runtime.kernels()
    except ExportError:
        pytest.skip("the engine was not built")
    loaded = irnas.load(str(exported))
    assert loaded.facts.threshold == 0.3
    assert loaded.run(np.zeros((1, 8, 8), np.uint8)).shape == (1, 8, 8)


@pytest.mark.parametrize("name", ["gone.safetensors", "gone.pt", "gone.xnor", "gone.onnx", "gone"])
def test_load_says_what_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: got no such file; must be"):
        irnas.load(tmp_path / name)


def test_importing_irnas_imports_nothing_heavy() -> None:
    code = "import sys, irnas; irnas.load; print([m for m in ('torch', 'numpy', 'ray', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_refusal_is_an_error_of_irnas(tmp_path: Path) -> None:
    """Flipped bytes of the header: read as it was, or refused, and never a traceback."""
    path = written(tmp_path)
    content = path.read_bytes()
    # The document comes first in the header, then the names of tensors.
    for place in range(0, 4000, 53):
        broken = bytearray(content)
        broken[place] ^= 1 << (place % 7)
        path.write_bytes(bytes(broken))
        try:
            read_weights(str(path))
        except IrnasError as error:
            assert "\n" not in str(error)
