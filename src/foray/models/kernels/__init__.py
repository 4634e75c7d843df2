"""Kernels of our own for training on a CPU, compiled once on the machine that uses them."""

from foray.models.kernels.compiled import compiled_kernels, prepare_kernels

__all__ = ["compiled_kernels", "prepare_kernels"]
