"""A search space as data: parameters with finite values, single-parent conditions, and the points in it.

Two kinds of values are declared for each parameter. ``values`` is everything a network can be built with, so that each
published design is a member; ``search`` is the part that a search varies unless it is told otherwise. Without that
split a space wide enough to hold every paper would bury a sampler in axes that nobody wants to vary.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from irnas.core.errors import SpaceError
from irnas.core.text import did_you_mean

Value = str | int | float | bool
When = tuple[str, tuple[Value, ...]]

MEMBER = "space"
"""The axis of a union of spaces (irnas/core/union.py) that says which of them a point belongs to."""


def _digest(document: object) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_among(value: object, values: tuple[Value, ...]) -> bool:
    # bool is an int in Python: True must not pass for 1.
    return any(type(value) is type(v) and value == v for v in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One axis of a space: its values, its default, and the condition under which it exists."""

    name: str
    values: tuple[Value, ...]
    default: Value
    search: tuple[Value, ...]
    """The values a search varies; a single one means the axis is held."""
    when: When | None = None
    """(earlier parameter, its values): this parameter exists only there."""
    about: str = ""

    def __post_init__(self) -> None:
        where = f"parameter {self.name!r}"
        if not all(part.isidentifier() for part in self.name.split(".")):
            raise SpaceError(f"{where}: got a name that is no identifier; must be one")
        if not self.values:
            raise SpaceError(f"{where}: got no values; must have at least one")
        if len({type(v) for v in self.values}) > 1:
            raise SpaceError(f"{where}: got values of mixed types {self.values}; must be of one type")
        if not isinstance(self.values[0], (str, int, float, bool)):
            raise SpaceError(f"{where}: got a {type(self.values[0]).__name__}; must be text, number or bool")
        if len(set(self.values)) != len(self.values):
            raise SpaceError(f"{where}: got duplicates in {self.values}; must be distinct")
        if not self.search:
            raise SpaceError(f"{where}: got an empty search list; must name at least one value")
        for value in (self.default, *self.search):
            if not _is_among(value, self.values):
                raise SpaceError(f"{where}: got {value!r}; one of {', '.join(map(str, self.values))}")

    def document(self) -> dict[str, Any]:
        """The parameter as plain data, as it stands in space.yaml."""
        document: dict[str, Any] = {"name": self.name, "values": list(self.values), "default": self.default}
        document["search"] = list(self.search)
        if self.when:
            document["when"] = {self.when[0]: list(self.when[1])}
        if self.about:
            document["about"] = self.about
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Genotype:
    """One point of a space. ``values`` holds the active parameters only; build it with ``Space.genotype``."""

    space: str
    family: str
    fingerprint: str
    values: Mapping[str, Value]
    key: str = field(init=False)

    def __post_init__(self) -> None:
        # The key names the point, not the space's wording: it stays when an axis gains a value.
        object.__setattr__(self, "key", _digest({"space": self.space, "values": dict(self.values)})[:12])

    def document(self) -> dict[str, Any]:
        """The genotype as plain data."""
        return {
            "space": self.space,
            "family": self.family,
            "fingerprint": self.fingerprint,
            "values": dict(self.values),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Genotype:
        """The inverse of ``document``."""
        return cls(**{k: document[k] for k in ("space", "family", "fingerprint", "values")})

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A finite, declared set of buildable networks of one family, or of each of its members' families."""

    name: str
    family: str
    params: tuple[Param, ...]
    members: tuple[Space, ...] = ()
    """The spaces that this one unites, if any; see irnas/core/union.py."""
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        seen: dict[str, Param] = {}
        for param in self.params:
            where = f"space {self.name}, parameter {param.name!r}"
            if param.name in seen:
                raise SpaceError(f"{where}: got the name twice; must be unique")
            if param.when:
                parent, wanted = param.when
                if parent not in seen:
                    raise SpaceError(f"{where}: got a condition on {parent!r}; must be an earlier parameter")
                for value in wanted:
                    if not _is_among(value, seen[parent].values):
                        raise SpaceError(f"{where}: got a condition {parent}={value!r}; must be one of its values")
            seen[param.name] = param
        axes = [{k: v for k, v in p.document().items() if k not in ("about", "search")} for p in self.params]
        document = {"name": self.name, "family": self.family, "params": axes}
        object.__setattr__(self, "fingerprint", _digest(document))

    def __getitem__(self, name: str) -> Param:
        for param in self.params:
            if param.name == name:
                return param
        names = [param.name for param in self.params]
        hint = did_you_mean(name, names)
        raise SpaceError(f"space {self.name}: got parameter {name!r}; one of {', '.join(names)}{hint}")

    def genotype(self, values: Mapping[str, Value]) -> Genotype:
        """The point with exactly these active values.

        Raises:
            SpaceError: a missing, inactive or unknown parameter, or a value outside its list.
        """
        active: dict[str, Value] = {}
        for param in self.params:
            if not is_active(param, active):
                continue
            if param.name not in values:
                raise SpaceError(f"{self.name}.{param.name}: got nothing; one of {', '.join(map(str, param.values))}")
            value = values[param.name]
            if not _is_among(value, param.values):
                raise SpaceError(f"{self.name}.{param.name}: got {value!r}; one of {', '.join(map(str, param.values))}")
            active[param.name] = value
        for name in values:
            if name not in active:
                reason = f"it exists only where {self[name].when}"
                raise SpaceError(f"{self.name}.{name}: got {values[name]!r}; must be left out here ({reason})")
        for member in self.members:
            if member.name == active[MEMBER]:
                start = f"{member.name}."
                return member.genotype({n.removeprefix(start): v for n, v in active.items() if n.startswith(start)})
        return Genotype(space=self.name, family=self.family, fingerprint=self.fingerprint, values=active)

    def values_of(self, genotype: Genotype) -> Mapping[str, Value]:
        """The active values of a point under the names of this space's parameters: the inverse of ``genotype``."""
        if not self.members:
            return genotype.values
        return {MEMBER: genotype.space, **{f"{genotype.space}.{n}": v for n, v in genotype.values.items()}}

    def complete(self, values: Mapping[str, Value]) -> Genotype:
        """The point with these values and the default everywhere else."""
        active: dict[str, Value] = {}
        for param in self.params:
            if is_active(param, active):
                active[param.name] = values.get(param.name, param.default)
        return self.genotype({**active, **values})

    def restrict(self, choices: Mapping[str, tuple[Value, ...]]) -> Space:
        """The same space with fewer values, ``{axis: values}``; a default that falls out gives way to the first."""
        params = []
        for name in choices:
            self[name]
        for param in self.params:
            values = choices.get(param.name, param.values)
            for value in values:
                if not _is_among(value, param.values):
                    known = ", ".join(map(str, param.values))
                    raise SpaceError(f"{self.name}.{param.name}: got {value!r}; one of {known}")
            default = param.default if _is_among(param.default, values) else values[0]
            when = param.when
            if when:
                kept = tuple(v for v in when[1] if _is_among(v, choices.get(when[0], self[when[0]].values)))
                if not kept:
                    continue
                when = (when[0], kept)
            params.append(replace(param, values=values, default=default, search=values, when=when))
        # A child of a parameter that fell out falls out with it.
        names = {p.name for p in params}
        while any(p.when and p.when[0] not in names for p in params):
            params = [p for p in params if not p.when or p.when[0] in names]
            names = {p.name for p in params}
        return replace(self, params=tuple(params))

    def focus(self, choices: Mapping[str, tuple[Value, ...]] | None = None) -> Space:
        """What a search explores: each axis's ``search`` values, with ``choices`` instead where given."""
        for name in choices or {}:
            self[name]
        return self.restrict({**{p.name: p.search for p in self.params}, **(choices or {})})

    def default(self) -> Genotype:
        """The point with every default."""
        return self.complete({})

    def sample(self, rng: random.Random) -> Genotype:
        """A point with each active parameter drawn evenly from its values."""
        active: dict[str, Value] = {}
        for param in self.params:
            if is_active(param, active):
                active[param.name] = rng.choice(param.values)
        return self.genotype(active)

    def count(self) -> int:
        """The number of points."""

        def count_of(param: Param) -> int:
            children = [p for p in self.params if p.when and p.when[0] == param.name]
            return sum(
                math.prod(count_of(c) for c in children if c.when and _is_among(value, c.when[1]))
                for value in param.values
            )

        return math.prod(count_of(p) for p in self.params if p.when is None)

    def points(self) -> Iterator[Genotype]:
        """Every point, in the order of the declaration. There can be very many: see ``count``."""

        def extend(active: dict[str, Value], rest: tuple[Param, ...]) -> Iterator[dict[str, Value]]:
            if not rest:
                yield active
                return
            head, tail = rest[0], rest[1:]
            if not is_active(head, active):
                yield from extend(active, tail)
                return
            for value in head.values:
                yield from extend({**active, head.name: value}, tail)

        for values in extend({}, self.params):
            yield self.genotype(values)

    def document(self) -> dict[str, Any]:
        """The space as plain data, as it stands in space.yaml."""
        document = {"name": self.name, "family": self.family, "params": [p.document() for p in self.params]}
        return {**document, "members": [m.document() for m in self.members]} if self.members else document

    @classmethod
    def from_document(cls, document: object) -> Space:
        """A space from parsed YAML or JSON.

        Raises:
            SpaceError: a missing or unknown field, or anything that ``Param`` and ``Space`` refuse.
        """
        fields = _fields(document, "space", required=("name", "family", "params"), optional=("about", "members"))
        if not isinstance(fields["params"], list):
            raise SpaceError(
                f"space {fields['name']}: got params of type {type(fields['params']).__name__}; must be a list"
            )
        params = tuple(_param(p) for p in fields["params"])
        members = tuple(cls.from_document(m) for m in fields.get("members", ()))
        return cls(name=str(fields["name"]), family=str(fields["family"]), params=params, members=members)


def is_active(param: Param, active: Mapping[str, Value]) -> bool:
    """Whether a parameter exists beside these values of the earlier ones."""
    if param.when is None:
        return True
    parent, wanted = param.when
    return parent in active and _is_among(active[parent], wanted)


def _param(document: object) -> Param:
    fields = _fields(
        document, "parameter", required=("name", "values"), optional=("default", "search", "when", "about")
    )
    where = f"parameter {fields['name']!r}"
    values = _values(fields["values"], where)
    default: Any = fields.get("default", values[0] if values else None)
    when = None
    if "when" in fields:
        if not isinstance(fields["when"], dict) or len(fields["when"]) != 1:
            raise SpaceError(f"{where}: got when: {fields['when']!r}; must be one {{parameter: [values]}}")
        ((parent, wanted),) = fields["when"].items()
        when = (str(parent), _values(wanted, where))
    search = _values(fields["search"], where) if "search" in fields else (default,)
    return Param(
        name=str(fields["name"]),
        values=values,
        default=default,
        search=search,
        when=when,
        about=str(fields.get("about", "")),
    )


def _values(document: object, where: str) -> tuple[Any, ...]:
    if not isinstance(document, list):
        raise SpaceError(f"{where}: got {document!r}; must be a list of values")
    return tuple(document)


def _fields(document: object, what: str, *, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SpaceError(f"{what}: got {type(document).__name__}; must be a mapping")
    for name in required:
        if name not in document:
            raise SpaceError(f"{what} {document.get('name', '')!r}: got no field {name!r}; must have it")
    for name in document:
        if name not in (*required, *optional):
            known = ", ".join((*required, *optional))
            raise SpaceError(f"{what} {document.get('name', '')!r}: got unknown field {name!r}; one of {known}")
    return dict(document)
