"""FORAY_FULL_TESTS=1 asks for every case of what is otherwise tested on a few."""

from __future__ import annotations

import os

FULL = os.environ.get("FORAY_FULL_TESTS") == "1"
