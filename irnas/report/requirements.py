"""What a search required of its networks, and how many of them reach it."""

from __future__ import annotations

from irnas.core.requirement import violation
from irnas.record.run import Run


def describe_requirements(run: Run) -> str:
    """One sentence without an end; empty where nothing was required."""
    if not run.requirements:
        return ""
    what = ", ".join(requirement.phrase for requirement in run.requirements)
    number = sum(not violation(run.requirements, result.values) for result in run.done)
    if not run.done:
        return f"required: {what}"
    if number:
        return f"required: {what}; {number} of {len(run.done)} trained reach it, and the front is of those"
    return f"required: {what}; none of {len(run.done)} trained reaches it: shown is what misses it least"
