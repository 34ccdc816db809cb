"""How many networks of each family the contracts look at."""

from __future__ import annotations

import os

FULL = 25
NUM_SAMPLES = int(os.environ.get("IRNAS_KIT_SAMPLES", "4"))
"""Networks drawn from what a search varies, and again from the whole space; a full run takes ``FULL`` of each."""
