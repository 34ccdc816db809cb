"""The report of a run: one HTML page that needs no network, and the front as a PNG beside it."""

from __future__ import annotations

from pathlib import Path

from irnas import storage
from irnas.core.errors import SettingsError


def write(uri: str, out: Path | None = None, *, images: bool = True) -> tuple[Path, Path]:
    """Write the report of the run at ``uri`` and return where the page and the picture lie.

    Args:
        uri: the run.
        out: the page; ``report.html`` in the folder of the run unless told otherwise. The picture lies beside it.
        images: run the winners on validation images; needs the weights and the data set, and loads torch.

    Raises:
        SettingsError: there is no run, or ``out`` is missing for a run that is not a local folder.
        DataError: the disk is full or read-only.
    """
    if out is None and not storage.is_local(uri):
        raise SettingsError(f"report of {uri}: got no file to write; must name one for a run that is no local folder")
    out = out or storage.local(uri) / "report.html"
    picture = out.with_suffix(".png")
    if picture == out:
        raise SettingsError(f"report: got {out}; must not end in .png, which is the picture's place")
    # Plotly and the rest take their time to load, and the command line imports this package early.
    from irnas.record.run import Run
    from irnas.report import figure, page, still
    from irnas.report.published import references

    run = Run.read(uri)
    designs, absent = references(run)
    storage.write(str(out), page.html(run, designs, absent, images=images).encode())
    storage.write(str(picture), still.picture(run, figure.pairs(run), designs))
    return out, picture
