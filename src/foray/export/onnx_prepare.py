"""foray.export.prepare as an ONNX graph, written down rather than exported.

The exporter takes as long for it as for a third of a network. What each line computes stands in prepare.py; tests hold
both against Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foray.export.prepare import FIXED_POINT, LONGEST_STRIP
from foray.specs import Interpolation, Preprocessing, Resize

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "images", "squares"
_BOOL, _INT64, _FLOAT, _UINT8 = 9, 7, 1, 2  # onnx.TensorProto


def prepare_model(preprocessing: Preprocessing, opset: int, ir_version: int) -> onnx.ModelProto:
    """uint8 `images` (N, H, W, 3) to uint8 `squares` (N, R, R, 3)."""
    import onnx.parser

    side = preprocessing.resolution
    return onnx.parser.parse_model(f"""
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
prepare (uint8[batch, height, width, 3] {INPUT}) => (uint8[batch, {side}, {side}, 3] {OUTPUT})
<int64 from_zero = {{0}}, int64 to_side = {{{side}}}, int64 step = {{1}},
 int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] three = {{3}},
 int64[1] strip = {{{LONGEST_STRIP}}}, int64[1] resize_side = {{{preprocessing.resize_side}}},
 int64[1] resolution = {{{side}}},
 float black = {{0}}, float white = {{255}}, float half = {{0.5}}, float fixed_point = {{{FIXED_POINT:.0f}}}>
{{
  size = Shape (images)
  height_long = Slice (size, one, two)
  width_long = Slice (size, two, three)
  short = Min (height_long, width_long)
  longest = Mul (short, strip)
  {_weights("rows", "height_long", preprocessing)}
  {_weights("columns", "width_long", preprocessing)}
  planes_uint8 = Transpose <perm = [0, 3, 1, 2]> (images)
  planes = Cast <to = {_FLOAT}> (planes_uint8)
  columns_turned = Transpose <perm = [1, 0]> (columns)
  wide_sums = MatMul (planes, columns_turned)
  {_grey_levels("wide", "wide_sums")}
  square_sums = MatMul (rows, wide)
  {_grey_levels("square", "square_sums")}
  square_uint8 = Cast <to = {_UINT8}> (square)
  {OUTPUT} = Transpose <perm = [0, 2, 3, 1]> (square_uint8)
}}""")


def _weights(name: str, length: str, preprocessing: Preprocessing) -> str:
    """(R, L), called `name`: the weights of a side of `length` pixels."""
    return f"""
  {name}_cut = Min ({length}, longest)
  {_resized(name, preprocessing.resize)}
  {name}_margin = Sub ({name}_resized, resolution)
  {_rounded_half_to_even(f"{name}_first", f"{name}_margin", "two")}
  {name}_to = Squeeze ({length})
  {name}_positions = Range (from_zero, {name}_to, step)
  {name}_left_out = Sub ({length}, {name}_cut)
  {name}_before = Div ({name}_left_out, two)
  {name}_x = Sub ({name}_positions, {name}_before)
  {name}_side = Range (from_zero, to_side, step)
  {name}_side_j = Add ({name}_side, {name}_first)
  {name}_j = Unsqueeze ({name}_side_j, one)
  {name}_x2 = Mul ({name}_x, two)
  {name}_x21 = Add ({name}_x2, one)
  {name}_xm = Mul ({name}_x21, {name}_resized)
  {name}_j2 = Mul ({name}_j, two)
  {name}_j21 = Add ({name}_j2, one)
  {name}_jc = Mul ({name}_j21, {name}_cut)
  {name}_difference = Sub ({name}_xm, {name}_jc)
  {name}_absolute = Abs ({name}_difference)
  {name}_dividend = Cast <to = {_FLOAT}> ({name}_absolute)
  {name}_wider = Max ({name}_cut, {name}_resized)
  {name}_unit = Mul ({name}_wider, two)
  {name}_divisor = Cast <to = {_FLOAT}> ({name}_unit)
  {name}_t = Div ({name}_dividend, {name}_divisor)
  {_FILTERS[preprocessing.interpolation].replace("NAME", name)}
  {name}_from = GreaterOrEqual ({name}_x, zero)
  {name}_until = Less ({name}_x, {name}_cut)
  {name}_is_kept = And ({name}_from, {name}_until)
  {name}_kept = Cast <to = {_FLOAT}> ({name}_is_kept)
  {name}_masked = Mul ({name}_filter, {name}_kept)
  {name}_sum = ReduceSum ({name}_masked, one)
  {name}_exact = Div ({name}_masked, {name}_sum)
  {name}_large = Mul ({name}_exact, fixed_point)
  {name}_larger = Add ({name}_large, half)
  {name}_whole = Floor ({name}_larger)
  {name} = Div ({name}_whole, fixed_point)"""


def _resized(name: str, resize: Resize) -> str:
    if resize == "squashed":
        return f"{name}_resized = Identity (resize_side)"
    scaled = f"{name}_scaled = Mul ({name}_cut, resize_side)"
    if resize == "cut":
        return f"{scaled} {name}_resized = Div ({name}_scaled, short)"
    return scaled + _rounded_half_to_even(f"{name}_resized", f"{name}_scaled", "short")


_FILTERS: dict[Interpolation, str] = {
    "bilinear": """
  NAME_1 = Constant <value_float = 1.0> ()
  NAME_slope = Sub (NAME_1, NAME_t)
  NAME_filter = Relu (NAME_slope)""",
    "bicubic": """
  NAME_1 = Constant <value_float = 1.0> ()
  NAME_1a = Constant <value_float = 1.5> ()
  NAME_2 = Constant <value_float = 2.0> ()
  NAME_2a = Constant <value_float = 2.5> ()
  NAME_4 = Constant <value_float = 4.0> ()
  NAME_in1 = Mul (NAME_t, NAME_1a)
  NAME_in2 = Sub (NAME_in1, NAME_2a)
  NAME_in3 = Mul (NAME_in2, NAME_t)
  NAME_in4 = Mul (NAME_in3, NAME_t)
  NAME_inside = Add (NAME_in4, NAME_1)
  NAME_out1 = Mul (NAME_t, half)
  NAME_out2 = Sub (NAME_2a, NAME_out1)
  NAME_out3 = Mul (NAME_out2, NAME_t)
  NAME_out4 = Sub (NAME_out3, NAME_4)
  NAME_out5 = Mul (NAME_out4, NAME_t)
  NAME_outside = Add (NAME_out5, NAME_2)
  NAME_is_inside = Less (NAME_t, NAME_1)
  NAME_is_near = Less (NAME_t, NAME_2)
  NAME_or_zero = Where (NAME_is_near, NAME_outside, black)
  NAME_filter = Where (NAME_is_inside, NAME_inside, NAME_or_zero)""",
}


def _rounded_half_to_even(name: str, dividend: str, divisor: str) -> str:
    return f"""
  {name}_floor = Div ({dividend}, {divisor})
  {name}_product = Mul ({name}_floor, {divisor})
  {name}_rest = Sub ({dividend}, {name}_product)
  {name}_twice = Add ({name}_rest, {name}_rest)
  {name}_is_above = Greater ({name}_twice, {divisor})
  {name}_is_half = Equal ({name}_twice, {divisor})
  {name}_parity = Mod ({name}_floor, two)
  {name}_is_odd = Cast <to = {_BOOL}> ({name}_parity)
  {name}_is_tie = And ({name}_is_half, {name}_is_odd)
  {name}_is_up = Or ({name}_is_above, {name}_is_tie)
  {name}_up = Cast <to = {_INT64}> ({name}_is_up)
  {name} = Add ({name}_floor, {name}_up)"""


def _grey_levels(name: str, sums: str) -> str:
    return f"""
  {name}_more = Add ({sums}, half)
  {name}_floor = Floor ({name}_more)
  {name} = Clip ({name}_floor, black, white)"""
