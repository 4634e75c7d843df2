"""`foray recipes [PROTOCOL]`: the presets, and one of them as a file to edit."""

from __future__ import annotations

from typing import Annotated

import typer

from foray.cli import options


def recipes(
    protocol: Annotated[
        options.Protocol | None, typer.Argument(metavar="PROTOCOL", show_default=False, help="One recipe, as TOML.")
    ] = None,
    changes: options.Changes = None,
) -> None:
    """List how networks are trained, or print one recipe as a file for --recipe."""
    from typing import get_args

    from foray.cli.tables import print_table
    from foray.recipes import Protocol, changed, preset, recipe_toml

    if protocol is not None:
        print(recipe_toml(changed(preset(protocol), changes or [])), end="")
        return
    found = [preset(name) for name in get_args(Protocol)]
    print_table(
        ["protocol", "epochs", "batch", "optimiser", "rate", "schedule", "trained"],
        [
            [
                recipe.protocol, str(recipe.epochs), str(recipe.batch_size), recipe.optimizer.name,
                f"{recipe.optimizer.learning_rate:g}", recipe.schedule.name, _TRAINED[recipe.protocol],
            ]
            for recipe in found
        ],
        words=["optimiser", "schedule", "trained"],
    )  # fmt: skip
    print("\nforay recipes PROTOCOL prints one as a file; --recipe FILE uses an edited one.")


_TRAINED = {
    "scratch": "every weight, from its initialisation",
    "linear": "a new classifier on frozen features",
    "partial": "a new classifier and the last 34 layers",
    "finetune": "every weight, from the pretrained ones",
}
