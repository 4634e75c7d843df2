"""The names of splits in words."""

from __future__ import annotations

_SPLITS = {"out_of_fold": "train and val, out of fold", "val_crossfit": "val, cross-fitted", "settle": "new images"}


def format_split(split: str) -> str:
    """A split in words.

    >>> format_split("out_of_fold"), format_split("test")
    ('train and val, out of fold', 'test')
    """
    return _SPLITS.get(split, split)
