"""The small U-shaped network that larger ones have as a layer (irnas.nn.rsu) as ops."""

from __future__ import annotations

from irnas.deploy.export import part
from irnas.deploy.export.draft import Draft
from irnas.nn.rsu import RSU


def add_rsu(draft: Draft, rsu: RSU, x: int) -> int:
    """Append an RSU that reads tensor ``x``; returns the tensor it writes."""
    x = part.add_parts(draft, [rsu.enter], x)
    seen = [part.add_parts(draft, [rsu.down[0]], x)]
    for down in list(rsu.down)[1:]:
        seen.append(part.add_parts(draft, [rsu.pool, down], seen[-1]))
    y = part.add_parts(draft, [rsu.bottom], seen[-1])
    for level in reversed(range(len(seen))):
        if level + 1 < len(seen):
            y = part.add_parts(draft, [rsu.enlarge], y)
        y = part.add_parts(draft, [rsu.up[level]], draft.side_by_side(y, seen[level]))
    return part.add_total(draft, (y, 1.0), (x, 1.0))
