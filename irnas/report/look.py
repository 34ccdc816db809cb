"""Colours, fonts and the style sheet: one look for figures, pictures and the page.

Colours are told apart with any common colour blindness: the winners run through viridis from dark to light by cost,
everything else is grey, and the single accent is the vermilion of Okabe and Ito.
"""

from __future__ import annotations

from typing import Any

INK = "#1f2933"
MUTED = "#66727f"
GRID = "#e4e8ec"
DOMINATED = "#a8b2bd"
ACCENT = "#d55e00"
FONT = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

HIT, MISS, FALSE_ALARM = "#56b4e9", "#f0b400", "#e8409a"
"""Pixels of a prediction: target and found, target and not found, found and no target."""

_VIRIDIS = ("#440154", "#414487", "#2a788e", "#22a884", "#5cc561")
"""Without the yellow end, which white paper swallows."""

SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Okabe and Ito, for categories."""


def ramp(num: int) -> list[str]:
    """``num`` colours from dark to light."""
    if num < 2:
        return list(_VIRIDIS[1 : 1 + num])
    return [_between(i / (num - 1)) for i in range(num)]


def layout(**more: Any) -> dict[str, Any]:
    """The layout that every figure shares, with ``more`` on top."""
    base = {
        "template": "none",
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 70, "r": 24, "t": 20, "b": 56},
        "hoverlabel": {
            "bgcolor": "#ffffff",
            "bordercolor": DOMINATED,
            "font": {"size": 12, "color": INK},
            "align": "left",
        },
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0, "font": {"size": 12}},
        "height": 420,
    }
    return {**base, **more}


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """The axis that every figure shares, called ``title``, with ``more`` on top."""
    base = {
        "title": {"text": title, "font": {"size": 13}, "standoff": 10},
        "gridcolor": GRID,
        "linecolor": DOMINATED,
        "tickcolor": DOMINATED,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
    }
    return {**base, **more}


def _between(share: float) -> str:
    place = share * (len(_VIRIDIS) - 1)
    low = min(int(place), len(_VIRIDIS) - 2)
    a, b = _rgb(_VIRIDIS[low]), _rgb(_VIRIDIS[low + 1])
    mixed = (round(x + (y - x) * (place - low)) for x, y in zip(a, b, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


CSS = """
:root { --ink: #1f2933; --muted: #66727f; --line: #e4e8ec; --accent: #d55e00; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7f9; color: var(--ink);
  font: 15px/1.55 Inter, "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 36px 20px 60px; }
header h1 { font-size: 27px; line-height: 1.25; margin: 0 0 4px; font-weight: 650; overflow-wrap: anywhere; }
header p { margin: 0 0 20px; color: var(--muted); overflow-wrap: anywhere; }
nav { margin: 0 0 22px; font-size: 13.5px; }
nav a { color: var(--muted); margin-right: 16px; text-decoration: none; border-bottom: 1px solid #cfd6dd; }
nav a:hover { color: var(--accent); border-color: var(--accent); }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 20px 24px 22px; margin: 0 0 18px; }
h2 { font-size: 18px; margin: 0 0 4px; font-weight: 650; }
h3 { font-size: 15px; margin: 20px 0 2px; font-weight: 650; }
p { margin: 6px 0 10px; max-width: 84ch; }
.note { color: var(--muted); font-size: 13.5px; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(126px, 1fr)); gap: 10px; margin: 0 0 18px; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 11px 14px; }
.card b { display: block; font-size: 20px; font-weight: 650; font-variant-numeric: tabular-nums; }
.card span { color: var(--muted); font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: 5px 18px;
  margin: 8px 0 0; font-size: 14px; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
/* A shade at the side where there is more to be seen. */
.scroll { overflow-x: auto;
  background: linear-gradient(90deg, #fff 30%, #fff0), linear-gradient(270deg, #fff 30%, #fff0) 100% 0,
    linear-gradient(90deg, #1f293330, #1f293300), linear-gradient(270deg, #1f293330, #1f293300) 100% 0;
  background-repeat: no-repeat; background-size: 44px 100%, 44px 100%, 14px 100%, 14px 100%;
  background-attachment: local, local, scroll, scroll; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 8px 0 4px;
  min-width: 60%; }
th { text-align: right; font-weight: 600; border-bottom: 2px solid #cfd6dd; padding: 5px 12px 5px 0;
  white-space: nowrap; }
td { text-align: right; border-bottom: 1px solid var(--line); padding: 5px 12px 5px 0; white-space: nowrap; }
td.text, th.text { text-align: left; padding-left: 6px; }
td small { color: var(--muted); }
div.wrap { white-space: normal; overflow-wrap: anywhere; min-width: 40ch; }
code { font: 12.5px/1.4 "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.sortable th { cursor: pointer; position: sticky; top: 0; background: #fff; box-shadow: 0 2px #cfd6dd; }
.sortable th[data-order="up"]::after { content: " ▲"; } .sortable th[data-order="down"]::after { content: " ▼"; }
.sortable .scroll { max-height: 460px; overflow-y: auto; }
.sortable tr.chosen td { background: #fdf0e6; }
.sortable pre { font: 12.5px/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: 8px 0 0; }
.sortable pre code { display: block; user-select: all; }
.sortable input { font: inherit; padding: 3px 8px; width: 100%; max-width: 260px;
  border: 1px solid #cfd6dd; border-radius: 6px; }
.chip { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 7px; }
details summary { cursor: pointer; color: var(--muted); font-size: 14px; margin-top: 10px; }
.scene { display: flex; gap: 10px; margin: 14px 0 4px; flex-wrap: wrap; }
.cell { flex: 1 1 140px; max-width: 168px; font-size: 12.5px; color: var(--muted); }
.cell b { color: var(--ink); font-weight: 600; }
.view { position: relative; background: #000 center / 100% 100%; margin: 4px 0; line-height: 0; }
.whole { background-image: var(--whole); } .part { background-image: var(--part); }
.view img { width: 100%; display: block; }
.view i { position: absolute; border: 1.5px solid var(--accent); }
@media (max-width: 760px) {
  main { padding: 16px 10px 40px; } header h1 { font-size: 22px; } header p { margin-bottom: 12px; }
  section { padding: 14px; } dl { grid-template-columns: minmax(90px, max-content) 1fr; }
  .cards { grid-template-columns: repeat(3, 1fr); gap: 6px; } .card { padding: 7px 9px; }
  .card b { font-size: 16px; } .card span { font-size: 11.5px; line-height: 1.3; display: block; }
  nav { display: flex; overflow-x: auto; white-space: nowrap; }
}
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""
