"""How much one request may ask for. Beyond lies a slip of the keyboard that would take a machine for hours or for good.

Standard library only.
"""

from __future__ import annotations

from foray.errors import ForayError

MOST_SEEDS = 1000
MOST_RUNS = 10_000  # of one comparison or search: models times seeds
MOST_EPOCHS = 100_000
MOST_BATCH = 65_536  # images
MOST_RESOLUTION = 4096  # pixels, as in the names of scaled networks
MOST_RESIZE_SIDE = 2 * MOST_RESOLUTION  # pixels, of the short side before the crop
MOST_THREADS = 1024
MOST_WORKERS = 1024
MOST_TURNS = 1_000_000  # of a measurement
MOST_CLASSES = 1_000_000
MOST_STEPS = 20  # of a grid of directions
MOST_COEFFICIENT = 3.0  # alpha, beta, gamma: eight steps of phi make thousands of it


def require_range(option: str, value: int, least: int, most: int) -> None:
    """Raises ForayError, naming `option`, for a value below `least` or above `most`."""
    if value < least:
        raise ForayError(f"{option} must be at least {least:,}, not {value:,}.")
    if value > most:
        raise ForayError(f"{option} must be at most {most:,}, not {value:,}.")


def require_runs(models: int, seeds: int) -> None:
    """Raises ForayError for more seeds, or runs of all models together, than one request may ask for."""
    require_range("--seeds", seeds, 1, MOST_SEEDS)
    if models * seeds > MOST_RUNS:
        raise ForayError(
            f"{models:,} models with {seeds:,} seeds are {models * seeds:,} runs; one request may ask for "
            f"{MOST_RUNS:,}. Give fewer models or fewer --seeds."
        )
