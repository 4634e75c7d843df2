"""Arguments and options that several verbs share: each declared once, and the groups that make a request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from foray.limits import MOST_EPOCHS, MOST_RESOLUTION, MOST_THREADS, MOST_WORKERS
from foray.parsing import home_expanded
from foray.regular_files import is_there

if TYPE_CHECKING:
    from foray.processes import Processes
    from foray.recipes import Recipe
    from foray.records import Budget
    from foray.requests import ImageSource, Machine, TrainingRequest

Amount = TypeVar("Amount", int, float)

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
Unlabelled = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        show_default=False,
        help="Instead of labelled images to certify on: images without labels, like those of use, a folder or archive.",
    ),
]
_WEIGHTS = "Pretrained weights: a folder in timm's layout, a folder of such, a file, a hub id (timm/...), or hub."
WeightsFrom = Annotated[str | None, typer.Option("--weights", metavar="DIR|FILE|ID|hub", help=_WEIGHTS)]
FirstWeights = Annotated[
    str | None,
    typer.Option("--weights", metavar="DIR|FILE|ID|hub", help=f"{_WEIGHTS} Needed unless --protocol is scratch."),
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
        "--recipe", metavar="NAME|FILE", help="A recipe of `foray recipes`, or a file, instead of the preset."
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
        help="Input resolution (default: that of the weights; from scratch the model's, but for images of at most "
        "64 px their own, at least 32).",
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
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Device that networks run on.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=MOST_WORKERS, metavar="N", help="Threads that decode images (default: cores)."
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
    str | None,
    typer.Option(
        "--max-memory",
        metavar="60MB",
        help="Budget: peak memory of inference, computed; of another runtime or device, the resident memory measured.",
    ),
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


@dataclass(frozen=True)
class SourceOptions:
    """Where images come from."""

    fold: Fold = None
    data_dir: DataDir = None
    offline: Offline = False

    def request(self, data: str) -> ImageSource:
        """The images that `data` names."""
        from foray.requests import ImageSource

        return ImageSource(data, self.fold, self.data_dir, self.offline)


@dataclass(frozen=True)
class TrainingSourceOptions(SourceOptions):
    """The same, where unreadable images may be left out."""

    skip_unreadable: SkipUnreadable = False

    def request(self, data: str) -> ImageSource:
        """The images that `data` names."""
        return replace(super().request(data), skip_unreadable=self.skip_unreadable)


@dataclass(frozen=True)
class TrainingOptions:
    """How to train, the protocol apart."""

    weights: FirstWeights = None
    epochs: Epochs = None
    unfreeze: Unfreeze = None
    recipe: RecipeFile = None
    changes: Changes = None
    resolution: Resolution = None

    def request(self, protocol: Protocol) -> TrainingRequest:
        """Raises ForayError for a recipe that is none, or states what an option states as well."""
        from foray.requests import TrainingRequest

        return TrainingRequest(
            protocol, read_recipe_file(self.recipe, self.epochs, self.unfreeze), tuple(self.changes or ()),
            self.epochs, self.unfreeze, self.resolution, self.weights,
        )  # fmt: skip


class _MachineOptions:
    """What the groups of machine options have in common; those that lack an option have its default."""

    device: Device = "auto"
    threads: Threads = None
    workers: Workers = None
    cache_dir: CacheDir = None

    def request(self, processes: Processes | None = None) -> Machine:
        """The machine; `processes`: those that train together."""
        from foray.processes import ALONE
        from foray.requests import Machine

        return Machine(self.device, self.threads, self.workers, self.cache_dir, processes or ALONE)


@dataclass(frozen=True)
class MachineOptions(_MachineOptions):
    """Where work is done."""

    device: Device = "auto"
    threads: Threads = None
    workers: Workers = None
    cache_dir: CacheDir = None


@dataclass(frozen=True)
class CpuOptions(_MachineOptions):
    """The same, for work that is done on the CPU alone."""

    threads: Threads = None
    workers: Workers = None
    cache_dir: CacheDir = None


@dataclass(frozen=True)
class TimingOptions(_MachineOptions):
    """The same, where latencies are measured as well."""

    device: Device = "auto"
    threads: Threads = None
    wait: Wait = WAIT_SECONDS
    workers: Workers = None
    cache_dir: CacheDir = None


@dataclass(frozen=True)
class BudgetOptions:
    """Bounds of what a network may cost, with units."""

    max_params: MaxParams = None
    max_macs: MaxMacs = None
    max_latency: MaxLatency = None
    max_memory: MaxMemory = None

    def request(self) -> Budget:
        """The bounds as numbers. Raises QuantityError for an amount that has no unit, or a wrong one."""
        from foray.records import Budget
        from foray.records.quantities import parse_bytes, parse_count, parse_duration_ms

        def parsed(bound: str, parse: Callable[[str, str], Amount]) -> Amount | None:
            text = getattr(self, f"max_{bound}", None)
            return None if text is None else parse(text, f"--max-{bound}")

        return Budget(
            max_params=parsed("params", parse_count),
            max_macs=parsed("macs", parse_count),
            max_latency_ms=parsed("latency", parse_duration_ms),
            max_memory_bytes=parsed("memory", parse_bytes),
            max_file_bytes=parsed("file", parse_bytes),
        )


@dataclass(frozen=True)
class FileBudgetOptions(BudgetOptions):
    """The same, of a network that is a file."""

    max_file: MaxFile = None


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
