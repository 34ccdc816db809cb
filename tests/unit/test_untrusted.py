"""What somebody else wrote is shown and not obeyed: terminal commands, pipes among images, parts of killed writers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import printed
from support.runs import Writer, space_folder, write_run

from irnas.cli.app import app
from irnas.core.errors import DataError
from irnas.core.result import Status
from irnas.core.text import printable
from irnas.data import decode, files
from irnas.data.decode import Notes, read_image
from irnas.data.pictures import list_pictures
from irnas.record.events import Retried
from irnas.record.run import Run
from irnas.storage import atomic

# Clears the screen, sets the title, sets the clipboard, C1 form of the first, turns the order of letters, rings.
COMMANDS = ["\x1b[2J", "\x1b]0;owned\x07", "\x1b]52;c;cm0gLXJm\x07", "\x9b2J", "\u202e", "\x07", "\x00", "\x08"]


@pytest.mark.parametrize("command", COMMANDS, ids=ascii)
def test_no_command_of_a_record_reaches_the_terminal(tmp_path: Path, command: str) -> None:
    attack = f"before{command}after"

    def fail(writer: Writer) -> None:
        genotype = writer.space.complete({"width": 32, "depth": 3, "binarizer": "sign"})
        trial = writer.propose(genotype, origin=attack)
        writer.append(Retried(trial=trial, error=attack))
        writer.finish(trial, genotype, Status.FAILED, {}, 0, attack)

    uri = write_run(tmp_path / "one", space_folder(tmp_path), trials=2, then=fail, closed=attack, data_name=attack)
    key = Run.read(uri).outcomes[-1].key
    for words in (["front", uri, "--all"], ["why", uri, key]):
        said = printed(app, *words)
        assert not set(command) & {"\x1b", "\x9b", "\u202e", "\x07", "\x00", "\x08"} & set(said)
        assert "before" in said and "after" in said


def test_a_text_stays_as_it_is_where_nothing_in_it_is_a_command() -> None:
    text = "ä 目标 \t\n «»±→ \u0301"
    assert printable(text) == text
    assert printable("a\x1b[31mb") == "a\ufffd[31mb"


def test_a_pipe_among_images_is_passed_over_and_one_that_is_named_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert [path.name for path in files.images(tmp_path)] == ["a.png"]
    assert [picture.path.name for picture in list_pictures([tmp_path])] == ["a.png"]
    with pytest.raises(DataError, match="got no regular file"):
        list_pictures([tmp_path / "b.png"])
    with pytest.raises(DataError, match="got no regular file"):
        read_image(tmp_path / "b.png", Notes())
    assert not decode.is_deep(tmp_path / "b.png")


def test_the_channels_of_a_large_image_are_compared_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    pixels = np.repeat(rng.integers(0, 200, (37, 11, 1), dtype=np.uint8), 3, axis=2)
    pixels[36, 10] = (10, 52, 30)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    sizes, whole, banded = list[int](), Notes(), Notes()
    expected = read_image(tmp_path / "a.png", whole)
    monkeypatch.setattr(decode, "_BAND_PIXELS", 40)
    crop = Image.Image.crop
    monkeypatch.setattr(Image.Image, "crop", lambda self, box: sizes.append(box[3] - box[1]) or crop(self, box))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", banded), expected)
    assert (banded.chroma, banded.coloured) == (whole.chroma, whole.coloured) == (42, 1)
    assert max(sizes) == 3 and sum(sizes) == 37


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "weights").mkdir()
    dead = tmp_path / "weights" / f".k.safetensors.{ended.pid}.part"
    alive = tmp_path / f".report.html.{os.getpid()}.part"
    other = tmp_path / ".somebody.part"
    for path in (dead, alive, other):
        path.touch()
    atomic.remove_dead_parts(tmp_path)
    assert [path.exists() for path in (dead, alive, other)] == [False, True, True]


def test_a_search_that_goes_on_removes_them(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "one", space_folder(tmp_path), trials=1)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "one" / f".report.html.{ended.pid}.part").touch()
    from irnas.record.ledger import Ledger

    with Ledger(uri).writing():
        assert not list((tmp_path / "one").glob(".*.part"))
