"""Layers that networks are built from: binary convolutions, their signs and gradient estimators, per-channel layers."""

from irnas.nn.binary import BinaryConv2d, DotBinaryConv2d
from irnas.nn.block import Down, Fuse, Layer, Recipe, Up
from irnas.nn.group import parameter_groups
from irnas.nn.sign import ESTIMATORS, Sign, WeightSign, set_progress
from irnas.nn.weight import BINARIZERS, binarize

__all__ = [
    "BINARIZERS",
    "ESTIMATORS",
    "BinaryConv2d",
    "DotBinaryConv2d",
    "Down",
    "Fuse",
    "Layer",
    "Recipe",
    "Sign",
    "Up",
    "WeightSign",
    "binarize",
    "parameter_groups",
    "set_progress",
]
