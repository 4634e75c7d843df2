"""Kernels of our own for training on a CPU, compiled once on the machine that uses them."""

from foray.models.kernels.compiled import address, compiled_kernels, is_recorded, number_format, prepare_kernels

__all__ = ["address", "compiled_kernels", "is_recorded", "number_format", "prepare_kernels"]
