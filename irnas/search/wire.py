"""What crosses between a search and the processes of its trials, as one JSON text."""

from __future__ import annotations

import json
from dataclasses import asdict

from irnas.core import errors
from irnas.core.errors import IrnasError
from irnas.core.result import Result
from irnas.core.settings import Budget, Recipe
from irnas.core.space import Genotype
from irnas.training.trial import Assignment, Report


class Exhausted(str):
    """Why a trial could not go on in the process in which it was."""

    __slots__ = ()


def pack(assignment: Assignment) -> str:
    """What a process is to do."""
    return json.dumps({**asdict(assignment), "genotype": assignment.genotype.document()})


def unpack(text: str) -> Assignment:
    """What ``pack`` packed."""
    found = json.loads(text)
    found["genotype"] = Genotype.from_document(found["genotype"])
    return Assignment(**{**found, "budget": Budget(**found["budget"]), "recipe": Recipe(**found["recipe"])})


def pack_found(found: Report | Result | Exhausted | IrnasError) -> str:
    """What a process has to say; an error is one that ends the search."""
    if isinstance(found, IrnasError):
        return json.dumps({"error": type(found).__name__, "text": str(found)})
    if isinstance(found, Exhausted):
        return json.dumps({"exhausted": found})
    if isinstance(found, Result):
        return json.dumps({"result": found.document()})
    return json.dumps({"epoch": found.epoch, "values": dict(found.values), "seconds": found.seconds})


def unpack_found(text: str) -> Report | Result | Exhausted:
    """What ``pack_found`` packed.

    Raises:
        IrnasError: of the class and with the text of the error that was packed.
    """
    found = json.loads(text)
    if "exhausted" in found:
        return Exhausted(found["exhausted"])
    if "error" in found:
        raise getattr(errors, found["error"])(found["text"])
    return Result.from_document(found["result"]) if "result" in found else Report(**found)
