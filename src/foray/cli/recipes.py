"""`foray recipes [NAME]`: list the recipes, or print one as a file to edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foray.cli import options

if TYPE_CHECKING:
    from foray.recipes import Recipe


def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="One recipe, as commented TOML.")
    ] = None,
    changes: options.Changes = None,
) -> None:
    """List how networks are trained, or print one recipe as a file for --recipe."""
    from foray.cli.tables import print_table
    from foray.errors import ForayError
    from foray.recipes import recipe_file, recipes_by_name

    if name is not None:
        print(recipe_file(name, changes or ()), end="")
        return
    if changes:
        raise ForayError("--set changes one recipe: name it, for example foray recipes finetune --set epochs=3.")
    everything = recipes_by_name()
    width = max(map(len, everything))
    for group, title in _TITLES.items():
        print(title)
        print_table(
            ["recipe", "epochs", "batch", "optimiser", "rate", "schedule", "trained"],
            [
                [entry.name.ljust(width), *_numbers(entry.recipe), _trained(entry.recipe)]
                for entry in everything.values()
                if entry.group == group
            ],
            words=["optimiser", "schedule", "trained"],
        )
        print()
    print("foray recipes NAME prints one as a file, with its purpose and expected results;")
    print("--recipe NAME trains with it, --recipe FILE with an edited one.")


_TITLES = {
    "protocol": "Presets of the protocols (--protocol NAME)",
    "modern": "Longer and stronger, or for one purpose (--recipe NAME)",
    "study": "Experiments of the study (--recipe NAME)",
}


def _numbers(recipe: Recipe) -> list[str]:
    """Epochs, batch size, optimiser, rate and schedule; a fitted head has only its solver."""
    if recipe.protocol == "linear" and recipe.solver == "lbfgs":
        return ["-", "-", "lbfgs", "-", "-"]
    optimizer = recipe.optimizer
    return [
        str(recipe.epochs), str(recipe.batch_size), optimizer.name, f"{optimizer.learning_rate:g}", recipe.schedule.name
    ]  # fmt: skip


def _trained(recipe: Recipe) -> str:
    if recipe.protocol == "partial":
        return recipe.unfreeze
    return {"scratch": "all, fresh", "linear": "classifier"}.get(recipe.protocol, "all weights")
