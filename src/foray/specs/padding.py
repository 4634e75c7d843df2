"""TensorFlow's SAME padding."""

from __future__ import annotations


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows to add before and after `size` rows: (k - s) + (-n mod s) in all, half of it, rounded down, before.

    Args:
        size: n, rows of the input.
        kernel: k, rows of the kernel.
        stride: s.

    Returns:
        Rows before and rows after.

    >>> same_padding(224, kernel=3, stride=2), same_padding(225, kernel=3, stride=2)
    ((0, 1), (1, 1))
    """
    total = kernel - stride + -size % stride
    return total // 2, total - total // 2
