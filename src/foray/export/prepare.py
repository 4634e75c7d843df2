"""Resize and crop inside the graph, for images of any size, with Pillow's numbers.

Pillow resizes uint8 images in two passes, along rows and then along columns, each a weighted sum of pixels that is
rounded to uint8 (Pillow, src/libImaging/Resample.c). Both are products with a matrix that depends on the size of the
image alone and of which only the rows that survive the crop are needed. Everything but the weights themselves is
computed in integers, so that runtimes without float64 find the same weights. Sums are float32 where Pillow's are fixed
point: where one lies within rounding error of a half, a pixel differs by one grey level. Pillow 13 takes the
columns first where an image shrinks by more than twice as much in height as in width: on pictures over twice as tall
as wide, a quarter of the pixels differ by one level, very few by more.

`onnx_prepare` and `openvino_prepare` write it down for their runtimes; tests/export/prepare.py has it in torch.

The resizes that runtimes bring were passed over: OpenVINO's Pillow modes took from 0.4 to 9 s of processor time for the
first image of every size, and ONNX's Resize leaves the rounding between the passes to each implementation.
"""

from __future__ import annotations

# A strip longer than this many times its short side is cut, as in foray.data.network_input.
LONGEST_STRIP = 32
FIXED_POINT = 2.0**22  # Pillow keeps weights as multiples of 1 / 2^22
