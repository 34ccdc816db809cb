"""All trials of a search in one table: it sorts by a click on a heading, and is filtered by what is typed above it.

A click on a row, or on its point in a figure, shows the commands about that network, ready to be copied.
"""

from __future__ import annotations

import shlex

from irnas.core.result import Result
from irnas.core.text import format_duration
from irnas.record.run import Run
from irnas.report import table, thin, unit
from irnas.report.markup import Markup, code, fill

MAX_ROWS = 250
"""Trials that are listed; of more, so many evenly over the search."""
_COMMANDS = (
    "irnas why {run} {key}",
    "irnas train {run} {key}",
    "irnas export {run} {key} -o {key}.xnor",
)
_WEIGHTS = "# weights: {run}/weights/{key}.safetensors"

# No "<" in it: see irnas.report.script, whose script it is part of.
SCRIPT = """
for (const box of document.querySelectorAll("div.sortable")) {
  const rows = Array.from(box.querySelectorAll("tr")), head = rows.shift(), body = head.parentElement;
  const filter = box.querySelector("input"), commands = box.querySelector("pre");
  const valueOf = (row, i) => row.cells[i].firstElementChild?.dataset?.value ?? row.cells[i].textContent;
  const compare = (x, y) => Number.isNaN(x - y) ? x.localeCompare(y) : x - y;
  const sortBy = (cell, i) => {
    const order = cell.dataset.order === "up" ? "down" : "up", sign = order === "up" ? 1 : -1;
    for (const other of head.cells) delete other.dataset.order;
    cell.dataset.order = order;
    rows.sort((a, b) => {
      const x = valueOf(a, i), y = valueOf(b, i);
      return x && y ? sign * compare(x, y) : !x - !y;
    });
    body.append(...rows);
  };
  const showCommands = key => commands.replaceChildren(
    ...box.dataset.commands.replaceAll("{key}", key).split("\\n").map(line => {
      const code = document.createElement("code");
      code.textContent = line;
      return code;
    })
  );
  Array.from(head.cells).forEach((cell, i) => cell.addEventListener("click", () => sortBy(cell, i)));
  filter.addEventListener("input", () => rows.forEach(row => {
    row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
  }));
  rows.forEach(row => row.addEventListener("click", () => {
    rows.forEach(other => other.classList.toggle("chosen", other === row));
    showCommands(row.querySelector("code").textContent);
  }));
  window.openRow = text => {
    const row = rows.find(each => text.includes(each.querySelector("code").textContent));
    const key = text.match(/\\b[0-9a-f]{12}\\b/)?.[0];
    if (row) { row.hidden = false; row.click(); row.scrollIntoView({ block: "center" }); }
    else if (key) { showCommands(key); commands.scrollIntoView({ block: "center" }); }
  };
}
"""
"""Defines ``openRow``, too: it shows the row of the network that a text names, or its commands where it has no row."""


def section(run: Run) -> Markup:
    """The table; nothing before a trial has ended."""
    listed = thin.evenly(run.results, MAX_ROWS)
    if not listed:
        return Markup()
    names = [o.name for o in run.objectives]
    head = [("trial", False), ("key", True), ("status", True), *((unit.title(name), False) for name in names)]
    head += [("epochs", False), ("time", False), ("proposed by", True)]
    front = {result.trial for result in run.front.results}
    rows = [_row(run, result, names, is_on_front=result.trial in front) for result in listed]
    commands = "\n".join((*_COMMANDS, _WEIGHTS)).replace("{run}", shlex.quote(run.uri))
    about = "A click on a heading sorts. A row, or its point in a figure, gives commands; a click on one selects it."
    if len(listed) < len(run.results):
        about += f" {len(listed)} of {len(run.results)} trials are listed; results.parquet has all of them."
    return fill(
        '<div class="sortable" data-commands="{commands}"><p class="note">{about}</p>'
        '<p><input type="search" placeholder="filter" aria-label="filter"></p>{table}<pre></pre></div>',
        commands=commands,
        about=about,
        table=table.table(head, rows),
    )


def _row(run: Run, result: Result, names: list[str], *, is_on_front: bool) -> list[object]:
    values = (_sortable(result.values.get(name), unit.figure(name, result.values.get(name))) for name in names)
    status = f"{result.status}, front" if is_on_front else str(result.status)
    proposal = run.trials[result.trial].proposal
    time = _sortable(result.seconds, format_duration(result.seconds))
    return [result.trial, code(result.key), status, *values, result.epochs, time, proposal.origin]


def _sortable(value: float | None, text: str) -> Markup:
    """A figure that is sorted by what it stands for."""
    return fill('<span data-value="{value}">{text}</span>', value="" if value is None else value, text=text)
