"""FORAY_FULL_TESTS=1 asks for every case of what is otherwise tested on a few, and for what takes longest."""

from __future__ import annotations

import os

import pytest

FULL = os.environ.get("FORAY_FULL_TESTS") == "1"
full_only = pytest.mark.skipif(not FULL, reason="takes long: FORAY_FULL_TESTS=1 asks for it")
