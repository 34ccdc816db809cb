"""Small model files for the fuzzer to begin with: every op, awkward widths, and a network of each family that lowers.

    python tests/support/fuzz_seeds.py FOLDER

Each is a few kilobytes, so that a mutation meets something that matters.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import xnor
from support.engine import block, ended, model, stem
from support.xnor_decomposition import tiny_with_decompositions
from support.xnor_file import tiny, tiny_with_threshold, tiny_with_vectors

from irnas.core import catalog
from irnas.core.space import Value
from irnas.deploy.export.write import Origin, convert
from irnas.runtime import format
from irnas.runtime.graph import Op

NETWORKS: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "contrast": ("biisnet", {"base": 4, "stages": 2, "stem_k": 1, "contrast": 4, "bn": True}),
    "rpcanet": (
        "rpcanet_plus",
        {"stages": 1, "bc": 2, "tc": 16, "merge_bc": 2, "depth_b": 1, "depth_t": 1, "depth_n": 1, "depth_m": 1},
    ),
    "unet": ("sgem_unet", {"sgem": False, "c": 4, "depth": 3, "binary": "body"}),
}
"""Family and values of each network."""


def seeds() -> dict[str, bytes]:
    """Name to content of each file; the same in every call."""
    made = {"tiny": tiny(), "threshold": tiny_with_threshold(), "vectors": tiny_with_vectors()}
    made["decompositions"] = tiny_with_decompositions()
    for channels in (3, 8, 16, 33):
        rng = np.random.default_rng(channels)
        ops = [stem(channels, channels), block(rng, 1, channels, channels), block(rng, 2, channels, channels, kernel=1)]
        ops.append(Op(kind="pool", inputs=(3,), attributes={"kind": "average"}))
        ops.append(Op(kind="upsample", inputs=(4,), attributes={"kind": "bilinear"}))
        ops.append(Op(kind="mix", inputs=(5, 3), attributes={"channels": channels, "starts": [1, 0]}, constants={}))
        made[f"rows-{channels}"] = model(ended(ops, channels), multiple=2, pad=2)
    for name, (family, values) in NETWORKS.items():
        genotype = catalog.load(family).complete(values)
        made[name], _ = convert(xnor.network(genotype), 1, Origin(name=name))
    return {name: format.write(of_file) for name, of_file in made.items()}


def write(folder: Path) -> list[Path]:
    """Writes the files into a folder, which is made where there is none, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in seeds().items():
        paths.append(folder / f"{name}.xnor")
        paths[-1].write_bytes(content)
    return paths


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
