"""Upper limits of a request. Larger values are almost certainly typing errors that would occupy a machine for hours.

Standard library only.
"""

from __future__ import annotations

from foray.errors import ForayError
from foray.parsing import shortened

MOST_SEEDS = 1000
LARGEST_SEED = 2**63 - 1
MOST_RUNS = 10_000  # of one comparison or search: models times seeds
MOST_EPOCHS = 100_000
MOST_BATCH = 65_536  # images
MOST_RESOLUTION = 4096  # pixels, as in the names of scaled networks
LEAST_CROP_PCT = 1 / 32  # of the short side, in the square that is seen
MOST_RESIZE_SIDE = 32 * MOST_RESOLUTION  # pixels
MOST_THREADS = 1024
MOST_WORKERS = 1024
MOST_TURNS = 1_000_000  # of a measurement
MOST_CLASSES = 1_000_000
MOST_STEPS = 20  # of a grid of directions
MOST_COEFFICIENT = 3.0  # alpha, beta, gamma: eight steps of phi make thousands of it


def require_range(option: str, value: int, least: int, most: int) -> None:
    """Raises ForayError, naming it `option`, for a value below `least` or above `most`."""
    given = shortened(f"{value:,}")
    if value < least:
        raise ForayError(f"{option} must be at least {least:,}, not {given}.")
    if value > most:
        raise ForayError(f"{option} must be at most {most:,}, not {given}.")


def require_seed(seed: int) -> None:
    """Raises ForayError for a seed that torch does not take on every device."""
    if seed < 0:
        raise ForayError(f"`seed` must not be negative, not {seed}.")
    if seed > LARGEST_SEED:
        raise ForayError(f"`seed` must be at most {LARGEST_SEED}, not {shortened(seed)}.")


def require_tolerance(tolerance: float) -> None:
    """Raises ForayError for values that are not a difference of accuracies in [0, 1), such as 5 for five points."""
    if not 0 <= tolerance < 1:
        raise ForayError(f"The tolerance must be between 0 and 1 (0.01 is one point), not {tolerance}.")


def require_runs(models: int, seeds: int) -> None:
    """Raises ForayError for more seeds, or runs of all models together, than one request may ask for."""
    require_range("`seeds`", seeds, 1, MOST_SEEDS)
    if models * seeds > MOST_RUNS:
        raise ForayError(
            f"{models:,} models with {seeds:,} seeds are {models * seeds:,} runs; one request may ask for "
            f"{MOST_RUNS:,}. Give fewer models or fewer `seeds`."
        )
