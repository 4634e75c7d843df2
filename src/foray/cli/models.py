"""`foray models`: what there is, what it costs, what was published about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from foray.cli import options

if TYPE_CHECKING:
    from foray.specs import ArchSpec


def models(as_json: options.AsJson = False) -> None:
    """List the models: parameters and MACs counted here, top-1 on ImageNet as published, with its source."""
    from foray.cli.tables import percent, print_table
    from foray.records.quantities import format_count
    from foray.specs import get_spec, spec_names

    rows = [_row(get_spec(name)) for name in spec_names()]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    print_table(
        ["model", "params", "MACs", "px", "top-1 %", "top-1 from"],
        [
            [
                row["name"], format_count(row["params"]), format_count(row["macs"]), str(row["resolution"]),
                percent(row["top1"]), row["source"] if row["top1"] is not None else "-",
            ]
            for row in rows
        ],
    )  # fmt: skip
    print("Other widths work too, for example mobilenet_v2_x0.6. --weights hub fetches published weights.")


def _row(spec: ArchSpec) -> dict[str, object]:
    import torch

    from foray.models import build_model
    from foray.profiling import count_macs, count_params

    with torch.device("meta"):
        network = build_model(spec)
    published = spec.published
    return {
        "name": spec.name,
        "family": spec.family,
        "resolution": spec.resolution,
        "params": count_params(network),
        "macs": count_macs(network, spec.resolution),
        "top1": published.top1 if published else None,
        "source": published.source if published else None,
    }
