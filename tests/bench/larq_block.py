"""Larq Compute Engine's x86 kernels against the engine, on one chain of binary blocks, in turns in one process.

    python -m venv larq && larq/bin/pip install -r <(echo larq-compute-engine==0.16.0 larq==0.14.0 \
        tensorflow-cpu==2.16.2 tf-keras==2.16.0 | tr ' ' '\\n')
    larq/bin/python tests/bench/larq_block.py [--channels 16,32] [--size 256] [--seconds 20]

These versions need NumPy 1 and so an environment of their own; of irnas the script uses irnas.runtime alone, from this
checkout. A block is: sign, 3x3 binary convolution with zero padding, a scale and a bias for each filter, PReLU,
residual, affine map, PReLU. Both engines get the same weights and the same map of random floats; the stem makes C
channels of it and the head one number for each pixel. What these cost is timed too and subtracted. Printed: CPU
milliseconds of a block, minimum and median, ratios, and how far the results are apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).parents[2]))

# Only now: TensorFlow reads these when it is imported.
import larq as lq
import larq_compute_engine as lce
import numpy as np
import tf_keras as keras
from larq_compute_engine.tflite.python.interpreter import Interpreter

from irnas import runtime
from irnas.runtime import format
from irnas.runtime.graph import Op

BLOCKS = 4


def draw_weights(channels: int, blocks: int) -> dict[str, Any]:
    """Random weights of stem, blocks and head."""
    rng = np.random.default_rng(channels)

    def uniform(low: float, high: float, *shape: int) -> Any:
        return rng.uniform(low, high, shape).astype(np.float32)

    drawn: dict[str, Any] = {"stem": uniform(-1, 1, 1, 1, 1, channels), "head": uniform(-1, 1, 1, 1, channels, 1)}
    drawn["blocks"] = [
        {
            "signs": rng.choice([-1.0, 1.0], (3, 3, channels, channels)).astype(np.float32),
            "scale": uniform(0.02, 0.06, channels),
            "bias": uniform(-0.2, 0.2, channels),
            "lo": uniform(0.1, 0.4, channels),
            "a": uniform(0.7, 1.3, channels),
            "b": uniform(-0.2, 0.2, channels),
            "post_lo": uniform(0.1, 0.4, channels),
        }
        for _ in range(blocks)
    ]
    return drawn


def load_ours(drawn: dict[str, Any], channels: int) -> runtime.Model:
    """The engine with the chain loaded."""
    ops = [_conv(0, drawn["stem"])]
    for number, block in enumerate(drawn["blocks"]):
        bits = np.packbits(np.moveaxis(block["signs"], -1, 0) < 0, axis=-1, bitorder="little")
        ones = np.ones(channels, np.float32)
        constants = {
            "bits": bits,
            "scale": block["scale"],
            "bias": block["bias"],
            "lo": block["lo"],
            "hi": ones,
            "post_a": block["a"],
            "post_b": block["b"],
            "post_lo": block["post_lo"],
            "post_hi": ones,
        }
        window = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0, "residual": "after", "channels": channels}
        ops.append(Op(kind="binary_block", inputs=(number + 1, number + 1), attributes=window, constants=constants))
    ops.append(_conv(len(ops), drawn["head"]))
    ops.append(Op(kind="sigmoid", inputs=(len(ops),)))
    no_run = format.Reference(height=8, width=8, seed=0, input_sha256="0" * 64, output_sha256="0" * 64)
    accepted = format.Input(channels=1, multiple=1, pad=1)
    return runtime.Model(format.write(format.Model(input=accepted, ops=tuple(ops), reference=no_run)))


def _conv(source: int, weight_kkio: Any) -> Op:
    window = {"kernel": 1, "stride": 1, "groups": 1, "pad": 0}
    constants = {"weight": np.ascontiguousarray(np.moveaxis(weight_kkio, -1, 0))}
    return Op(kind="conv", inputs=(source,), attributes=window, constants=constants)


def convert_theirs(drawn: dict[str, Any], channels: int, size: int) -> bytes:
    """The chain as a file of Larq Compute Engine."""
    pixels = keras.Input((size, size, 1), batch_size=1)
    layers = [(keras.layers.Conv2D(channels, 1, use_bias=False), [drawn["stem"]])]
    x = layers[0][0](pixels)
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)

    def then(layer: Any, values: list[Any], x: Any) -> Any:
        y = layer(x)
        layers.append((layer, values))
        return y

    for block in drawn["blocks"]:
        conv = lq.layers.QuantConv2D(
            channels,
            3,
            padding="same",
            pad_values=0.0,
            use_bias=False,
            input_quantizer="ste_sign",
            kernel_quantizer="ste_sign",
            kernel_constraint="weight_clip",
        )
        y = then(conv, [block["signs"]], x)
        norm = keras.layers.BatchNormalization(epsilon=0.0)
        y = then(norm, [block["scale"], block["bias"], zero, one], y)
        y = then(keras.layers.PReLU(shared_axes=[1, 2]), [block["lo"][None, None]], y)
        y = keras.layers.add([y, x])
        norm = keras.layers.BatchNormalization(epsilon=0.0)
        y = then(norm, [block["a"], block["b"], zero, one], y)
        x = then(keras.layers.PReLU(shared_axes=[1, 2]), [block["post_lo"][None, None]], y)
    x = then(keras.layers.Conv2D(1, 1, use_bias=False), [drawn["head"]], x)
    model = keras.Model(pixels, keras.layers.Activation("sigmoid")(x))
    for layer, values in layers:
        layer.set_weights(values)
    content: bytes = lce.convert_keras_model(model)
    return content


def compete(channels: int, size: int, seconds: float) -> None:
    """Print the rows of one width."""
    image = np.random.default_rng(0).standard_normal((1, size, size)).astype(np.float32)
    runs: dict[str, list[Any]] = {}
    for blocks in (BLOCKS, 0):
        drawn = draw_weights(channels, blocks)
        engine, content = load_ours(drawn, channels), convert_theirs(drawn, channels, size)
        runs.setdefault("xnor", []).append(lambda engine=engine: engine.run(image)[0])
        for name, options in (
            ("larq indirect bgemm", {"use_indirect_bgemm": True}),
            ("larq bgemm", {}),
            ("larq indirect bgemm, XNNPACK", {"use_indirect_bgemm": True, "use_xnnpack": True}),
        ):
            other = Interpreter(content, num_threads=1, **options)
            x = image[..., None]
            runs.setdefault(name, []).append(lambda other=other, x=x: other.predict(x)[0, ..., 0])
    wanted = runs["xnor"][0]()
    times: dict[str, list[list[float]]] = {name: [[], []] for name in runs}
    end = time.monotonic() + seconds
    while len(times["xnor"][0]) < 3 or time.monotonic() < end:
        for name, pair in runs.items():
            for run, kept in zip(pair, times[name], strict=True):
                start = time.process_time_ns()
                run()
                kept.append((time.process_time_ns() - start) / 1e6)
    base = [(of(times["xnor"][0]) - of(times["xnor"][1])) / BLOCKS for of in (min, median)]
    for name, pair in runs.items():
        got = pair[0]()
        apart, same = np.abs(got - wanted).max(), ((got > 0.5) == (wanted > 0.5)).mean()
        low, middle = ((of(times[name][0]) - of(times[name][1])) / BLOCKS for of in (min, median))
        print(
            f"C={channels} {size}x{size} {name:30} {low:9.3f} {middle:9.3f} ms  x {low / base[0]:6.1f} "
            f"{middle / base[1]:6.1f}  max diff {apart:.1g}, mask {same:.2%}",
            flush=True,
        )


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description="Larq Compute Engine against the XNOR engine, block by block.")
    parser.add_argument("--channels", default="16,32")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=20, help="for each width")
    options = parser.parse_args()
    for channels in options.channels.split(","):
        compete(int(channels), options.size, options.seconds)


if __name__ == "__main__":
    main()
