"""The engine that runs exported networks with XNOR and popcount; needs NumPy and nothing else of irnas but its errors.

>>> model = irnas.runtime.load("model.xnor")
>>> masks = model.run(images) > model.facts.threshold
"""

from irnas.runtime.engine import Facts, Model, Probe, kernels, load

__all__ = ["Facts", "Model", "Probe", "kernels", "load"]
