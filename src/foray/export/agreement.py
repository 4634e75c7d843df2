"""How far the probabilities of an exported file are from those of the float32 network, on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.statistics import wilson_interval

Probabilities = npt.NDArray[np.float32]

# A float artifact is the same function as the network, up to rounding and to one grey level here and there where its
# graph resizes by itself. Measured: see tests/export/test_faults.py, which holds clean files and faults apart by it.
LARGEST_LOGIT_ERROR = 0.05
MOST_CHANGED_LABELS = 0.005  # share of the images, which are those that two classes nearly tie for
_SMALLEST_PROBABILITY = 1e-12
_SUM_ERROR = 1e-2  # of a vector of probabilities: bfloat16 has eight bits


@dataclass(frozen=True)
class Agreement:
    """Two arrays of probabilities (N, C) compared; the fields are those of foray.records.Certificate."""

    n: int
    same_labels: int
    mean_shift: float
    logit_error: float
    largest_difference: float
    largest_row: int

    def unlike(self) -> list[str]:
        """What shows that the two are not the same function, in words; empty where rounding may explain it."""
        found = []
        if not self.logit_error <= LARGEST_LOGIT_ERROR:
            found.append(
                f"Its log-probabilities are {100 * self.logit_error:.1f} % off, where rounding explains "
                f"{100 * LARGEST_LOGIT_ERROR:.0f} %: it does not compute the same function as the network."
            )
        changed = self.n - self.same_labels
        if wilson_interval(changed, self.n, 0.9)[0] > MOST_CHANGED_LABELS:  # one-sided 95 %
            found.append(f"{changed} of {self.n:,} labels changed, more than near-ties explain.")
        return found


def agreement(reference: Probabilities, candidate: Probabilities) -> Agreement:
    """Compares probabilities (N, C), N > 0, of the same images and classes in the same order."""
    ours, theirs = _centred_logs(reference), _centred_logs(candidate)
    differences = np.abs(reference.astype(np.float64) - candidate)  # (N, C)
    largest_row = int(differences.max(axis=1).argmax())
    return Agreement(
        n=len(reference),
        same_labels=int((reference.argmax(axis=1) == candidate.argmax(axis=1)).sum()),
        mean_shift=float(differences.sum(axis=1).mean() / 2),
        logit_error=float(np.linalg.norm(theirs - ours) / max(float(np.linalg.norm(ours)), _SMALLEST_PROBABILITY)),
        largest_difference=float(differences[largest_row].max()),
        largest_row=largest_row,
    )


def no_probabilities(candidate: Probabilities) -> str | None:
    """Why the outputs (N, C) of a network cannot be class probabilities, if they cannot."""
    if not np.isfinite(candidate).all():
        return "Some of its outputs are not finite numbers."
    if candidate.min() < -_SUM_ERROR or np.abs(candidate.sum(axis=1) - 1).max() > _SUM_ERROR:
        return "Its outputs are not probabilities: they do not sum to 1."
    return None


def _centred_logs(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Logits up to a constant an image, which no probability depends on: their mean is zero."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST_PROBABILITY))
    return logs - logs.mean(axis=1, keepdims=True)  # type: ignore[no-any-return]
