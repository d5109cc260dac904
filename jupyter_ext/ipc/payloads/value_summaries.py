"""Values in a line, as a session describes them and a notebook shows them. Standard library only.

Numbers that are not finite are the texts that `json_values` writes for them.
"""

from __future__ import annotations

from typing import Required, TypedDict


class Histogram(TypedDict):
    """How many values lie in each bin; there is one more edge than bins."""

    counts: list[int]
    edges: list[float]


class Picture(TypedDict):
    """An array as a thumbnail: `pixels` in base64, one byte a value, row by row; `of` says which part of it."""

    width: int
    height: int
    channels: int
    pixels: str
    of: str


class Extremes(TypedDict, total=False):
    """What is known of the numbers of an array: of those that are finite, and how many are not."""

    min: float
    max: float
    mean: float | str
    num_nan: int
    num_inf: int


class ArraySummary(Extremes):
    """An array or a tensor; its extremes only where it holds real numbers."""

    shape: list[int]
    dtype: str
    device: str


class TensorLook(Extremes, total=False):
    """A tensor of a module: a parameter, a gradient or an activation."""

    shape: list[int]
    dtype: str
    device: str
    norm: float | str
    histogram: Histogram | None


class LocalValue(TensorLook, total=False):
    """A name and what it stands for, in a line; of arrays also shape and extremes."""

    name: Required[str]
    type: Required[str]
    text: Required[str]
    picture: Picture | None


class Activation(TensorLook, total=False):
    """What a module gave in a step; `output` says where in it the tensor was."""

    module: Required[str]
    type: Required[str]
    output: Required[str]


class ParameterLook(TypedDict):
    """A parameter of a module and its gradient."""

    name: str
    shape: list[int]
    dtype: str
    trainable: bool
    value: TensorLook
    grad: TensorLook | None


class ParameterUpdate(TypedDict):
    """How far a step moved a parameter: the norm of the change, and its ratio to the parameter's own norm."""

    norm: float | str
    ratio: float | str | None
