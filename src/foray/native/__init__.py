"""C++ of our own, compiled once on the machine that runs it."""

from foray.native.library import Library

__all__ = ["Library"]
