"""One architecture on stdout: its stages, or its layers and what separable convolutions save in it."""

from __future__ import annotations

from foray.cli.tables import print_rows, print_table
from foray.costs import LayerCost, SeparableCost, StageCost, total_ratios
from foray.records.quantities import format_bytes, format_count
from foray.specs import ArchSpec, Stage, paper_macs
from foray.weights import HUB_IDS, HUB_LICENCES


def print_stages(spec: ArchSpec, stages: list[StageCost], peak_memory_bytes: int) -> None:
    """The stage table with totals, peak memory, and the published figures."""
    params, macs = sum(stage.params for stage in stages), sum(stage.macs for stage in stages)
    rows = [
        [stage.name, _operator(spec, stage.name), str(stage.layers), _shape(stage.out_shape), *_costs(stage)]
        for stage in stages
    ]
    rows.append(["total", "", "", "", format_count(params), format_count(macs)])
    print(f"{spec.name}, one image of {spec.resolution} x {spec.resolution} pixels")
    print_table(["stage", "operator", "n", "output", "params", "MACs"], rows, words=["operator"])
    print()
    print_rows(_facts(spec, params, macs, peak_memory_bytes))


def print_layers(spec: ArchSpec, layers: list[LayerCost], pairs: list[SeparableCost]) -> None:
    """Every convolution and dense layer, then every separable convolution against the standard one it replaces."""
    print(f"{spec.name}, one image of {spec.resolution} x {spec.resolution} pixels, without batch norms")
    print_table(
        ["layer", "kind", "k", "s", "output", "params", "MACs"],
        [
            [
                _short(layer.name), layer.kind, str(layer.kernel), str(layer.stride),
                _shape(layer.out_shape), format_count(layer.params), format_count(layer.macs),
            ]
            for layer in layers
        ],
        words=["kind"],
    )  # fmt: skip
    if not pairs:
        print("\nNo depthwise separable convolutions.")
        return
    print("\nDepthwise separable convolutions against the standard ones they replace:")
    print_table(
        ["block", "k", "d_in", "d_out", "standard", "separable", "ratio", "with expansion"],
        [
            [
                pair.name, str(pair.kernel), str(pair.in_channels), str(pair.out_channels), format_count(pair.standard),
                format_count(pair.depthwise + pair.pointwise), f"{pair.ratio:.2f}", f"{pair.ratio_with_expansion:.2f}",
            ]
            for pair in pairs
        ],
    )  # fmt: skip
    ratio, with_expansion = total_ratios(pairs)
    print(f"\nTogether {ratio:.2f} times fewer MACs; {with_expansion:.2f} times with the expansions counted.")
    print("ratio = k^2 d_out / (k^2 + d_out); squeeze-excitation is left out.")


def _short(name: str) -> str:
    return name.removesuffix(".conv").replace("squeeze_excitation", "se")


def _facts(spec: ArchSpec, params: int, macs: int, peak_memory_bytes: int) -> list[tuple[str, str]]:
    published = spec.published
    facts = [
        ("family", spec.family),
        ("padding", spec.padding),
        ("parameters", f"{params:,}" + (f" (published {published.params:,})" if published else "")),
        ("MACs", f"{macs:,}"),
    ]
    if published and published.macs and published.macs_are_counted:
        facts.append(("  of the peer", f"{published.macs:,} ({macs / published.macs - 1:+.1%})"))
    if printed := paper_macs(spec):
        facts.append(("  as printed", f"{format_count(printed)} ({macs / printed - 1:+.1%})"))
    facts.append(("peak memory", f"{format_bytes(peak_memory_bytes)} (weights and live activations, float32, batch 1)"))
    if published and published.top1:
        facts.append(("top-1", f"{100 * published.top1:.1f} % on ImageNet, as published"))
    if published:
        facts.append(("source", published.source))
    if spec.name in HUB_IDS:
        facts.append(("weights", f"{HUB_IDS[spec.name]} on the hub, licence {HUB_LICENCES[spec.name]}"))
    return facts


def _costs(stage: StageCost) -> list[str]:
    return [format_count(stage.params), format_count(stage.macs) if stage.macs else "-"]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _operator(spec: ArchSpec, name: str) -> str:
    part, _, index = name.partition(".")
    if part == "stages":
        return _row_in_words(spec.stages[int(index)])
    return {
        "stem": f"conv {spec.stem.kernel}x{spec.stem.kernel} s{spec.stem.stride}",
        "pool": "max pool 3x3 s2",
        "head": "conv 1x1",
        "hidden": "dense",
        "classifier": "dense",
    }[part]


def _row_in_words(row: Stage) -> str:
    """Type, kernel, stride and expansion of a row, as far as it has them."""
    words = [type(row).__name__]
    if kernel := getattr(row, "kernel", None):
        words.append(f"k{kernel}")
    words.append(f"s{row.stride}")
    if ratio := getattr(row, "expand_ratio", None):
        words.append(f"t{ratio}")
    if getattr(row, "se_ratio", 0) or getattr(row, "squeeze", False) not in (False, (False,) * row.num_layers):
        words.append("SE")
    return " ".join(words)
