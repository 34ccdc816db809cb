"""What a network costs: its operations, parameters and bytes, counted without training it.

``count`` walks a network on the meta device; ``rules`` says what each type of layer works and holds.
"""

from irnas.cost.count import Cost, LayerCost, count, price, survey
from irnas.cost.rules import Work

__all__ = ["Cost", "LayerCost", "Work", "count", "price", "survey"]
