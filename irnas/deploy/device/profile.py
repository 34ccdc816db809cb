"""The profile of a device: what a step costs there, and how far predictions made from it were off."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

from irnas import storage
from irnas.core.errors import FormatError, SettingsError

SCHEMA = 1
"""Raised when a field changes meaning."""

GOOD = 0.1
"""Median error, as a fraction, up to which a profile is trusted without a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far predictions were off on networks that the calibration had not seen; fractions of the measured time."""

    of: str
    """Which networks, at which size of the image."""
    count: int
    median: float
    p90: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one engine was found to need."""

    engine: str
    """``xnor`` or ``onnx``."""
    kernels: str
    """The kernel set, or the version of ONNX Runtime."""
    space: str
    """Where the networks of the calibration were drawn."""
    count: int
    """How many they were."""
    sizes: tuple[tuple[int, int], ...]
    """Heights and widths at which they ran. A step costs the same at every size, so others lie on the same lines."""
    ns: Mapping[str, float]
    """Kind of step to nanoseconds. Kinds that always occur together share their time in no particular way."""
    errors: tuple[Errors, ...]

    @property
    def median(self) -> float:
        """The median error where it is worst."""
        return max(error.median for error in self.errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One device."""

    name: str
    cpu: str
    machine: str
    """The instruction set, as ``uname -m`` says it."""
    threads: int
    clock: str
    """How time was told."""
    date: str
    code_rev: str
    """Of the irnas, and with it of the engine, that was measured."""
    tables: tuple[Table, ...]

    @property
    def revision(self) -> str:
        """12 hex digits that change with anything in the profile."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()[:12]

    def table(self, engine: str) -> Table:
        """What is known of an engine.

        Raises:
            SettingsError: nothing.
        """
        for table in self.tables:
            if table.engine == engine:
                return table
        known = ", ".join(table.engine for table in self.tables)
        more = "; irnas device profile --onnx adds it" if engine == "onnx" else ""
        raise SettingsError(f"device {self.name}: got a network for the engine {engine}; one of {known}{more}")

    def document(self) -> dict[str, Any]:
        """The profile as plain data."""
        document = {"schema": SCHEMA, **asdict(self)}
        document["tables"] = [
            {**table, "sizes": [list(size) for size in table["sizes"]], "errors": list(table["errors"])}
            for table in document["tables"]
        ]
        return document


def milliseconds(table: Table, steps: Mapping[str, float]) -> float:
    """The time of millions of steps.

    Raises:
        SettingsError: a kind of step that the calibration never saw.
    """
    for kind in steps:
        if kind not in table.ns:
            raise SettingsError(
                f"prediction: got steps of the kind {kind!r}; must be one that the profile knows "
                f"(it was made from the space {table.space}; irnas device profile --points draws more)"
            )
    # A million steps of a nanosecond are a millisecond.
    return sum(number * table.ns[kind] for kind, number in steps.items())


def save(profile: Profile, path: str) -> None:
    """Write a profile, whole or not at all.

    Raises:
        StorageError: the disk is full or read-only.
    """
    storage.write(path, (json.dumps(profile.document(), indent=2) + "\n").encode())


def load(path: str) -> Profile:
    """The profile in a file.

    Raises:
        SettingsError: there is no such file.
        FormatError: it is no profile, or one of a newer irnas.
    """
    content = storage.read(path)
    if content is None:
        raise SettingsError(f"device {path}: got no such file; must be one that irnas device profile wrote")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        _refuse(path, "text that is no JSON", "a profile")
    if not isinstance(document, dict):
        _refuse(path, f"a {type(document).__name__}", "an object")
    if type(document.get("schema")) is int and document["schema"] > SCHEMA:
        _refuse(path, f"schema {document['schema']}", f"at most {SCHEMA}, which this irnas reads")
    if document.pop("schema", None) != SCHEMA:
        _refuse(path, "no schema", f"schema {SCHEMA}")
    return _profile(document, path)


def _profile(document: dict[str, Any], path: str) -> Profile:
    _check_keys(document, Profile, path)
    for name in ("name", "cpu", "machine", "clock", "date", "code_rev"):
        _check_text(document[name], f"{path}, {name}")
    _check_count(document["threads"], f"{path}, threads")
    listed = document["tables"]
    if not isinstance(listed, list) or not listed:
        _refuse(f"{path}, tables", "none", "a list of at least one")
    tables = tuple(_table(table, f"{path}, table {number}") for number, table in enumerate(listed))
    if len({table.engine for table in tables}) < len(tables):
        _refuse(f"{path}, tables", "one engine twice", "one table for each engine")
    return Profile(**{**document, "tables": tables})


def _table(document: Any, where: str) -> Table:
    _check_keys(document, Table, where)
    for name in ("engine", "kernels", "space"):
        _check_text(document[name], f"{where}, {name}")
    _check_count(document["count"], f"{where}, count")
    sizes, ns, errors = document["sizes"], document["ns"], document["errors"]
    if not isinstance(sizes, list) or not sizes:
        _refuse(f"{where}, sizes", repr(sizes)[:60], "a list of [height, width]")
    for size in sizes:
        if not isinstance(size, list) or len(size) != 2:
            _refuse(f"{where}, sizes", repr(size)[:60], "[height, width]")
        for side in size:
            _check_count(side, f"{where}, sizes")
    if not isinstance(ns, dict) or not ns:
        _refuse(f"{where}, ns", repr(ns)[:60], "an object of numbers")
    for kind, value in ns.items():
        _check_share(value, f"{where}, ns {kind}")
    if not isinstance(errors, list) or not errors:
        _refuse(f"{where}, errors", repr(errors)[:60], "a list of at least one")
    rows = tuple(_errors(each, f"{where}, errors") for each in errors)
    return Table(**{**document, "sizes": tuple((h, w) for h, w in sizes), "errors": rows})


def _errors(document: Any, where: str) -> Errors:
    _check_keys(document, Errors, where)
    _check_text(document["of"], f"{where}, of")
    _check_count(document["count"], f"{where}, count")
    for name in ("median", "p90", "most"):
        _check_share(document[name], f"{where}, {name}")
    return Errors(**document)


def _check_keys(document: Any, kind: type[Any], where: str) -> None:
    wanted = {f.name for f in fields(kind)}
    if not isinstance(document, dict) or set(document) != wanted:
        got = ", ".join(sorted(document)) if isinstance(document, dict) else type(document).__name__
        _refuse(where, f"the fields {got}", ", ".join(sorted(wanted)))


def _check_text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        _refuse(where, repr(value)[:60], "text")


def _check_count(value: Any, where: str) -> None:
    if type(value) is not int or value < 1:
        _refuse(where, repr(value)[:60], "a whole number, at least 1")


def _check_share(value: Any, where: str) -> None:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        _refuse(where, repr(value)[:60], "a finite number, at least 0")


def _refuse(where: str, got: str, must: str) -> NoReturn:
    raise FormatError(f"device profile {where}: got {got}; must be {must}")
