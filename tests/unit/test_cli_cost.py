"""``irnas cost`` and ``irnas spaces`` as a user meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support import profiles
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.cli.cost import parse_size
from irnas.core import catalog
from irnas.core.errors import DataError, IrnasError, SettingsError, SpaceError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_cost_as_json() -> None:
    document = json.loads(run("cost", "biisnet", "LIT10", "--input", "3x512x512", "--json"))
    assert document["key"] == catalog.find_point("biisnet", "LIT10").key and document["input"] == "3x512x512"
    assert (document["params"], document["bytes"]) == (10_324, 53_608)
    assert document["ops"] == pytest.approx(0.344e9, rel=1e-3)
    names = ("ops", "params", "macs", "elementwise", "bytes", "ops_paper", "params_paper")
    assert document["channels"]["3"] == {name: document[name] for name in names}
    assert document["channels"]["1"]["params"] == 10_036
    single = json.loads(run("cost", "biisnet", "LIT10", "--input", "1x512x512", "--json"))
    assert single["channels"] == document["channels"] and single["params"] == 10_036


def test_cost_is_that_of_the_deployed_network() -> None:
    text = run("cost", "rpcanet_plus", "stages=1")
    assert "1 channel: 4.62 K Params, 0.199 G OPs" in text
    assert "as papers count, with what only training needs: 35.99 K Params, 4.554 G OPs" in text
    assert "as papers count" not in run("cost", "biisnet", "base=4", "--input", "1x64x64")


def test_cost_with_the_speed_on_a_device(tmp_path: Path) -> None:
    words = ("cost", "biisnet", "LIT10", "--input", "1x64x48", "--device", profiles.written(tmp_path))
    document = json.loads(run(*words, "--json"))
    assert document["device"] == "a board" and document["fps"] * document["latency_ms"] == pytest.approx(1000)
    assert f"predicted for a board: {document['latency_ms']:.3g} ms, {document['fps']:.4g} frames/s" in run(*words)


def test_cost_as_a_table() -> None:
    text = run("cost", "biisnet", "base=8,trans=BC", "--input", "1x64x64")
    assert "base=8,trans=BC, input 1x64x64" in text
    for part in ("stem", "enc.0.0", "down.2", "bottom.1", "fuse.0", "head", "total"):
        assert part in text
    assert re.search(r"^1 channel: .*^3 channels: ", text, re.MULTILINE | re.DOTALL)
    # The parts add up to the total.
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    bytes_of = {row[0]: int(row[-1]) for row in rows}
    assert sum(size for name, size in bytes_of.items() if name != "total") == pytest.approx(
        bytes_of["total"], abs=len(rows)
    )


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("cost", "biisnett", "LIT10"), SpaceError, "space: got 'biisnett'; one of"),
        (("cost", "biisnet", "LIT11"), SpaceError, "got 'LIT11'; one of default, LIT10"),
        (("cost", "biisnet", "base=7"), SpaceError, "biisnet.base: got '7'; one of 4"),
        (("cost", "biisnet", "LIT10", "--input", "512x512"), SettingsError, "--input: got '512x512'; must be"),
        (("cost", "biisnet", "LIT10", "--input", "2x512x512"), SpaceError, "biisnet.in_ch: got 2; one of 1, 3"),
        (("cost", "biisnet", "LIT10", "--input", "1x500x512"), DataError, "got 500x512 pixels; must be multiples of 8"),
        (("spaces", "nowhere"), SpaceError, "space: got 'nowhere'; one of"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments: tuple[str, ...], kind: type[IrnasError], words: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, kind)
    assert words in str(result.exception) and "\n" not in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize("text", ["", "3", "axbxc", "3x-1x5", "0x8x8", "3x8x8x8", "3 x 8 x 8"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(SettingsError, match="must be channels x height x width"):
        parse_size(text)


def test_spaces_lists_all_and_describes_one() -> None:
    listed = {space["name"]: space for space in json.loads(run("spaces", "--json"))}
    assert set(listed) == set(catalog.list_names())
    one = json.loads(run("spaces", "biisnet", "--json"))
    assert one == listed["biisnet"]
    space = catalog.load("biisnet")
    assert (one["points"], one["searched"]) == (space.count(), space.focus().count())
    assert {param["name"]: param["default"] for param in one["params"]}["base"] == 16
    assert {"LIT10", "D10", "LIT-O", "LIT-P", "U16", "B12", "G16"} <= set(one["published"])
    assert "BiisNet" in one["references"]


def test_spaces_as_tables() -> None:
    assert "biisnet" in run("spaces")
    text = run("spaces", "biisnet")
    assert "n_enc2" in text and "stages: 3, 4" in text and "published points: LIT10" in text


def test_a_network_of_many_frames_costs_one_frame_and_a_window() -> None:
    point = ("cost", "std2net", "c=2,features=4,frames=3", "--input", "1x64x64")
    document = json.loads(run(*point, "--json"))
    assert document["frames"] == 3 and document["window"]["params"] == document["params"]
    assert 2 * document["macs"] < document["window"]["macs"] < 3 * document["macs"]
    assert f"all 3 frames of a window: {document['window']['ops'] / 1e9:.3f} G OPs" in run(*point)
