"""How files of weights end."""

SUFFIX, OLD_SUFFIX = ".safetensors", ".pt"
SUFFIXES = (SUFFIX, OLD_SUFFIX)
"""Those of version 0.1 in .pt."""
