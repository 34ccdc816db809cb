"""``irnas import-weights``: a network that others trained, as a file of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from irnas.core.errors import DataError, FormatError, IrnasError, SettingsError

_FAMILY = "rpcanet_plus"


def import_weights(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A state dict that torch saved, as the authors of RPCANet+ published."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the network, FILE.safetensors.")],
    space: Annotated[str, typer.Option(help="Name or folder of a space of that family.")] = _FAMILY,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn official RPCANet+ weights into a network of the space rpcanet_plus.

    Stages, widths and depths are read off the file. The output holds the point of the space and its weights, as the
    weights files of a training do: export, run, bench and irnas.load take it. The printed axis=value,... is that point
    as irnas cost takes it. Nothing in the file is executed.

      irnas import-weights NUDT_SIRST_mIoU_92.37.pkl -o nudt.safetensors
    """
    from irnas import models
    from irnas.core import catalog
    from irnas.models import rpcanet_plus_weights
    from irnas.training.weights import write_weights
    from irnas.training.weights_info import SUFFIX, WeightsInfo

    if output.suffix != SUFFIX:
        raise SettingsError(f"--output: got {str(output)!r}; must end in {SUFFIX}")
    parsed = catalog.load(space)
    if parsed.family != _FAMILY:
        raise SettingsError(f"--space: got a space of the family {parsed.family!r}; must be of {_FAMILY}")
    if not file.is_file():
        raise DataError(f"{file}: got no such file; must be a file of weights")
    official = rpcanet_plus_weights.parse(file.read_bytes(), str(file))
    try:
        values, state = rpcanet_plus_weights.convert_official(official)
        genotype = parsed.genotype(values)
    except IrnasError as error:
        raise FormatError(f"{file}: {error}") from None
    network = models.build(genotype)
    network.load_state_dict(state)
    origin = f"imported from the authors' file {file.name}"
    write_weights(str(output), network, WeightsInfo(genotype=genotype, origin=origin))
    differing = {name: value for name, value in genotype.values.items() if value != parsed[name].default}
    point = ",".join(f"{name}={value}" for name, value in differing.items()) or "default"
    size = output.stat().st_size
    facts = {"file": str(output), "bytes": size, "key": genotype.key, "space": parsed.name, "point": point}
    typer.echo(json.dumps(facts) if as_json else f"{output}: {parsed.name} {point}, {size} bytes")
