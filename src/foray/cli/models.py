"""`foray models`: what there is, what it costs, what was published about it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import textwrap
from typing import TYPE_CHECKING, Any

from foray.cli import options

if TYPE_CHECKING:
    from foray.progress import Progress
    from foray.specs import ArchSpec


def models(as_json: options.AsJson = False) -> None:
    """List the models: what they cost, top-1 on ImageNet as published and by whom, weights on the hub."""
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import percent, print_table
    from foray.records.quantities import format_count
    from foray.specs import get_spec, spec_names

    specs = [get_spec(name) for name in spec_names()]
    with terminal_progress() as progress:
        costs = _costs(specs, progress)
    rows = [_row(spec, *cost) for spec, cost in zip(specs, costs, strict=True)]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    print_table(
        ["model", "params", "MACs", "px", "top-1 %", "top-1 from"],
        [
            [
                row["name"], format_count(row["params"]), format_count(row["macs"]), str(row["resolution"]),
                percent(row["top1"]), _top1_source(row),
            ]
            for row in rows
        ],
        words=["top-1 from"],
    )  # fmt: skip
    print("\nMobileNets of other widths have a name too, for example mobilenet_v2_x0.6.")
    print("Weights for --weights hub:")
    names = ", ".join(row["name"] for row in rows if row["hub"])
    print(textwrap.fill(names, 80, initial_indent="  ", subsequent_indent="  "))


def _row(spec: ArchSpec, params: int, macs: int) -> dict[str, Any]:
    from foray.models import HUB_IDS

    published = spec.published
    return {
        "name": spec.name,
        "family": spec.family,
        "resolution": spec.resolution,
        "params": params,
        "macs": macs,
        "top1": published.top1 if published else None,
        "source": published.source if published else None,
        "hub": HUB_IDS.get(spec.name),
    }


def _top1_source(row: dict[str, Any]) -> str:
    """The part of "PLACE (params, top-1); PLACE (MACs)" that speaks of top-1; - where no top-1 was published."""
    if row["top1"] is None:
        return "-"
    source: str = row["source"]
    return next(part.partition(" (")[0] for part in source.split("; ") if "top-1" in part)


def _costs(specs: list[ArchSpec], progress: Progress) -> list[tuple[int, int]]:
    """(parameters, MACs) of each, counted once and kept: walking all networks takes seconds."""
    from foray.data.storage import cache_directory
    from foray.errors import ForayError
    from foray.records import write_text

    path = cache_directory() / "models.json"
    try:
        known = {key: (int(params), int(macs)) for key, (params, macs) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        known = {}
    missing = {_table_key(spec): spec for spec in specs if _table_key(spec) not in known}
    if missing:
        with progress.task("Counting parameters and MACs", len(missing)) as task:
            for key, spec in missing.items():
                known[key] = _count(spec)
                task.advance(note=spec.name)
        with contextlib.suppress(ForayError):  # a cache that cannot be written costs seconds next time, nothing else
            write_text(path, json.dumps(known))
    return [known[_table_key(spec)] for spec in specs]


def _table_key(spec: ArchSpec) -> str:
    """The same for a network and its TensorFlow variant: padding moves windows but not their number."""
    table = (spec.resolution, spec.stem, spec.stages, spec.head, spec.activation)
    return hashlib.sha256(repr(table).encode()).hexdigest()[:16]


def _count(spec: ArchSpec) -> tuple[int, int]:
    import torch

    from foray.models import build_model
    from foray.profiling import count_macs, count_params

    with torch.device("meta"):
        network = build_model(spec)
    return count_params(network), count_macs(network, spec.resolution)
