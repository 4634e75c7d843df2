"""`foray models [NAME]`: the models with their costs and published accuracy; or one of them in detail."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foray.cli import options
from foray.errors import ForayError

if TYPE_CHECKING:
    from foray.progress import Progress
    from foray.specs import ArchSpec


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="One model: its stages.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Its layers, and the MACs that separable convolutions save.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the models, or show one: costs, published top-1 on ImageNet with its source, weights on the hub."""
    if name is None:
        if layers:
            raise ForayError("--layers shows the layers of one model: name it, for example foray models mobilenet_v2.")
        _list(as_json)
    else:
        _show(name, layers, as_json)


def _show(name: str, layers: bool, as_json: bool) -> None:
    """One model, from the graph on the meta device."""
    import torch

    from foray.cli.architecture import print_layers, print_stages
    from foray.costs import layer_costs, peak_inference_memory, separable_costs, stage_costs
    from foray.models import build_model
    from foray.specs import get_spec

    spec = get_spec(name)
    with torch.device("meta"):
        network = build_model(spec).eval()
    costs, stages = layer_costs(network, spec.resolution), stage_costs(network, spec.resolution)
    memory = peak_inference_memory(network, spec.resolution)
    if as_json:
        shown = {
            "name": spec.name, "peak_memory_bytes": memory, "stages": stages, "layers": costs,
            "separable": separable_costs(costs),
        }  # fmt: skip
        print(json.dumps(shown, default=dataclasses.asdict, indent=1))
    elif layers:
        print_layers(spec, costs, separable_costs(costs))
    else:
        print_stages(spec, stages, memory)


def _list(as_json: bool) -> None:
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_table
    from foray.records.quantities import format_count, percent_number
    from foray.specs import get_spec, spec_names

    specs = [get_spec(name) for name in spec_names()]
    with terminal_progress() as progress:
        costs = _costs(specs, progress)
    rows = [_row(spec, *cost) for spec, cost in zip(specs, costs, strict=True)]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    print_table(
        ["model", "params", "MACs", "px", "top1", "hub", "top1 from"],
        [
            [
                row["name"], format_count(row["params"]), format_count(row["macs"]), str(row["resolution"]),
                percent_number(row["top1"]), "yes" if row["hub"] else "-", _top1_source(row),
            ]
            for row in rows
        ],
        words=["hub", "top1 from"],
    )  # fmt: skip
    print("\nMobileNets of other widths have a name too, for example mobilenet_v2_x0.6.")
    print("top1 in per cent. hub: weights for --weights hub are known; foray models NAME\nsays which.")


def _row(spec: ArchSpec, params: int, macs: int) -> dict[str, Any]:
    from foray.specs import paper_macs
    from foray.weights import HUB_IDS, HUB_LICENCES

    published = spec.published
    return {
        "name": spec.name,
        "family": spec.family,
        "resolution": spec.resolution,
        "params": params,
        "macs": macs,
        "published_params": published.params if published else None,
        "published_macs": published.macs if published else None,
        "paper_macs": paper_macs(spec),
        "top1": published.top1 if published else None,
        "source": published.source if published else None,
        "hub": HUB_IDS.get(spec.name),
        "hub_licence": HUB_LICENCES.get(spec.name),
    }


def _top1_source(row: dict[str, Any]) -> str:
    """The part of "PLACE (params, top-1); PLACE (MACs)" that has top-1; - where no top-1 was published."""
    if row["top1"] is None:
        return "-"
    source: str = row["source"]
    return next(part.partition(" (")[0] for part in source.split("; ") if "top-1" in part)


def _costs(specs: list[ArchSpec], progress: Progress) -> list[tuple[int, int]]:
    """(parameters, MACs) of each, counted once for networks of one table."""
    counted: dict[tuple[object, ...], tuple[int, int]] = {}
    with progress.task("Counting parameters and MACs", len(specs)) as task:
        for spec in specs:
            if _table(spec) not in counted:
                counted[_table(spec)] = _count(spec)
            task.advance(note=spec.name)
    return [counted[_table(spec)] for spec in specs]


def _table(spec: ArchSpec) -> tuple[object, ...]:
    """The same for a network and its TensorFlow variant: padding moves windows but not their number."""
    return (
        spec.resolution, spec.stem, spec.stem_pool, spec.stages, spec.head, spec.hidden_features, spec.activation,
        spec.squeeze_excitation,
    )  # fmt: skip


def _count(spec: ArchSpec) -> tuple[int, int]:
    import torch

    from foray.costs import count_macs, count_params
    from foray.models import build_model

    with torch.device("meta"):
        network = build_model(spec).eval()
    return count_params(network), count_macs(network, spec.resolution)
