"""`foray VERB ...`: collects the verbs and turns errors into one message and an exit status.

Exit status: 0 done, also where a pick is for now or a certificate is inconclusive; 1 compared, but no model keeps the
budget or none could be trained, or an unexpected error with its traceback; 2 one message: wrong arguments or data, no
memory or disk left, an image that `predict` cannot read, no network of `scale` keeps the budget; 3 an exported file
fails its certification; 4 not known, because the deciding latency was not steady; 130 interrupted.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from foray import __version__
from foray.cli import (
    certify,
    compare,
    data,
    evaluate,
    export,
    models,
    predict,
    profile,
    recipes,
    report,
    reproduce,
    scale,
    settle,
    train,
)
from foray.cli.streams import open_standard_streams, output_failed
from foray.cli.terminal import complain, make_streams_plain, plain_streams
from foray.cli.verb import Verb
from foray.errors import ForayError, OtherProcessFailedError, is_out_of_memory
from foray.native.allocator import keep_for_good
from foray.process_state import send_no_telemetry

_EMPTY = re.compile("(--[a-z-]+=)?")


class Verbs(TyperGroup):
    """Runs a verb. Errors of the user end as one message; FORAY_DEBUG=1 shows the traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with plain_streams():
            return super().main(*args, **kwargs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, arg in zip([ctx.info_name, *args], args, strict=False):
            if _EMPTY.fullmatch(arg):
                empty = arg or f"The argument after {before}"
                complain(f"foray: {empty} is empty. Is a variable of the shell not set?")
                raise SystemExit(2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ForayError as error:
            if os.environ.get("FORAY_DEBUG"):
                raise
            if not isinstance(error, OtherProcessFailedError):
                complain(f"foray: {error}")
            raise SystemExit(error.exit_status) from None
        except (MemoryError, OSError, RuntimeError) as error:
            if os.environ.get("FORAY_DEBUG"):
                raise
            if is_out_of_memory(error):
                complain(f"foray: {_out_of_memory(error)}")
            elif isinstance(error, OSError):
                complain(f"foray: {_system_error(error)}")
            else:
                raise
            raise SystemExit(2) from None
        except KeyboardInterrupt:
            print("\nInterrupted. Finished work is kept: run the same command again to continue.", file=sys.stderr)
            raise SystemExit(130) from None


app = typer.Typer(
    name="foray",
    cls=Verbs,
    rich_markup_mode=None,  # plain help: 80 columns anywhere, and rich is not imported for it
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("compare", cls=Verb, short_help="Compare models on your images: which to ship, how certain.")(
    compare.compare
)
app.command("settle", cls=Verb, short_help="Settle an open comparison: label images on which models differ.")(
    settle.settle
)
app.command("train", cls=Verb, short_help="Train one model and score it on test.")(train.train)
app.command("evaluate", cls=Verb, short_help="Score a trained run on one split.")(evaluate.evaluate)
app.command("predict", cls=Verb, short_help="Classify images with a run or an exported file.")(predict.predict)
app.command("export", cls=Verb, short_help="Write a run as files for other runtimes; certify them.")(export.export)
app.command("certify", cls=Verb, short_help="Score an exported file against float32.")(certify.certify)
app.command("profile", cls=Verb, short_help="Time models and files on runtimes.")(profile.profile)
app.command("models", cls=Verb, short_help="List the models and their costs.")(models.models)
app.command("recipes", cls=Verb, short_help="List the training recipes, or print one.")(recipes.recipes)
app.command("scale", cls=Verb, short_help="Find the largest network of a family within a budget.")(scale.scale)
app.command("reproduce", cls=Verb, short_help="Reproduce the study foray comes from, claim by claim.")(
    reproduce.reproduce
)
app.add_typer(data.app, name="data")
app.command("report", cls=Verb, short_help="Write the report of a comparison again.")(report.report)


def _out_of_memory(error: BaseException) -> str:
    said = str(error).partition("\n")[0]
    return (
        f"Out of memory{f' ({said})' if said else ''}. Finished work is kept. Use a lower resolution, a smaller "
        "batch or model, or fewer --workers, and run the same command again."
    )


def _system_error(error: OSError) -> str:
    """The system's message and the file, for an OSError that was not handled closer to its cause."""
    name = f"Cannot use {error.filename}: " if error.filename is not None else ""
    said = error.strerror or str(error) or type(error).__name__
    return f"{name}{said}. Finished work is kept. FORAY_DEBUG=1 shows where it happened."


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"foray {__version__}")
        raise typer.Exit


@app.callback()
def _foray(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Which efficient CNN should I ship for my images, under my budget, on this device, and how sure are we?

    Start with: foray compare DATA --models mobilenet_v2,efficientnet_b0 --weights hub
    """


def _set_pixel_limit() -> None:
    """See `set_pixel_limit`; Pillow is imported for it only where a limit is given."""
    if "FORAY_MAX_IMAGE_PIXELS" not in os.environ:
        return
    from foray.deploy.predict import ArtifactError, set_pixel_limit

    try:
        set_pixel_limit()
    except ArtifactError as error:
        complain(f"foray: {error}")
        raise SystemExit(2) from None


def main() -> None:
    """Entry point of the `foray` command."""
    stdout = open_standard_streams()
    make_streams_plain()  # also for the traceback of an unexpected error
    send_no_telemetry()
    keep_for_good()
    for name in ("SIGTERM", "SIGHUP"):  # handled like Ctrl-C: temporary files are removed, and workers ended
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    status: Any = 0
    try:
        _set_pixel_limit()
        app(prog_name="foray")
    except SystemExit as end:
        status = end.code
    raise SystemExit(2 if output_failed(stdout) and not status else status)
