"""``irnas export``: a network as a file that runs without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.core.errors import SettingsError

if TYPE_CHECKING:
    from irnas.deploy.export.convert import OnnxForm
    from irnas.deploy.export.source import Source

_MOST_IMAGES = 1024


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SPACE|FILE",
            help="A run's folder, the name of a space, zoo:NAME, or FILE.safetensors: a file of weights.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.xnor or FILE.onnx.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="KEY|POINT",
            help="Of a run: best, knee, a network's key or its beginning, or a trial's number. Of a space: a published "
            "name, or axis=value,... Of a file: nothing.",
            show_default=False,
        ),
    ] = "",
    size: Annotated[
        str, typer.Option("--input", metavar="CxHxW", help="Input channels; height and width stay free.")
    ] = "1x256x256",
    dataset: Annotated[
        str | None, typer.Option(help="Compare file and network on this data set.", show_default="the run's own")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Most validation images to compare on.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the random weights of a space's point.")] = 0,
    opset: Annotated[
        int | None, typer.Option(metavar="N", help="Of a .onnx file: opset, 17 or later.", show_default="torch's own")
    ] = None,
    batch: Annotated[str, typer.Option(metavar="N|dynamic", help="Of a .onnx file: images of a call.")] = "1",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a trained network, a file of weights, or a point of a space with random weights, as a .xnor or .onnx file.

    Before a file is written, file and network run on validation images; where a metric differs by more than 0.1
    points there will be no file. Without a data set, as for a point of a space, this is left out. The threshold that
    belongs to the network goes into the file.

      irnas export runs/biisnet-20261121-101500 best -o winner.xnor

      irnas export biisnet LIT10 --input 1x256x256 -o lit10.onnx

      irnas export biisnet LIT10 -o lit10.onnx --opset 17 --batch dynamic

      irnas import-weights NUDT.pkl -o nudt.safetensors; irnas export nudt.safetensors -o nudt.onnx
    """
    from irnas import storage
    from irnas.cli.console import working
    from irnas.cli.options import parse_size
    from irnas.core import zoo
    from irnas.deploy.export import source as sources
    from irnas.deploy.export.convert import SUFFIXES, convert
    from irnas.record.ledger import Ledger
    from irnas.training import weights_info

    if output.suffix not in SUFFIXES:
        raise SettingsError(f"--output: got {str(output)!r}; must end in {' or '.join(SUFFIXES)}")
    channels = parse_size(size)[0]
    form = _onnx_form(opset, batch, output.suffix)
    source = zoo.resolve(source, *weights_info.SUFFIXES)
    if source.endswith(weights_info.SUFFIXES):
        if name:
            raise SettingsError(f"name: got {name!r} with a file of weights; must be left out")
        chosen = sources.from_weights(source, dataset)
    elif not name:
        raise SettingsError("name: got nothing; must be a network of the run (best, a key), or a point of the space")
    elif Ledger(source).exists():
        chosen = sources.from_run(source, name, dataset)
    else:
        chosen = sources.from_space(source, name, dataset, seed)
    with working("writing the network, and comparing it with torch"):
        exported = convert(chosen, output.suffix, channels, images, form)
    storage.write(str(output), exported.content)
    if not chosen.is_range_known:
        message = "the data set it was trained on is not there: the file does not say how to read more than 8 bits"
        typer.echo(f"warning: {message}", err=True)
    facts = {
        "file": str(output),
        "bytes": len(exported.content),
        "name": chosen.origin.name,
        **({} if (counts := chosen.origin.counts) is None else {"counts": [counts.low, counts.high]}),
        **_threshold(chosen),
        **exported.document(),
    }
    typer.echo(json.dumps(facts) if as_json else _sentence(facts))


def _onnx_form(opset: int | None, batch: str, suffix: str) -> OnnxForm:
    """What --opset and --batch ask for."""
    from irnas.deploy.export.convert import OnnxForm
    from irnas.deploy.export.onnx import LEAST_OPSET

    if suffix != ".onnx" and (opset is not None or batch != "1"):
        option = "--batch" if opset is None else "--opset"
        raise SettingsError(f"{option}: got one with a {suffix} file; must be left out but with .onnx")
    if opset is not None and opset < LEAST_OPSET:
        raise SettingsError(f"--opset: got {opset}; must be {LEAST_OPSET} or later")
    if batch == "dynamic":
        return OnnxForm(opset=opset, batch=None)
    if not batch.isdecimal() or not 1 <= int(batch) <= _MOST_IMAGES:
        raise SettingsError(f"--batch: got {batch!r}; must be 1..{_MOST_IMAGES}, or dynamic")
    return OnnxForm(opset=opset, batch=int(batch))


def _threshold(chosen: Source) -> dict[str, Any]:
    """The threshold of a trained network, and the mIoU that chose it beside that of 0.5."""
    info = chosen.info
    if info is None:
        return {}
    known = {"miou_at_threshold": info.miou_at_threshold, "miou_at_half": info.miou_at_half}
    return {"threshold": info.threshold, **{name: value for name, value in known.items() if value is not None}}


def _sentence(facts: dict[str, Any]) -> str:
    line = f"{facts['file']}: {facts['name']}, {facts['bytes']} bytes, {facts['ops']} ops"
    if counts := facts.get("counts"):
        line += f", counts {counts[0]:.10g}..{counts[1]:.10g} become 0..255"
    if "miou_at_threshold" in facts:
        line += (
            f"\nthreshold {facts['threshold']:g}, chosen on validation: mIoU {100 * facts['miou_at_threshold']:.2f} % "
            f"({100 * facts['miou_at_half']:.2f} % at 0.5)"
        )
    parity = facts.get("parity")
    if parity is None:
        return f"{line}; compared with nothing"
    moved = f"metrics by at most {parity['moved_points']:.4f} points"
    signs = "" if parity["sign_flip_rate"] is None else f"{parity['sign_flip_rate']:.2e} of the signs and "
    return (
        f"{line}\n{parity['engine']} against torch on {parity['images']} images of {parity['dataset']}: {signs}"
        f"{parity['mask_flip_rate']:.2e} of the mask pixels differ, {moved}"
    )
