"""How fast a network runs, before anybody trains it: measured on this machine, or predicted for one that is not here.

A profile (``profile``) is one machine's time for each kind of step that an engine takes (``work``, ``layer``), fitted
on networks drawn from a space and checked on others. Random weights run as fast as trained ones. A network runs on
the engine of irnas.runtime where it can be lowered to .xnor, else on ONNX Runtime.
"""
