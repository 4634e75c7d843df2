"""Simulated worlds for coverage tests: images of mixed difficulty, trainings of mixed luck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import beta

_QUANTILES = (np.arange(4000) + 0.5) / 4000


@dataclass(frozen=True)
class World:
    """Where correctness arrays come from.

    `difficulty` None: every image is equally hard; else the concentration of the Beta distribution of an image's
    chance to be right: 0.3 makes most images surely right or surely wrong, 4 makes them alike. `seed_sd`: standard
    deviation of a model's expected accuracy over trainings, in [0, 1].
    """

    n: int
    accuracy: float
    seeds: int
    seed_sd: float = 0.0
    difficulty: float | None = 0.5

    def model(self, rng: np.random.Generator, uniform: np.ndarray, loss: float = 0.0) -> np.ndarray:
        """(S, N) bool: one model, `loss` below the world's accuracy; `uniform` (N,) ranks the images by ease."""
        accuracy = self.accuracy - loss
        if self.difficulty is None:
            chance = np.full(self.n, accuracy)
            room = np.ones(self.n)
        else:
            a, b = accuracy * self.difficulty, (1 - accuracy) * self.difficulty
            ranks = np.minimum((uniform * len(_QUANTILES)).astype(int), len(_QUANTILES) - 1)
            chance = _beta_quantiles(a, b)[ranks]
            # Training luck moves the images that can go either way; on average over images it moves by one.
            room = chance * (1 - chance) * (self.difficulty + 1) / (accuracy * (1 - accuracy) * self.difficulty)
        luck = self.seed_sd * rng.standard_normal((self.seeds, 1))
        return rng.random((self.seeds, self.n)) < np.clip(chance + luck * room, 0, 1)

    def images(self, rng: np.random.Generator) -> np.ndarray:
        """Ranks (N,) of a new sample of images."""
        return rng.random(self.n)

    def pair(self, rng: np.random.Generator, loss: float, likeness: float) -> tuple[np.ndarray, np.ndarray]:
        """A reference and a candidate whose expected loss is `loss`; `likeness` is how alike they rank the images."""
        normal = rng.standard_normal(self.n)
        other = likeness * normal + np.sqrt(1 - likeness**2) * rng.standard_normal(self.n)
        return self.model(rng, ndtr(normal)), self.model(rng, ndtr(other), loss)


_cached: dict[tuple[float, float], np.ndarray] = {}


def _beta_quantiles(a: float, b: float) -> np.ndarray:
    if (a, b) not in _cached:
        quantiles = beta.ppf(_QUANTILES, a, b)
        _cached[a, b] = quantiles + (a / (a + b) - quantiles.mean())  # the exact mean on this grid
    return _cached[a, b]
