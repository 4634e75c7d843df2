"""TensorFlow's SAME padding."""

from __future__ import annotations


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows to add before and after `size` rows: (k - s) + (-n mod s) in all, half of it, rounded down, before.

    Worked example: 224 rows, kernel 3, stride 2 get 0 before and 1 after, 225 rows 1 and 1.
    """
    total = kernel - stride + -size % stride
    return total // 2, total - total // 2
