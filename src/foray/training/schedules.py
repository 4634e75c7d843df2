"""The learning rate as a function of time alone, so that a resumed run needs no schedule state."""

from __future__ import annotations

import math

from foray.recipes import Recipe


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Rate of optimiser step `step` (counted from 0 over the whole run).

    Warm-up rises linearly over `warmup_epochs` and reaches the full rate at its last step. `step` multiplies by
    `factor` every `every_epochs`; `cosine` falls to 0 over the epochs after the warm-up (Loshchilov & Hutter 2017,
    arXiv:1608.03983, eq. 5 with one cycle and a minimum of 0).
    """
    schedule, base = recipe.schedule, recipe.optimizer.learning_rate
    warmup_steps = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return base * (step + 1) / warmup_steps
    if schedule.name == "constant":
        return base
    if schedule.name == "step":
        return base * schedule.factor ** (step // steps_per_epoch // schedule.every_epochs)
    total_steps = recipe.epochs * steps_per_epoch
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return base * 0.5 * (1.0 + math.cos(math.pi * progress))
