"""irnas: neural architecture search for infrared small-target detection."""

__version__ = "0.1.0"
