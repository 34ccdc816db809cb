"""The network of a trial before its first step, and how long it is to be trained from there."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from irnas import models
from irnas.core import zoo
from irnas.core.errors import DataError, FormatError, SettingsError, TrainingError
from irnas.core.heritage import LEAST_SHARE, Heritage
from irnas.core.space import Genotype
from irnas.nn.inheritance import inherit
from irnas.training.assignment import Assignment
from irnas.training.weights import read_weights, weights_uri
from irnas.training.weights_info import SUFFIX


class FirstState(NamedTuple):
    """A network that is ready to be trained."""

    network: nn.Module
    assignment: Assignment
    """With the epochs that it is trained from here on."""
    heritage: Heritage | None
    """What it has from a parent; None where it has random weights, or those of a file."""
    note: str
    """What a reader of the result should know; empty for nothing."""


def make_first_state(assignment: Assignment) -> FirstState:
    """Build a trial's network with random weights of its seed, those of a file, or those of its parent.

    Where the parent's weights are gone or damaged, it starts with random ones and is trained in full, and says so.

    Raises:
        TrainingError: it was to be trained on, and its own weights are gone.
    """
    torch.manual_seed(assignment.seed)
    network = models.build(assignment.genotype)
    if assignment.starts_from:
        network.load_state_dict(read_weights(assignment.starts_from)[0].state_dict())
    parent = assignment.parent
    if parent is None:
        return FirstState(network, assignment, None, "")
    try:
        ancestor = read_weights(_uri(assignment))[0]
    except (DataError, FormatError, SettingsError) as error:
        what = "are damaged" if isinstance(error, FormatError) else "are gone"
        if assignment.epochs_before:
            raise TrainingError(f"weights of {parent}: {what}; must be there to be trained on") from None
        return FirstState(network, assignment, None, f"the weights of its parent {parent} {what}: trained from scratch")
    share = inherit(network, ancestor)
    if share >= LEAST_SHARE:
        budget = replace(assignment.budget, epochs=assignment.epochs_of_heirs)
        assignment = replace(assignment, budget=budget)
    epochs = parent.epochs + assignment.budget.epochs
    heritage = Heritage(parent=parent.key, source=parent.source, share=share, epochs=epochs)
    return FirstState(network, assignment, heritage, "")


def inherited_share(child: Genotype, parent: Genotype) -> float:
    """The share, 0..1, of its numbers that a network would have from its parent: what ``make_first_state`` will find.

    Random numbers are drawn, and torch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        return inherit(models.build(child), models.build(parent))


def _uri(assignment: Assignment) -> str:
    parent = assignment.parent
    assert parent is not None
    return zoo.resolve(parent.source, SUFFIX) if parent.source else weights_uri(assignment.uri, parent.key)
