"""The recorded belief of an action, also as version 0.1 wrote it."""

from __future__ import annotations

import json
import math

import pytest

from irnas.search.strategy.belief import Belief

BELIEF = Belief(mean=0.5, standard_deviation=0.05, expected_improvement=0.012, seconds=90.0, options=40)
DOCUMENT_OF_0_1 = {"mean": 0.5, "spread": 0.05, "gain": 0.012, "seconds": 90.0, "options": 40}


def test_a_document_gives_back_the_belief() -> None:
    assert Belief.from_document(json.loads(json.dumps(BELIEF.document()))) == BELIEF


def test_a_belief_of_version_0_1_is_read() -> None:
    assert Belief.from_document(DOCUMENT_OF_0_1) == BELIEF
    assert Belief.in_memory({"belief": DOCUMENT_OF_0_1}) == BELIEF


@pytest.mark.parametrize("memory", [{}, {"belief": {}}, {"asked": [], "study": {}}])
def test_an_action_that_was_not_weighed_has_no_belief(memory: dict[str, object]) -> None:
    assert Belief.in_memory(memory) is None


def test_one_percent_costs_what_the_rate_says() -> None:
    assert BELIEF.seconds_per_percent == pytest.approx(90.0 / 1.2)
    hopeless = Belief.from_document({**DOCUMENT_OF_0_1, "gain": 0.0})
    assert hopeless.seconds_per_percent == math.inf
