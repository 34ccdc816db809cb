"""The families that have a form in .xnor, a module each, of the name that the family has in irnas.models.

Each has ``draw(draft, network)``, which appends the ops of a network to a draft and returns the tensor of its logits.
"""
