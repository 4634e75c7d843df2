"""C++ of our own, compiled once on the machine that runs it."""

from foray.compiled.library import Library

__all__ = ["Library"]
