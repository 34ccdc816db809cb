"""Who is timed against whom: engines with one network loaded, checked against each other before anybody runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas import runtime
from irnas.core.errors import FormatError, SettingsError
from irnas.core.file_suffix import SUFFIXES
from irnas.deploy.bench import rival
from irnas.deploy.bench import source as origin
from irnas.deploy.bench.source import BLOCK, BLOCKS, Source
from irnas.deploy.bench.subject import Run, Subject, compare, keep_memory
from irnas.record.ledger import Ledger
from irnas.runtime import format
from irnas.runtime.graph import Op

NAMES = (
    "FILE.xnor (the engine), FILE.onnx (onnxruntime), RUN:KEY, FILE.safetensors (torch), "
    f"SPACE:POINT (torch, untrained), {BLOCK}:C (the engine)"
)
LEAST_AGREEMENT = 0.99
"""A rival whose mask agrees on fewer pixels computes something else; rounding flips far fewer."""


@dataclass(slots=True, kw_only=True)
class Contest:
    """Subjects that are compared, the first of them with all others."""

    subjects: list[Subject] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)
    """Who does not run, and why: model, engine, note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for."""

    height: int
    width: int
    threads: Sequence[int]
    kernels: Sequence[str | None]
    """Kernel sets of the engine; None for the best."""
    rivals: Sequence[str] | None
    """None: every model on the engine that its name says, all in one contest."""


def make_contests(names: Sequence[str], order: Order) -> list[Contest]:
    """One contest for each model, or one of all where no rivals were asked for.

    Raises:
        SettingsError: a name that is none, a file that is not what its name says, or an engine that is missing.
    """
    keep_memory()
    separate = [_contest(name, order) for name in names]
    if order.rivals is None:
        separate = [Contest(subjects=[subject for each in separate for subject in each.subjects])]
    for each in separate:
        _check(each)
    return separate


def count_bit_macs(model: format.Model, height: int, width: int) -> float:
    """Binary multiply-adds of a model's convolutions: outputs x taps x channels of the group, taps off the map too."""
    total = 0.0
    for op, extent in zip(model.ops, model.extents[1:], strict=True):
        if op.kind == "binary_block":
            total += window_of(op) * extent.channels * (height >> extent.level) * (width >> extent.level)
    return total


def window_of(op: Op) -> int:
    """The bits that one output of a binary block compares."""
    taps: int = op.attributes["kernel"] ** 2
    return taps * int(op.attributes["channels"]) // int(op.attributes["groups"])


def _contest(name: str, order: Order) -> Contest:
    image_hw, sources = find_sources(name, order)
    contest = Contest()
    network = sources[0]
    if network.model is not None and (order.rivals is not None or name.endswith(".xnor") or len(sources) > 1):
        contest.subjects += _engines(sources, order, image_hw)
    own = ["onnxruntime"] if name.endswith(".onnx") else ["torch"] if not contest.subjects else []
    rivals = own if order.rivals is None else list(dict.fromkeys([*own, *order.rivals]))
    for engine in rivals:
        for threads in order.threads:
            try:
                contest.subjects.append(_rival(engine, sources, threads))
            except Exception as problem:  # whatever another engine fails with is its own affair
                _refuse(contest, name, engine, problem, fatal=order.rivals is None)
                break
    return contest


def find_sources(name: str, order: Order) -> tuple[npt.NDArray[np.uint8], list[Source]]:
    """An image; the network that a name stands for, and what surrounds it where only a chain of blocks is to be timed.

    Raises:
        SettingsError: the name is none.
    """
    height, width = order.height, order.width
    plain, at, size = name.partition("@")
    if at and ":" in plain:
        height, width = parse_size(size, name)
    else:
        plain = name
    image_hw = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    if name.endswith(".xnor"):
        return image_hw, [Source(name=name, image_hw=image_hw, model=_read_model(name))]
    if name.endswith(".onnx"):
        return image_hw, [Source(name=name, image_hw=image_hw, onnx=_read(name, "an .onnx file"))]
    if plain.startswith(f"{BLOCK}:"):
        return image_hw, [origin.from_block(plain, image_hw, blocks) for blocks in (BLOCKS, 0)]
    if name.endswith(SUFFIXES):
        return image_hw, [origin.from_weights(name, image_hw)]
    if ":" in plain:
        is_run = Ledger(plain.rpartition(":")[0]).exists()
        return image_hw, [(origin.from_run if is_run else origin.from_space)(plain, image_hw)]
    raise SettingsError(f"model: got {name!r}; must be one of {NAMES}")


def parse_size(text: str, where: str) -> tuple[int, int]:
    """Height and width of "HxW"."""
    height, cross, width = text.partition("x")
    if not cross or not height.isdecimal() or not width.isdecimal() or not int(height) or not int(width):
        raise SettingsError(f"{where}: got {text!r}; must be HxW, such as 256x256")
    return int(height), int(width)


def _read(name: str, wanted: str) -> bytes:
    path = Path(name)
    if path.exists() and not path.is_file():
        # A pipe would be waited for, and some devices never end.
        raise SettingsError(f"model {name}: got no regular file; must be {wanted}")
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SettingsError(f"model {name}: got {problem.strerror}; must be {wanted}") from None


def _read_model(name: str) -> format.Model:
    return format.read(_read(name, "a .xnor file"))


def _label(source: Source) -> str:
    height, width = source.image_hw.shape
    return f"{source.name}@{height}x{width}" if source.name.startswith(f"{BLOCK}:") else source.name


def _engines(sources: Sequence[Source], order: Order, image_hw: npt.NDArray[np.uint8]) -> list[Subject]:
    subjects, model = [], sources[0].model
    assert model is not None
    for kernels in order.kernels:
        for threads in order.threads:
            runs = [_engine(source, kernels, threads) for source in sources]
            subjects.append(
                Subject(
                    model=_label(sources[0]),
                    engine="xnor",
                    kernels=runs[0][1],
                    threads=threads,
                    run=runs[0][0],
                    ends=runs[1][0] if len(runs) > 1 else None,
                    blocks=BLOCKS if len(runs) > 1 else 1,
                    bit_macs=count_bit_macs(model, *image_hw.shape) / (BLOCKS if len(runs) > 1 else 1),
                )
            )
    return subjects


def _engine(source: Source, kernels: str | None, threads: int) -> tuple[Run, str]:
    assert source.model is not None
    loaded = runtime.Model(format.write(source.model), kernels=kernels)
    image_1hw, multiple = source.image_hw[None], loaded.facts.multiple
    # Other engines see the image as it is, not extended; the engine too, where it can.
    extend = any(side % multiple for side in source.image_hw.shape)
    return (lambda: loaded.run(image_1hw, threads, extend=extend)[0]), loaded.facts.kernels


def _rival(engine: str, sources: Sequence[Source], threads: int) -> Subject:
    runners = [rival.RIVALS[engine](source, threads) for source in sources]
    first = runners[0]
    return Subject(
        model=_label(sources[0]),
        engine=first.engine,
        kernels=first.kernels,
        threads=threads,
        run=first.run,
        ends=runners[1].run if len(runners) > 1 else None,
        blocks=BLOCKS if len(runners) > 1 else 1,
    )


def _refuse(contest: Contest, name: str, engine: str, problem: Exception, *, fatal: bool) -> None:
    reason = " ".join(str(problem).split())[:200]
    if isinstance(problem, ImportError):
        reason = f"got no package {problem.name}; must be installed: pip install 'irnas[bench]'"
    elif not isinstance(problem, SettingsError | FormatError):
        reason = f"got {type(problem).__name__} ({reason}); must be a model that {engine} runs"
    if fatal:
        raise SettingsError(f"model {name}: {reason}") from problem
    contest.notes.append({"model": name, "engine": engine, "note": reason})


def _check(contest: Contest) -> None:
    """Compare results, so that nobody times a wrong graph; a rival that computes something else does not run."""
    if not contest.subjects:
        return
    first, kept = contest.subjects[0], contest.subjects[:1]
    for subject in contest.subjects[1:]:
        compare(first, subject)
        same = (subject.model, subject.engine) == (first.model, first.engine)
        if same and subject.engine == "xnor" and subject.difference != 0:
            raise RuntimeError(f"{subject.model}: kernels {subject.kernels}, {subject.threads} threads: other bits")
        lossy = "int8" in subject.kernels
        if subject.model == first.model and not lossy and _is_wrong(subject):
            note = f"wrong result: the mask agrees on {subject.agreement:.1%} of the pixels"
            contest.notes.append({"model": subject.model, "engine": subject.engine, "note": note})
        else:
            kept.append(subject)
    contest.subjects = kept


def _is_wrong(subject: Subject) -> bool:
    return subject.agreement is None or subject.agreement < LEAST_AGREEMENT


def parse_rivals(text: str | None) -> list[str] | None:
    """The rivals in "NAME,NAME" or "all"."""
    if text is None:
        return None
    names = list(rival.RIVALS) if text == "all" else text.split(",")
    return [_known(name) for name in names]


def _known(name: str) -> str:
    if name not in rival.RIVALS:
        raise SettingsError(f"--rivals: got {name!r}; must be of {', '.join(rival.RIVALS)}, or all")
    return name


def parse_kernels(text: str | None) -> list[str | None]:
    """The kernel sets in "NAME,NAME" or "all"; None stands for the best."""
    if text == "all":
        return list[Any](runtime.kernels())
    return list[Any](text.split(",")) if text else [None]
