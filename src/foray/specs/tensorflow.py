"""TensorFlow's conventions: SAME padding, and the `tf_` variant of a network.

Variants share every weight shape and differ in where stride-2 windows start (SAME padding puts the odd row and column
at the bottom and right), in the batch-norm constants, and in the preprocessing their weights were trained with.
"""

from __future__ import annotations

from dataclasses import replace

from foray.specs.preprocessing import Preprocessing
from foray.specs.spec import ArchSpec, Published

TF_PREFIX = "tf_"
TF_BN_EPS = 1e-3  # every Keras application and the TensorFlow originals


def tensorflow_variant(
    spec: ArchSpec, *, bn_decay: float, preprocessing: Preprocessing, published: Published | None
) -> ArchSpec:
    """`spec` as TensorFlow defines it, named `tf_...`.

    `bn_decay`: the family's batch-norm decay in Keras (how much of the old running mean is kept); PyTorch's momentum
    is 1 - decay.
    """
    return replace(
        spec,
        name=TF_PREFIX + spec.name,
        padding="same",
        bn_eps=TF_BN_EPS,
        bn_momentum=round(1.0 - bn_decay, 6),
        resolution=preprocessing.resolution,
        preprocessing=preprocessing,
        published=published,
    )


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
