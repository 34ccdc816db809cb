"""All trials of a search stand in one table, with what sorts them and the commands about each."""

from __future__ import annotations

import base64
import gzip
import html
import re
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from support.runs import Writer, space_folder, write_run

from irnas.record.run import Run
from irnas.report import page, script, trials


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.read(write_run(tmp_path / "runs" / "it's one", space_folder(tmp_path)))


def test_every_trial_has_a_row_with_what_sorts_it(run: Run) -> None:
    text = trials.section(run)
    keys = re.findall(r"<code>([0-9a-f]{12})</code>", text)
    assert keys == [result.key for result in run.outcomes] and "results.parquet" not in text
    assert text.count(", front</td>") == len(run.front.results) > 0
    first = run.outcomes[0]
    for name in ("miou", "ops"):
        value = first.values.get(name)
        assert f'<span data-value="{"" if value is None else value}">' in text
    assert 'data-value="None"' not in text, "what has no figure is last, however it is sorted"


def test_a_network_of_several_seeds_has_one_value_on_the_whole_page(tmp_path: Path) -> None:
    def train_again(writer: Writer) -> None:
        best = max(Run.read(writer.uri).done, key=lambda r: r.values["miou"])
        writer.repeat(best.trial, best.genotype, 1)

    run = Run.read(write_run(tmp_path / "two", space_folder(tmp_path), then=train_again))
    (key,) = run.replicates
    mean = run.replicates[key]["miou"].mean
    assert f'<span data-value="{mean}">' in trials.section(run)


def test_the_commands_name_the_run_as_a_shell_takes_it(run: Run) -> None:
    (commands,) = re.findall(r'data-commands="([^"]*)"', trials.section(run))
    why, _, export, weights = html.unescape(commands).splitlines()
    assert why.startswith("irnas why '/") and "it'\"'\"'s one'" in why and why.endswith(" {key}")
    assert export.endswith("{key} -o {key}.xnor") and weights.endswith("/weights/{key}.safetensors")


def test_of_very_many_trials_some_are_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MAX_ROWS", 3)
    text = trials.section(run)
    assert text.count("<tr>") == 4 and f"3 of {len(run.outcomes)} trials are listed; results.parquet" in text


def test_the_page_sorts_with_its_own_script(run: Run) -> None:
    text = page.html(run, [], images=False)
    assert '<section id="trials">' in text and 'querySelectorAll("div.sortable")' in text
    assert "<" not in trials.SCRIPT and trials.SCRIPT in script._LOADER


def test_the_figures_come_before_the_facts_and_plotly_is_whole(run: Run) -> None:
    text = page.html(run, [], images=False)
    assert text.index('id="front-0"') < text.index('<section id="run">')
    size, packed = re.findall(r'id="plotly" data-size="(\d+)">([^<]*)<', text)[0]
    unpacked = base64.b85decode(packed.replace(",", "<"))[: int(size)]
    assert gzip.decompress(unpacked).decode() == get_plotlyjs()
    assert len(text) < 2_000_000
