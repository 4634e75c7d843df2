"""Kernels of our own for training on a CPU."""

from foray.models.kernels.library import KERNELS, address, compiled_kernels, is_recorded, number_format

__all__ = ["KERNELS", "address", "compiled_kernels", "is_recorded", "number_format"]
