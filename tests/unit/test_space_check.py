"""A space of a user is held against its family before anything is spent on it: axes that it lacks or never reads, and
values that it cannot build, are one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.own_space import own_space

from irnas.core import catalog, own_code
from irnas.core.errors import SpaceError
from irnas.models import own
from irnas.training import space_check

SHIPPED = Path(__file__).parent.parent.parent / "search_spaces"
WINGS = {"name": "wings", "values": [1, 2], "default": 1, "search": [1, 2]}
BUILD = "from torch import nn\n\ndef build(values):\n"


@pytest.fixture(autouse=True)
def _a_new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "cache"))
    yield
    own_code._sources.clear()
    own.module_of.cache_clear()


def copy_of(family: str, folder: Path, without: str = "", more: tuple[dict[str, object], ...] = ()) -> str:
    """A user's space of a family of irnas: its axes less one, and some more."""
    document = yaml.safe_load((SHIPPED / family / "space.yaml").read_text())
    document["params"] = [param for param in document["params"] if param["name"] != without] + list(more)
    folder.mkdir()
    (folder / "space.yaml").write_text(yaml.safe_dump({**document, "name": "mine"}))
    return str(folder)


def mine(folder: Path, params: list[dict[str, object]], code: str) -> str:
    own_space(folder.parent, folder.name, code)
    (folder / "space.yaml").write_text(yaml.safe_dump({"name": "mine", "family": "mine", "params": params}))
    catalog.admit_code(str(folder))
    return str(folder)


def test_the_template_and_a_copy_of_a_family_pass(tmp_path: Path) -> None:
    space_check.require_buildable(copy_of("sgem_unet", tmp_path / "copy"))
    folder = str(own_space(tmp_path))
    catalog.admit_code(folder)
    space_check.require_buildable(f"biisnet,{folder}")


@pytest.mark.parametrize("family", ["rpcanet_plus", "sgem_unet"])
def test_an_axis_that_the_family_never_reads(tmp_path: Path, family: str) -> None:
    with pytest.raises(SpaceError, match=rf"^space mine: got axis 'wings', which family {family} never reads; must be"):
        space_check.require_buildable(copy_of(family, tmp_path / "mine", more=(WINGS,)))


def test_an_axis_that_the_family_reads_and_the_space_lacks(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"^space mine: got no axis 'stages'; must have it"):
        space_check.require_buildable(copy_of("rpcanet_plus", tmp_path / "mine", without="stages"))


def test_a_value_that_cannot_be_built_is_named(tmp_path: Path) -> None:
    width = {"name": "width", "values": [4, -8, 16], "default": 4, "search": [4, 16]}
    code = f"{BUILD}    return nn.Sequential(nn.Conv2d(1, values['width'], 3))\n"
    with pytest.raises(SpaceError, match=r"model\.py:4: got .*-8"):
        space_check.require_buildable(mine(tmp_path / "mine", [width], code))


def test_a_combination_that_fails_is_a_trial_s_affair(tmp_path: Path) -> None:
    params = [{"name": name, "values": [2, 4, 6], "default": 2} for name in ("width", "groups")]
    params[1]["values"] = [1, 3, 2]
    params[1]["default"] = 1
    code = f"{BUILD}    return nn.Sequential(nn.Conv2d(values['width'], 6, 3, groups=values['groups']))\n"
    with pytest.raises(SpaceError, match=r"groups|divisible"):
        # 3 divides no width that is the default's, so nothing shows that it can be built.
        space_check.require_buildable(mine(tmp_path / "one", params, code))
    params[0]["default"] = 6
    space_check.require_buildable(mine(tmp_path / "two", params, code))


@pytest.mark.parametrize(
    "taking",
    [
        "dict(**values)['width']",
        "dict(values)['width']",
        "(values | {})['width']",
        "{**values}['width']",
        "list(values.values())[0]",
        "dict(values.items())['width']",
        "values.copy()['width']",
        "values.get('width')",
    ],
)
def test_values_may_be_taken_in_any_way(tmp_path: Path, taking: str) -> None:
    params = [{"name": name, "values": [2, 4], "default": 2} for name in ("width", "kernel")]
    code = f"{BUILD}    return nn.Sequential(nn.Conv2d(1, {taking}, values['kernel']))\n"
    space_check.require_buildable(mine(tmp_path / "mine", params, code))


def test_a_family_that_was_not_seen_to_read_any_value_is_believed(tmp_path: Path) -> None:
    params = [{"name": "width", "values": [2, 4], "default": 2}]
    code = f"{BUILD}    return nn.Sequential(nn.Conv2d(1, dict.__getitem__(values, 'width'), 3))\n"
    space_check.require_buildable(mine(tmp_path / "mine", params, code))


def test_an_axis_that_seldom_exists_is_built_with_what_it_needs(tmp_path: Path) -> None:
    """No point of first values, or of second ones, has it: there ``part`` is ``p``, or is not there."""
    params: list[dict[str, object]] = [
        {"name": "kind", "values": ["a", "b"], "default": "a"},
        {"name": "part", "values": ["p", "q"], "default": "p", "when": {"kind": ["a"]}},
        {"name": "width", "values": [-4, 4], "default": -4, "when": {"part": ["q"]}},
    ]
    code = f"{BUILD}    values['kind'], values.get('part')\n"
    code += "    return nn.Sequential(nn.Conv2d(1, values.get('width', 4), 3))\n"
    with pytest.raises(SpaceError, match=r"model\.py:5: got .*-4"):
        space_check.require_buildable(mine(tmp_path / "mine", params, code))
