"""`foray profile`: models, runs and exported files on runtimes, timed against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foray.cli import options
from foray.errors import ForayError
from foray.limits import MOST_BATCH, MOST_RESOLUTION, MOST_THREADS, MOST_TURNS, require_range
from foray.parsing import shortened
from foray.regular_files import is_there

if TYPE_CHECKING:
    from foray.export.timing import Subject
    from foray.progress import Progress


def profile(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|RUN|ARTIFACT...",
            show_default=False,
            help="Names of models, folders of finished runs, folders that `foray export` wrote: any number of each.",
        ),
    ],
    runtime: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="torch, onnx, openvino, litert, executorch (models and runs).")
    ] = "torch",
    precision: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="fp32, fp16, bf16, int8 (models and runs).")
    ] = "fp32",
    threads: Annotated[
        str | None, typer.Option(metavar="N,N", show_default=False, help="Threads (default: one per core).")
    ] = None,
    batch: Annotated[str, typer.Option(metavar="N,N", help="Batch sizes; 1 is always timed.")] = "1",
    weights: options.WeightsFrom = None,
    resolution: Annotated[
        int | None,
        typer.Option(min=8, max=MOST_RESOLUTION, metavar="PX", help="Input resolution of models given by name."),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Time by layer, where the runtime reports it.")] = False,
    turns: Annotated[
        int, typer.Option(min=6, max=MOST_TURNS, metavar="N", help="Turns of each candidate, in six bursts.")
    ] = 30,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the order of the turns.")] = 0,
    wait: options.Wait = options.WAIT_SECONDS,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write profile.json, and device.json for compare --profiles.")
    ] = None,
    offline: options.Offline = False,
    as_json: options.AsJson = False,
) -> None:
    """Time models, runs and exported files on runtimes, interleaved, each in its own processes.

    It waits for an idle machine first. Do not decide by latencies that are marked as not steady: measure again.
    """
    threads_wanted = _numbers(threads, "--threads", MOST_THREADS) if threads is not None else None
    batches = _numbers(batch, "--batch", MOST_BATCH)
    options.prepare_threads(None)
    from foray.cli.progress import terminal_progress
    from foray.cli.runtime_tables import print_layer_times, print_runtime_profile
    from foray.cli.terminal import say
    from foray.clock.measure import cost_profile
    from foray.clock.schedule import schedule_within
    from foray.costs import save_profiles
    from foray.export.timing import artifact_candidate, plan_setups, time_networks
    from foray.records import available_cores

    if out is not None:
        _require_replaceable(out)
    with terminal_progress() as progress:
        subjects, artifacts = _named(what, weights, resolution, offline, progress)
        counts = threads_wanted or [available_cores()]
        measured = time_networks(
            subjects,
            plan_setups(_names(runtime), _names(precision), counts) if subjects else [],
            [artifact_candidate(path, n) for path in artifacts for n in counts],
            batches=batches,
            layers=layers,
            schedule=schedule_within(wait, turns, seed),
            progress=progress,
        )
    if out is not None:
        measured.save(out / "profile.json")
        costs = [cost_profile(cost, measured) for cost in measured.costs]
        save_profiles(out / "device.json", measured.hardware.label(), costs)
    if as_json:
        print(measured.model_dump_json(indent=1))
        return
    print_runtime_profile(measured)
    if layers:
        print_layer_times(measured)
    if out is not None:
        print()
        say(f"Written: {out / 'profile.json'}, {out / 'device.json'}")


def _require_replaceable(out: Path) -> None:
    """Raises RunError where `out` holds a file of the same name that foray did not write, or of another device."""
    from foray.costs.device_profiles import require_replaceable
    from foray.records import RuntimeProfile, hardware, require_writable

    require_writable(out)
    if (out / "profile.json").exists():
        RuntimeProfile.load(out / "profile.json")
    require_replaceable(out / "device.json", hardware().label())


def _named(
    what: list[str], weights: str | None, resolution: int | None, offline: bool, progress: Progress
) -> tuple[list[Subject], list[Path]]:
    """The models and runs among `what`, and the folders of artifacts, each once."""
    from foray.export.timing import model_subject, run_subject

    subjects: list[Subject] = []
    artifacts: list[Path] = []
    for name in dict.fromkeys(what):
        if is_there(Path(name) / "artifact.json"):
            artifacts.append(Path(name))
        elif is_there(name) and Path(name).is_dir():
            subjects.append(run_subject(Path(name)))
        elif "/" in name:
            raise ForayError(f"{name} is not a folder. Name a model (foray models), a run or an artifact.")
        else:
            subjects.append(model_subject(name, weights, resolution, offline=offline, progress=progress))
    return subjects, list(dict.fromkeys(artifacts))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str, option: str, most: int) -> list[int]:
    try:
        numbers = [int(number) for number in _names(text)]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ForayError(f"{option}: {shortened(text)!r} is not a list of whole numbers from 1 up. Write {option} 1,2.")
    require_range(option, max(numbers), 1, most)
    return numbers
