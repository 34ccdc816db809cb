"""``irnas export``: a network as a file that runs without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.core.errors import SettingsError

if TYPE_CHECKING:
    from irnas.deploy.export.source import Source

_SUFFIXES = (".xnor", ".onnx")


def export(
    source: Annotated[str, typer.Argument(metavar="RUN|SPACE", help="A run's folder, or the name of a space.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="KEY|POINT",
            help="Of a run: a genotype's key, or 'best'. Of a space: a published name, or axis=value,...",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.xnor or FILE.onnx.")],
    size: Annotated[
        str, typer.Option("--input", metavar="CxHxW", help="Input channels; height and width stay free.")
    ] = "1x256x256",
    dataset: Annotated[
        str | None, typer.Option(help="Compare file and network on this data set.", show_default="the run's own")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Most validation images to compare on.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the random weights of a space's point.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a trained network, or a point of a space with random weights, as a .xnor or .onnx file.

    Before a file is written, file and network run on validation images; where a metric differs by more than 0.1
    points there will be no file. Without a data set, as for a point of a space, this is left out.

      irnas export runs/biisnet-20261121-101500 best -o winner.xnor

      irnas export biisnet LIT10 --input 1x256x256 -o lit10.onnx
    """
    from irnas import storage
    from irnas.cli.cost import parse_size
    from irnas.deploy.export import source as origin
    from irnas.record.ledger import Ledger

    if output.suffix not in _SUFFIXES:
        raise SettingsError(f"--output: got {str(output)!r}; must end in {' or '.join(_SUFFIXES)}")
    channels = parse_size(size)[0]
    if Ledger(source).exists():
        found = origin.from_run(source, name, dataset)
    else:
        found = origin.from_space(source, name, dataset, seed)
    content, facts = made(found, output.suffix, channels, images)
    storage.write(str(output), content)
    facts = {"file": str(output), "bytes": len(content), "name": found.origin.name, **facts}
    typer.echo(json.dumps(facts) if as_json else _sentence(facts))


def made(source: Source, suffix: str, channels: int, images: int) -> tuple[bytes, dict[str, Any]]:
    """The file of a network, compared with it, and facts about it.

    Args:
        source: the network.
        suffix: ``.xnor`` or ``.onnx``.
        channels: of its input.
        images: most validation images to compare on.

    Raises:
        ExportError: it has no such form, or one that would change a metric.
    """
    return (_xnor if suffix == ".xnor" else _onnx)(source, channels, images)


def _xnor(source: Source, channels: int, images: int) -> tuple[bytes, dict[str, Any]]:
    from dataclasses import replace

    from irnas.deploy.export import parity, write
    from irnas.runtime import format

    model, graph = write.convert(source.network, channels, source.origin)
    run, engine = parity.runner(model)
    facts: dict[str, Any] = {"ops": len(model.ops), "reference": model.reference.output_sha256}
    if source.dataset is not None:
        split = source.dataset.split("val")
        found = parity.compare(source.network, run, engine, split, source.rules, images)
        few = [split.image(i) for i in range(min(parity.SIGN_IMAGES, found.images))]
        rate = parity.sign_flip_rate(source.network, model, graph.blocks, run, engine, few)
        facts["parity"] = replace(found, sign_flip_rate=rate).document()
        model = replace(model, parity=facts["parity"])
    return format.write(model), facts


def _onnx(source: Source, channels: int, images: int) -> tuple[bytes, dict[str, Any]]:
    from irnas.deploy.export import onnx, parity

    taken = onnx.input_of(source.network, channels)
    proto = onnx.convert(source.network, taken, source.origin)
    run, engine = onnx.runner(proto)
    facts: dict[str, Any] = {"ops": len(proto.graph.node)}
    if source.dataset is not None:
        found = parity.compare(source.network, run, engine, source.dataset.split("val"), source.rules, images)
        facts["parity"] = found.document()
        onnx.annotate(proto, {"parity": json.dumps(facts["parity"], sort_keys=True)})
    return bytes(proto.SerializeToString()), facts


def _sentence(facts: dict[str, Any]) -> str:
    line = f"{facts['file']}: {facts['name']}, {facts['bytes']} bytes, {facts['ops']} ops"
    found = facts.get("parity")
    if found is None:
        return f"{line}; compared with nothing"
    moved = f"metrics by at most {found['moved_points']:.4f} points"
    signs = "" if found["sign_flip_rate"] is None else f"{found['sign_flip_rate']:.2e} of the signs and "
    return (
        f"{line}\n{found['engine']} against torch on {found['images']} images of {found['dataset']}: {signs}"
        f"{found['mask_flip_rate']:.2e} of the mask pixels differ, {moved}"
    )
