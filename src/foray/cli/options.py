"""Arguments and options that several verbs share, each declared once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from foray.limits import MOST_EPOCHS, MOST_RESOLUTION, MOST_THREADS, MOST_WORKERS
from foray.parsing import home_expanded
from foray.regular_files import is_there

if TYPE_CHECKING:
    from foray.recipes import Recipe
    from foray.records import Budget

# Repeated from foray.recipes, foray.records and foray.costs, whose import costs too much for --help; a test holds
# them together.
Protocol = Literal["scratch", "linear", "partial", "finetune"]
Preference = Literal["latency", "macs", "params", "memory", "file"]
WAIT_SECONDS = 60.0

_DATA: Any = typer.Argument(
    metavar="DATA",
    show_default=False,
    help="Folder of class folders (with or without train/val/test), a .zip or .tar of one, a .csv of "
    "path,label[,split][,group], or a name: digits, cifar10, cifar100, rock_paper_scissors, plant_seedlings, "
    "deepweeds, imagenet.",
)
Data = Annotated[str, _DATA]
OptionalData = Annotated[str | None, _DATA]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", show_default=False, help="Folder of a finished run, as train and compare name.")
]
WeightsFrom = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="DIR|hub",
        help="Pretrained weights: a folder in timm's layout, a folder of such folders, a hub id (timm/...), or hub.",
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, max=MOST_EPOCHS, metavar="N", help="Epochs instead of the protocol's.")
]
Unfreeze = Annotated[
    str | None,
    typer.Option(
        metavar="last:N|PARTS", help="partial: the last N layers, counted as Keras does, or parts: stages.6,head."
    ),
]
RecipeFile = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="A recipe of `foray recipes`, or a file, instead of the protocol's preset.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe: optimizer.learning_rate=0.01."),
]
Resolution = Annotated[
    int | None,
    typer.Option(
        "--resolution",
        min=8,
        max=MOST_RESOLUTION,
        metavar="PX",
        help="Input resolution (default: that of the weights, or of the images).",
    ),
]
Fold = Annotated[
    int | None, typer.Option("--fold", min=0, metavar="K", help="Fold of a data set with official folds (deepweeds).")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Folder with a copy of the named data set.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Download nothing; use local files only.")]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", metavar="DIR", help="Decoded images and downloads ($FORAY_CACHE, ~/.cache/foray)."),
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave unreadable images out and name them in the report.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Device to train on.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=MOST_WORKERS, metavar="N", help="Processes that decode images (default: cores)."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=MOST_THREADS, metavar="N", help="Threads for training and timing (default: cores)."
    ),
]
MaxParams = Annotated[str | None, typer.Option("--max-params", metavar="6M", help="Budget: parameters.")]
MaxMacs = Annotated[
    str | None, typer.Option("--max-macs", metavar="500M", help="Budget: multiply-accumulates per image.")
]
MaxLatency = Annotated[
    str | None, typer.Option("--max-latency", metavar="30ms", help="Budget: median latency at batch 1.")
]
MaxMemory = Annotated[
    str | None, typer.Option("--max-memory", metavar="60MB", help="Budget: peak memory of inference.")
]
MaxFile = Annotated[str | None, typer.Option("--max-file", metavar="20MB", help="Budget: size of the weights file.")]
Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        min=0.0,
        metavar="SECONDS",
        help="Longest wait for an idle machine before timing, seconds. 0: time at once, in one burst; such latencies "
        "are never steady.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def budget(
    max_params: str | None,
    max_macs: str | None,
    max_latency: str | None,
    max_memory: str | None,
    max_file: str | None = None,
) -> Budget:
    """The bounds as given, with units. Raises QuantityError for a number with a missing or wrong unit."""
    from foray.records import Budget
    from foray.records.quantities import parse_bytes, parse_count, parse_duration_ms

    return Budget(
        max_params=parse_count(max_params, "--max-params") if max_params is not None else None,
        max_macs=parse_count(max_macs, "--max-macs") if max_macs is not None else None,
        max_latency_ms=parse_duration_ms(max_latency, "--max-latency") if max_latency is not None else None,
        max_memory_bytes=parse_bytes(max_memory, "--max-memory") if max_memory is not None else None,
        max_file_bytes=parse_bytes(max_file, "--max-file") if max_file is not None else None,
    )


def read_recipe_file(recipe: str | None, epochs: int | None, unfreeze: str | None) -> Recipe | None:
    """The recipe of --recipe, if given: the name of one, or else a file.

    It is read as a file when it ends in .toml, contains a folder, or is a file without the name of a recipe. Raises
    ForayError for an unknown name, a damaged file, and options that the recipe already states.
    """
    if recipe is None:
        return None
    from foray.errors import ForayError
    from foray.recipes import read_recipe, recipe_named, recipes_by_name

    if epochs is not None or unfreeze is not None:
        raise ForayError(
            f"{recipe} states epochs and what is unfrozen; change them with --set epochs=N and --set unfreeze=last:N."
        )
    path = home_expanded(recipe)
    is_path = path.suffix == ".toml" or path.name != recipe or is_there(path)
    return read_recipe(path) if is_path and recipe not in recipes_by_name() else recipe_named(recipe)


def prepare_threads(threads: int | None) -> None:
    """Makes every numeric library of this process use `threads`; call before torch and numpy are imported.

    Waiting threads spin for some 30 us and then sleep. By default they spin for milliseconds, which on a busy machine
    takes the cores from threads that have work: two threads on two shared cores were measured 10 to 20 times slower
    than one.
    """
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(threads)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
