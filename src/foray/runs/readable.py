"""Decodes what runs will read before anything is trained, so that unreadable images are found at once."""

from __future__ import annotations

from collections.abc import Iterable

from foray.data import Dataset, UnreadableImagesError, decode_for_evaluation
from foray.progress import SILENT, Progress
from foray.requests import ImageSource, Machine
from foray.specs import Preprocessing


def readable(
    dataset: Dataset,
    preprocessings: Iterable[Preprocessing],
    source: ImageSource,
    machine: Machine,
    progress: Progress = SILENT,
) -> Dataset:
    """The dataset, decoded for evaluation by each of `preprocessings`, without unreadable images if `source` says so.

    Raises UnreadableImagesError, which names them, where they are not to be left out, and DataError when too few are
    left.
    """
    wanted = list(dict.fromkeys(preprocessings))
    for preprocessing in wanted:
        try:
            decode_for_evaluation(
                dataset, preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
            )
        except UnreadableImagesError as error:
            if not source.skip_unreadable:
                raise
            fewer = dataset.without(error.ids, why="unreadable")
            for note in fewer.notes[len(dataset.notes) :]:  # before anything is trained
                progress.note(f"Left out: {note}.")
            return readable(fewer, wanted, source, machine, progress)
    return dataset
