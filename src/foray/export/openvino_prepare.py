"""foray.export.prepare as OpenVINO operators, put together rather than converted.

Converting it takes a quarter of the time of a network. What each line computes stands in prepare.py; tests hold both
against Pillow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import opset13 as op

from foray.export.prepare import FIXED_POINT, LONGEST_STRIP
from foray.specs import Interpolation, Preprocessing

Node = Any  # openvino.Node


def prepare_graph(preprocessing: Preprocessing) -> tuple[Node, Node]:
    """(uint8 images (N, H, W, 3), uint8 squares (N, R, R, 3)): a parameter and what is computed from it."""
    side = preprocessing.resolution
    images = op.parameter([-1, -1, -1, 3], np.uint8, name="images")
    size = op.shape_of(images, "i64")
    height, width = (op.gather(size, _integer(axis), _integer(0)) for axis in (1, 2))
    short = op.minimum(height, width)
    rows = _weights(height, short, preprocessing)
    columns = _weights(width, short, preprocessing)
    planes = op.convert(op.transpose(images, _integer(0, 3, 1, 2)), "f32")
    wide = _grey_levels(op.matmul(planes, columns, transpose_a=False, transpose_b=True))
    square = _grey_levels(op.matmul(rows, wide, transpose_a=False, transpose_b=False))
    squares = op.convert(op.transpose(square, _integer(0, 2, 3, 1)), "u8")
    # What follows is of a fixed size, and compiled for it.
    return images, op.reshape(squares, _integer(-1, side, side, 3), special_zero=False)


def _weights(length: Node, short: Node, preprocessing: Preprocessing) -> Node:
    """(R, L): the weights of a side of `length` pixels."""
    cut = op.minimum(length, op.multiply(short, _integer(LONGEST_STRIP)))
    resized = _resized(cut, short, preprocessing)
    first = _rounded_half_to_even(op.subtract(resized, _integer(preprocessing.resolution)), _integer(2))
    before = op.divide(op.subtract(length, cut), _integer(2))
    x = op.subtract(op.range(_integer(0), length, _integer(1), "i64"), before)
    j = op.add(op.constant(np.arange(preprocessing.resolution, dtype=np.int64)[:, None]), first)
    distance = op.subtract(op.multiply(_odd(x), resized), op.multiply(_odd(j), cut))
    unit = op.multiply(op.maximum(cut, resized), _integer(2))
    t = op.divide(op.convert(op.abs(distance), "f32"), op.convert(unit, "f32"))
    kept = op.logical_and(op.greater_equal(x, _integer(0)), op.less(x, cut))
    weights = op.multiply(_filter(t, preprocessing.interpolation), op.convert(kept, "f32"))
    weights = op.divide(weights, op.reduce_sum(weights, _integer(1), keep_dims=True))
    fixed_point = _number(FIXED_POINT)
    return op.divide(op.floor(op.add(op.multiply(weights, fixed_point), _number(0.5))), fixed_point)


def _resized(cut: Node, short: Node, preprocessing: Preprocessing) -> Node:
    side = _integer(preprocessing.resize_side)
    match preprocessing.resize:
        case "cut":
            return op.divide(op.multiply(cut, side), short)
        case "rounded":
            return _rounded_half_to_even(op.multiply(cut, side), short)
        case "squashed":
            return side


def _filter(t: Node, interpolation: Interpolation) -> Node:
    if interpolation == "bilinear":
        return op.relu(op.subtract(_number(1), t))
    inside = op.subtract(op.multiply(t, _number(1.5)), _number(2.5))
    inside = op.add(op.multiply(op.multiply(inside, t), t), _number(1))
    outside = op.subtract(_number(2.5), op.multiply(t, _number(0.5)))
    outside = op.subtract(op.multiply(outside, t), _number(4))
    outside = op.add(op.multiply(outside, t), _number(2))
    outside = op.select(op.less(t, _number(2)), outside, _number(0))
    return op.select(op.less(t, _number(1)), inside, outside)


def _rounded_half_to_even(dividend: Node, divisor: Node) -> Node:
    floor = op.divide(dividend, divisor)
    twice_the_rest = op.multiply(op.subtract(dividend, op.multiply(floor, divisor)), _integer(2))
    is_odd = op.equal(op.mod(floor, _integer(2)), _integer(1))
    is_tie = op.logical_and(op.equal(twice_the_rest, divisor), is_odd)
    is_up = op.logical_or(op.greater(twice_the_rest, divisor), is_tie)
    return op.add(floor, op.convert(is_up, "i64"))


def _odd(n: Node) -> Node:
    return op.add(op.multiply(n, _integer(2)), _integer(1))


def _grey_levels(sums: Node) -> Node:
    return op.clamp(op.floor(op.add(sums, _number(0.5))), 0.0, 255.0)


def _integer(*values: int) -> Node:
    """A scalar, or (n,)."""
    return op.constant(np.array(values if len(values) > 1 else values[0], dtype=np.int64))


def _number(value: float) -> Node:
    return op.constant(np.float32(value))
