"""The scripts of a page and the policy that lets no other run.

A figure stands in the page as data, which a browser never runs. Two scripts are ours: plotly, which is packed, and a
short one that unpacks it and hands it the figures. The page's policy names both by their hash, so a script that came
in with a value does not run, even where it was not escaped.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
from typing import Any

from irnas.report import trials
from irnas.report.markup import Markup, fill

_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # Plotly's own default is a button that uploads the figure.
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}

_BASE85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
"""Digits of ``base64.b85encode``, which needs less room than base64."""
_DIGITS = _BASE85.replace("<", ",")
"""Those of a page, where "<" would look like a tag."""

# No "<" in it: it stands in the page as it is, and nothing may look like the end of a script.
_LOADER = f"""{trials.SCRIPT}
const unpack = ({{ textContent: text, dataset }}) => {{
  const digit = Object.fromEntries(Array.from({json.dumps(_DIGITS)}, (character, value) => [character, value]));
  const view = new DataView(new ArrayBuffer(text.length / 5 * 4));
  for (let i = 0; text.length > i; i += 5) {{
    let value = 0;
    for (let k = i; i + 5 > k; k += 1) value = value * 85 + digit[text[k]];
    view.setUint32(i / 5 * 4, value);
  }}
  return new Uint8Array(view.buffer, 0, dataset.size);
}};
const isNarrow = 700 > window.innerWidth;
const fitNarrow = layout => {{
  layout.margin = {{ ...layout.margin, l: 48, r: 10 }};
  if (layout.legend?.orientation === "h") Object.assign(layout.legend, {{ y: -0.2, yanchor: "top" }});
}};
(async () => {{
  const note = document.getElementById("no-figures");
  if (!("DecompressionStream" in window)) return;
  const packed = unpack(document.getElementById("plotly"));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  note.hidden = true;
  for (const block of document.querySelectorAll("script.figure")) {{
    const drawing = JSON.parse(block.textContent);
    const place = block.previousElementSibling;
    if (isNarrow) fitNarrow(drawing.layout);
    await Plotly.newPlot(place, drawing.data, drawing.layout, {{...{json.dumps(_CONFIG)}, displayModeBar: !isNarrow}});
    place.on("plotly_click", event => window.openRow?.(event.points[0].hovertext ?? ""));
  }}
}})();
"""


def policy() -> str:
    """The content-security policy: nothing may be fetched or sent, and only our two scripts run.

    Plotly needs styles of its own making; pictures stand in the page.
    """
    from plotly.offline import get_plotlyjs

    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in (get_plotlyjs(), _LOADER))
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def figure(drawing: Any, name: str) -> Markup:
    """A figure of plotly as HTML: a place for it, and its data, which ``scripts`` draws there.

    Args:
        drawing: the figure.
        name: the id of the place.
    """
    # Inside a script nothing but "<" has a meaning for HTML.
    data = Markup(str(drawing.to_json()).replace("<", "\\u003c"))
    return fill(
        '<div class="scroll"><div class="plot" id="{name}"></div>'
        '<script type="application/json" class="figure">{data}</script></div>',
        name=name,
        data=data,
    )


def scripts() -> Markup:
    """Both scripts, for the end of a page, and what is shown where they cannot run."""
    text, size = _packed_plotly()
    return fill(
        '<p class="note" id="no-figures">Figures are drawn by a browser of 2023 or later that runs scripts.</p>'
        '<script type="application/gzip" id="plotly" data-size="{size}">{packed}</script><script>{loader}</script>',
        size=size,
        packed=Markup(text),
        loader=Markup(_LOADER),
    )


@functools.cache
def _packed_plotly() -> tuple[str, int]:
    """Plotly, packed, as text of whole groups of five digits, and how many bytes of what it says count."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode(), 9, mtime=0)
    return base64.b85encode(packed, pad=True).decode().replace("<", ","), len(packed)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
