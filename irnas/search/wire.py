"""What crosses between a search and the processes of its trials, as one JSON text."""

from __future__ import annotations

import json
from dataclasses import asdict

from irnas.core import errors, own_code
from irnas.core.errors import IrnasError
from irnas.core.heritage import Parent
from irnas.core.recipe import Budget, Recipe
from irnas.core.result import Result
from irnas.core.space import Genotype
from irnas.models import own
from irnas.training.trial import Assignment, Report


class OutOfMemory(str):
    """Says that a trial ran out of memory in its process, in the words of its error; another process may train it."""

    __slots__ = ()

    @property
    def is_of_gpu(self) -> bool:
        """Whether it was a GPU's memory."""
        return any(word in self for word in ("CUDA", "CUBLAS", "CUDNN"))


Outcome = Report | Result | OutOfMemory
"""What a trial's process says after a step."""


def encode(assignment: Assignment) -> str:
    """An assignment as text, with the code of its network where that is the user's own."""
    code = own.code_of(assignment.genotype.family)
    return json.dumps({**asdict(assignment), "genotype": assignment.genotype.document(), "code": code})


def decode(text: str) -> Assignment:
    """The assignment that ``encode`` made a text of; from now on this process may run the code that came with it."""
    document = json.loads(text)
    genotype, code = Genotype.from_document(document["genotype"]), document.pop("code")
    if code is not None:
        own_code.admit(genotype.family, code)
    return Assignment(
        **{
            **document,
            "genotype": genotype,
            "budget": Budget(**document["budget"]),
            "parent": Parent(**document["parent"]) if document["parent"] else None,
            "recipe": Recipe.from_document(document["recipe"]),
        }
    )


def encode_outcome(outcome: Outcome | IrnasError) -> str:
    """An outcome as text; an error is one that ends the search."""
    if isinstance(outcome, IrnasError):
        return json.dumps({"error": type(outcome).__name__, "text": str(outcome)})
    if isinstance(outcome, OutOfMemory):
        return json.dumps({"out_of_memory": outcome})
    if isinstance(outcome, Result):
        return json.dumps({"result": outcome.document()})
    return json.dumps({**asdict(outcome), "values": dict(outcome.values)})


def decode_outcome(text: str) -> Outcome:
    """The outcome that ``encode_outcome`` made a text of.

    Raises:
        IrnasError: the text is that of an error; what is raised has its class and its words.
    """
    document = json.loads(text)
    if "out_of_memory" in document:
        return OutOfMemory(document["out_of_memory"])
    if "error" in document:
        raise getattr(errors, document["error"])(document["text"])
    return Result.from_document(document["result"]) if "result" in document else Report(**document)
