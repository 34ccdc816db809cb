"""Networks of a user's own: found by their folder, known by their code, and run only where that folder was named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.own_space import own_space

from irnas import models
from irnas.core import catalog, own_code
from irnas.core.errors import SpaceError
from irnas.core.recipe import Budget, Recipe
from irnas.core.space import Genotype
from irnas.deploy.price import price
from irnas.models import own
from irnas.search import wire
from irnas.training.assignment import Assignment


@pytest.fixture(autouse=True)
def _a_new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing was named here before."""
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "cache"))
    forget()
    yield
    forget()


def forget() -> None:
    """What a new process knows."""
    own_code._sources.clear()
    own.module_of.cache_clear()


def with_mark(tmp_path: Path) -> tuple[Path, Path]:
    """A space whose code leaves a file behind when it is run, and that file."""
    mark = tmp_path / "it-ran"
    folder = own_space(tmp_path)
    code = (folder / "model.py").read_text()
    (folder / "model.py").write_text(f"{code}\nopen({str(mark)!r}, 'w').close()\n")
    return folder, mark


def test_a_named_space_builds_its_networks(tmp_path: Path) -> None:
    space = catalog.admit_code(str(own_space(tmp_path)))
    network = models.build(space.complete({"squeeze": True})).eval()
    assert network(torch.zeros(2, 1, 16, 24)).shape == (2, 1, 16, 24)
    costs = price(space.default(), (1, 32, 32))
    # By hand: a stem of 3 x 3, two blocks of depth-wise 3 x 3 and point-wise, a head.
    assert costs["macs"] == 32 * 32 * (9 * 8 + 2 * (9 * 8 + 64) + 8)
    assert costs["params"] == 80 + 2 * (72 + 64 + 4 * 8) + 9 and costs["bytes"] == 4 * costs["params"]


def test_code_is_not_run_because_a_record_names_it(tmp_path: Path) -> None:
    folder, mark = with_mark(tmp_path)
    genotype = catalog.load(str(folder)).default()
    with pytest.raises(SpaceError, match=r"^family mine@[0-9a-f]{16}: got code that nobody has named on this machine"):
        models.build(genotype)
    assert not mark.exists()
    catalog.admit_code(str(folder))
    assert not mark.exists(), "naming alone runs nothing"
    models.build(genotype)
    assert mark.exists()


def test_code_that_was_named_here_once_is_understood_when_it_has_changed_since(tmp_path: Path) -> None:
    folder, mark = with_mark(tmp_path)
    old = catalog.admit_code(str(folder)).default()
    models.build(old)
    (folder / "model.py").write_text("build = None\n")
    forget()
    mark.unlink()
    assert sum(p.numel() for p in models.build(old).parameters()) > 0 and mark.exists()
    assert catalog.load(str(folder)).family != old.family


@pytest.mark.parametrize("family", ["../../evil@{digest}", "mine@../../evil", "mine@evil", "mine@"])
def test_a_record_cannot_point_at_a_file_of_its_own(tmp_path: Path, family: str) -> None:
    """Whatever a fetched run holds, and whatever its record calls a family, nothing of it is run."""
    folder, mark = with_mark(tmp_path)
    code = (folder / "model.py").read_text()
    digest = catalog.load(str(folder)).family.rpartition("@")[2]
    for name in ("evil.py", f"evil@{digest}.py", f"{digest}.py"):
        (tmp_path / name).write_text(code)
    (tmp_path / "cache" / "own").mkdir(parents=True)
    values = catalog.load(str(folder)).default().values
    genotype = Genotype(space="mine", family=family.format(digest=digest), fingerprint="", values=values)
    must_be = "nobody has named" if family.startswith("..") else "must be NAME@DIGEST"
    with pytest.raises(SpaceError, match=must_be):
        models.build(genotype)
    assert not mark.exists()


def test_a_copy_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder, mark = with_mark(tmp_path)
    genotype = catalog.admit_code(str(folder)).default()
    models.build(genotype)
    mark.unlink()
    (copy,) = (tmp_path / "cache" / "own").iterdir()
    copy.write_text(copy.read_text() + "\n# other\n")
    forget()
    with pytest.raises(SpaceError, match="got other code than that"):
        models.build(genotype)
    assert not mark.exists()


def assignment(genotype: Genotype) -> Assignment:
    return Assignment(
        trial=0, genotype=genotype, costs={}, seed=0, dataset="synthetic", data_rev="r", code_rev="c",
        budget=Budget(), recipe=Recipe(), preset="basicirstd", uri="runs/x",
    )  # fmt: skip


def test_a_worker_gets_the_code_with_its_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_space(tmp_path)
    work = assignment(catalog.admit_code(str(folder)).default())
    text = wire.encode(work)
    forget()
    # Another machine, without the folder and with an empty cache.
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "elsewhere"))
    (folder / "model.py").unlink()
    arrived = wire.decode(text)
    assert arrived == work
    assert models.build(arrived.genotype) is not None


def test_a_search_that_goes_on_sends_the_code_that_it_began_with(tmp_path: Path) -> None:
    work = assignment(catalog.admit_code(str(own_space(tmp_path))).default())
    models.build(work.genotype)
    forget()
    assert '"code": "' in wire.encode(work)
    published = assignment(catalog.load("biisnet").default())
    assert '"code": null' in wire.encode(published)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def build(values)\n", r"^mine@\w+/model\.py:1: got SyntaxError \(expected ':'"),
        ("import nothing_like_it\n", r"^mine@\w+/model\.py:1: got ModuleNotFoundError \(No module named"),
        ("x = 1\n", r"^mine@\w+/model\.py: got no function build; must have build\(values\) -> torch\.nn\.Module"),
        ("def build(values):\n    return 7\n", r"^family mine@\w+: got int of build; must be a torch\.nn\.Module"),
        ("def build(values):\n    return values['no']\n", r"^mine@\w+/model\.py:2: got KeyError \('no'\); must run"),
    ],
)
def test_what_is_wrong_in_the_code_is_said_in_a_line_with_its_place(tmp_path: Path, code: str, message: str) -> None:
    genotype = catalog.admit_code(str(own_space(tmp_path, code=code))).default()
    with pytest.raises(SpaceError, match=message):
        models.build(genotype)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        ("return x[:, :, ::2]", r"got an output of \[1, 1, 16, 32\]; must be logits, \[1, 1, 32, 32\]"),
        ("return self.gone(x)", r"^mine@\w+/model\.py:4: got AttributeError \('Network' object has no attribute"),
    ],
)
def test_a_network_that_does_not_run_is_refused_when_it_is_priced(tmp_path: Path, forward: str, message: str) -> None:
    code = f"from torch import nn\nclass Network(nn.Module):\n    def forward(self, x):\n        {forward}\n"
    code += "def build(values):\n    network = Network()\n    network.body = nn.Identity()\n    return network\n"
    genotype = catalog.admit_code(str(own_space(tmp_path, code=code))).default()
    with pytest.raises(SpaceError, match=message):
        price(genotype, (1, 32, 32))


def test_a_space_that_is_edited_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook both files change while the process stays."""
    folder = own_space(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = catalog.admit_code("mine")
    text = (folder / "space.yaml").read_text()
    (folder / "space.yaml").write_text(text.replace("default: 8", "default: 16", 1))
    (folder / "model.py").write_text((folder / "model.py").read_text() + "\n# changed\n")
    after = catalog.admit_code("mine")
    assert (before["width"].default, after["width"].default) == (8, 16) and before.family != after.family
    assert models.build(after.default()) is not None


def test_it_may_share_a_search_with_others(tmp_path: Path) -> None:
    space = catalog.admit_code(f"biisnet,{own_space(tmp_path)}")
    member = space.members[1]
    assert models.build(member.default()) is not None and member.family.startswith("mine@")
    assert replace(member, family="mine").fingerprint != member.fingerprint, "code that changes is another space"
