"""Whether the networks of a front come in the same order by operations and by measured time."""

from __future__ import annotations

from itertools import combinations

from irnas.record.run import Run
from irnas.report import unit

SAME_TIME = 0.1
"""Times that differ by no more than this fraction of the shorter one are in no order."""


def describe_timing(run: Run) -> str:
    """Where the front was timed in a run whose search counted with no speed; empty where it was not."""
    timed = [run.measured[r.key] for r in run.winners if r.key in run.measured]
    if run.opened.device or not timed:
        return ""
    places = dict.fromkeys(
        f"{each.cpu or 'an unnamed processor'}, kernels {each.kernels or 'none'}, {each.threads} thread"
        for each in timed
    )
    rest = len(run.winners) - len(timed)
    without = f"; {rest} of {len(run.winners)} networks were not timed" if rest else ""
    return f"alone: timed after the search with random weights on {'; '.join(places)}{without}"


def describe_disagreement(run: Run) -> str:
    """What there is to say where networks of fewer OPs take longer than networks of more; empty where none does."""
    timed = [
        (r.values["ops"], run.measured[r.key].ms_min, r.key)
        for r in run.winners
        if r.key in run.measured and "ops" in r.values
    ]
    pairs = [(min(pair), max(pair)) for pair in combinations(timed, 2) if pair[0][0] != pair[1][0]]
    turned = [(few, many) for few, many in pairs if few[1] > (1 + SAME_TIME) * many[1]]
    if not turned:
        return ""
    few, many = max(turned, key=lambda pair: pair[0][1] / pair[1][1])
    unit_of_ops = unit.label("ops")
    sentences = [
        f"{key} takes {unit.quantity('latency_ms', ms)} with {unit.quantity('ops', ops)} {unit_of_ops}"
        for ops, ms, key in (few, many)
    ]
    pairs_in_words = f"{len(turned)} of {len(pairs)} pairs of the front"
    return f"{unit_of_ops} and time disagree on the order of {pairs_in_words}: {', '.join(sentences)}"
