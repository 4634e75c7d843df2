"""Learning rate, image side and trained parts as functions of time alone: a resumed run needs no schedule state."""

from __future__ import annotations

import math

from foray.recipes import NetworkRecipe, Recipe


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


def training_side(recipe: NetworkRecipe, epoch: int, resolution: int) -> int:
    """Side of the images an epoch (counted from 0) trains on, in pixels; evaluation is always at `resolution`.

    Training ends at R = `training_resolution` x `resolution`. With `progressive_resolution` s the side rises linearly
    from s x R over the first three quarters of the epochs; the rest, and always the last one, are at R (in the manner
    of Tan & Le 2021, arXiv:2104.00298, section 4.2, in steps of an epoch). A side other than `resolution` is
    rounded to a multiple of 16, at least 16 and at most `resolution`.
    """
    start = recipe.progressive_resolution
    rising_epochs = min(math.ceil(0.75 * recipe.epochs), recipe.epochs - 1)
    share = recipe.training_resolution
    if start is not None and epoch < rising_epochs:
        share *= start + (1.0 - start) * epoch / rising_epochs
    if share == 1.0:
        return resolution
    return min(resolution, max(16, 16 * round(share * resolution / 16)))


def trained_parts(recipe: NetworkRecipe, step: int, steps_per_epoch: int, *, late: int) -> int | None:
    """How many parts of the network, from the classifier down, optimiser step `step` trains; None: all of them.

    With `gradual_unfreezing_epochs` one at the start, one more every so many epochs (Howard & Ruder 2018,
    arXiv:1801.06146, section 3.3). After `freeze_early_epochs` only the `late` ones, those after the early parts.
    """
    if recipe.freeze_early_epochs is not None and step >= recipe.freeze_early_epochs * steps_per_epoch:
        return late
    if recipe.gradual_unfreezing_epochs is None:
        return None
    return 1 + int(step / (recipe.gradual_unfreezing_epochs * steps_per_epoch))
