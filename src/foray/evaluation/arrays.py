"""Arrays that are read back from a file: all that were asked for, or a clear error, whatever the file holds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class DamagedArraysError(ValueError):
    """The content is no archive of the arrays that were asked for."""


def read_arrays(content: bytes, names: Sequence[str]) -> dict[str, Array]:
    """The arrays `names` of a .npz file's content. Raises DamagedArraysError; nothing is ever unpickled."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: np.asarray(stored[name]) for name in names}
    except Exception as error:  # any error of unzipping, parsing headers or allocating arrays
        raise DamagedArraysError(f"{type(error).__name__}: {error}") from error


def read_array(path: Path) -> Array:
    """The array of a .npy file. Raises DamagedArraysError; nothing is ever unpickled."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except Exception as error:  # as above
        raise DamagedArraysError(f"{type(error).__name__}: {error}") from error
