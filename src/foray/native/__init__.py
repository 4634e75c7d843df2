"""C++ of our own, compiled once on the machine that runs it, and what surrounds it (docs/native.md)."""
