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
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the network.")],
    space: Annotated[str, typer.Option(help="Name or folder of a space of that family.")] = _FAMILY,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn official RPCANet+ weights into a network of the space rpcanet_plus.

    Stages, widths and depths are read off the file. The output holds the point of the space and its weights:
    ``irnas.models.rpcanet_plus_weights.read`` returns both, the network ready to predict, to train on or to export. The
    printed axis=value,... is that point as irnas cost takes it. Nothing in the file is executed.

      irnas import-weights NUDT_SIRST_mIoU_92.37.pkl -o nudt.pt
    """
    from irnas import storage
    from irnas.core import catalog
    from irnas.models import rpcanet_plus_weights

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
    content = rpcanet_plus_weights.write(genotype, state)
    rpcanet_plus_weights.read(content, str(output))
    storage.write(str(output), content)
    differing = {name: value for name, value in genotype.values.items() if value != parsed[name].default}
    point = ",".join(f"{name}={value}" for name, value in differing.items()) or "default"
    facts = {"file": str(output), "bytes": len(content), "key": genotype.key, "space": parsed.name, "point": point}
    typer.echo(json.dumps(facts) if as_json else f"{output}: {parsed.name} {point}, {len(content)} bytes")
