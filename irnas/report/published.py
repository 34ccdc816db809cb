"""What papers printed, placed beside a run.

Designs that are points of the run's own space get our count of their cost, at the input at which the run counts; only
their accuracy is taken from the paper, and only where it was measured on the run's data set. Networks of other families
keep the cost that was printed, with the input size at which it was counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from irnas.core import catalog
from irnas.core.catalog import Published
from irnas.core.errors import IrnasError
from irnas.core.objective import OBJECTIVES
from irnas.core.space import Genotype
from irnas.record.run import Run
from irnas.report.network import families_of

Price = Callable[[Genotype, tuple[int, int, int]], Mapping[str, float]]

# Two names for one data set, in papers and in what people call their folders.
_ALIASES = {"nuaasirst": "sirst", "nudt": "nudtsirst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A published design, as far as it can be set beside the run."""

    name: str
    source: str
    values: Mapping[str, float] = field(default_factory=dict)
    """Objective name to value: our costs or printed counts, and accuracies printed for the run's data set."""
    genotype: Genotype | None = None
    counted: str = ""
    """Who counted the cost, and at which input."""
    foreign: str = ""
    """The input of a printed count; empty where the cost is ours."""

    @property
    def label(self) -> str:
        """The name without what stands behind it in brackets, such as a table's number."""
        return re.sub(r"\s*\([^()]*\)$", "", self.name) or self.name


def references(run: Run, price: Price | None = None) -> tuple[list[Reference], str]:
    """The published designs of the run's space; where there are none, why, in a sentence.

    Args:
        run: the run.
        price: counts a cost; ``irnas.deploy.price`` unless told otherwise.
    """
    try:
        # Where families compete, the designs of all papers are what they are up against.
        rows = catalog.load_published(",".join(catalog.list_names()) if families_of(run) else run.settings.space)
        if rows and price is None:
            from irnas.deploy.price import price
        assert price is not None or not rows
        designs = [_reference(row, run, price) for row in rows if price is not None]
    except (IrnasError, OSError) as error:
        return [], f"The published designs of this space could not be read: {error}."
    if not designs:
        return [], "No published designs come with this space."
    return designs, ""


def matches(name: str, dataset: str) -> bool:
    """Whether a paper's name of a data set means the run's, whatever its case and punctuation."""
    return _plain(name) == _plain(dataset)


def _plain(name: str) -> str:
    plain = re.sub(r"[^0-9a-z]", "", name.lower())
    return _ALIASES.get(plain, plain)


def _reference(row: Published, run: Run, price: Price) -> Reference:
    dataset = run.opened.data.name
    printed = next((values for name, values in row.results.items() if matches(name, dataset)), {})
    accuracy = {name: float(value) for name, value in printed.items() if name in OBJECTIVES}
    name, source, wanted = row.name, row.source, run.settings.cost_input
    costs = _our_count(row.genotype, wanted, price)
    if costs:
        counted = f"our count at {size_of(wanted)}"
        return Reference(name=name, source=source, values={**costs, **accuracy}, genotype=row.genotype, counted=counted)
    printed_costs, size = _printed_count(row, wanted)
    counted = f"printed count at {size}" if size else ""
    return Reference(name=name, source=source, values={**printed_costs, **accuracy}, counted=counted, foreign=size)


def size_of(input_chw: Sequence[int]) -> str:
    """An input size as text."""
    return "x".join(map(str, input_chw))


def _our_count(genotype: Genotype | None, input_chw: tuple[int, int, int], price: Price) -> dict[str, float]:
    if genotype is None:
        return {}
    try:
        costs = price(genotype, input_chw)
    except IrnasError:
        # A design for another number of input channels; what was printed still says something.
        return {}
    return {name: float(value) for name, value in costs.items() if name in OBJECTIVES}


def _printed_count(row: Published, wanted: Sequence[int]) -> tuple[dict[str, float], str]:
    # A count at the run's own input comes first, else the one that the paper puts first.
    counts = sorted(row.counts, key=lambda c: list(c.get("input", ())) != list(wanted))
    if not counts:
        return {}, ""
    costs = {n: float(v) for n, v in counts[0].items() if n in OBJECTIVES}
    return costs, size_of(counts[0].get("input", ())) or "an unnamed size"
