"""The study's claims about compound scaling, computed from foray's own tables and solver."""

from __future__ import annotations

from functools import cache

from foray.records import Budget
from foray.records.quantities import format_bytes, format_count, format_percent
from foray.reproduce.arithmetic import TAN_LE
from foray.reproduce.claim import Sum
from foray.scaling import Family, scaled_cost, solve
from foray.specs import PUBLISHED_COEFFICIENTS, ArchSpec, Coefficients, Multipliers, get_spec

PRINTED_COEFFICIENTS = Coefficients(alpha=1.2, beta=1.1, gamma=1.1)  # as the study has them
CLASSES = 1000
_BASE = "efficientnet_b0"
# Tan & Le 2019, table 7: what is scaled, the network, its FLOPS as printed (multiply-adds), top-1.
TABLE_7 = (
    ("depth alone", "efficientnet@d4,w1,r224", 1_800_000_000, 0.790),
    ("width alone", "efficientnet@d1,w2,r224", 1_800_000_000, 0.789),
    ("resolution alone", "efficientnet@d1,w1,r448", 1_900_000_000, 0.791),
    ("all three", "efficientnet@d1.4,w1.2,r291", 1_800_000_000, 0.811),
)


def compound_product() -> Sum:
    """alpha * beta^2 * gamma^2 with the printed constants and with the original ones."""
    printed, original = PRINTED_COEFFICIENTS, PUBLISHED_COEFFICIENTS
    return Sum(
        "reproduced" if abs(printed.work - 2) <= abs(original.work - 2) else "error in the study",
        f"gamma = {printed.gamma:g} is a misprint for {original.gamma:g}: the printed constants give "
        f"{printed.work:.2f}, the original ones {original.work:.2f}.",
        (
            f"printed: {_product(printed)}",
            f"{TAN_LE}, section 4: {_product(original)}",
            f"one step of phi would cost {printed.work:.2f} times the MACs instead of {original.work:.2f} times",
        ),
        f"gamma is {original.gamma:g}, not {printed.gamma:g}",
    )


def phi_of_b0() -> Sum:
    """The phi of B0: at 1 it would be another network."""
    base, b2 = get_spec(_BASE), get_spec("tf_efficientnet_b2")
    multipliers = PUBLISHED_COEFFICIENTS.at(1.0)
    side = round(base.resolution * multipliers.resolution)
    is_b0 = multipliers == (base.depth_mult, base.width_mult, 1.0)
    return Sum(
        "reproduced" if is_b0 else "error in the study",
        "B0 is phi = 0, where all three multipliers are 1. At phi = 1 the network is deeper, wider and larger, close "
        "to B2.",
        (
            f"phi = 0: depth, width and resolution are multiplied by 1, which is B0 at {base.resolution} px",
            f"phi = 1: depth {multipliers.depth:g}, width {multipliers.width:g}, resolution {multipliers.resolution:g} "
            f"({side} px); the released B2 has depth {b2.depth_mult:g}, width {b2.width_mult:g} and {b2.resolution} px",
        ),
        "B0 is phi = 0, not 1",
    )


def compound_rule() -> Sum:
    """The rule itself, and how far the released networks follow it."""
    b7 = get_spec("tf_efficientnet_b7")
    at_2 = PUBLISHED_COEFFICIENTS.at(2.0)
    depth, width, resolution = PUBLISHED_COEFFICIENTS.phi_of(_multipliers_of(b7))
    return Sum(
        "reproduced",
        "The rule is equation 3 of the paper. The released B1 to B7 follow it in round numbers only.",
        (
            f"{TAN_LE}, equation 3: depth = alpha^phi, width = beta^phi, resolution = gamma^phi",
            f"phi = 2: depth {at_2.depth:.2f}, width {at_2.width:.2f}, resolution {at_2.resolution:.2f} times B0's",
            f"the released B7 (depth {b7.depth_mult:g}, width {b7.width_mult:g}, {b7.resolution} px): phi is "
            f"{depth:.1f} by its depth, {width:.1f} by its width, {resolution:.1f} by its resolution",
        ),
    )


@cache
def objective() -> Sum:
    """The optimisation problem, and its solution for twice B0's multiply-accumulates and memory."""
    base = scaled_cost(get_spec(_BASE), CLASSES)
    memory = 2 * (base.peak_memory_bytes or 0)
    budget = Budget(max_macs=2 * base.macs, max_memory_bytes=memory)
    best = solve(Family("efficientnet", PUBLISHED_COEFFICIENTS), budget).best
    peak = best.cost.peak_memory_bytes or 0
    return Sum(
        "reproduced" if best.cost.macs <= 2 * base.macs and peak <= memory else "not reproduced",
        "It is equation 2 of the paper. foray scale solves it, with a proxy in the place of the accuracy.",
        (
            f"{TAN_LE}, equation 2: maximise Accuracy(N(d, w, r)) subject to Memory(N) <= target memory and FLOPS(N) "
            "<= target flops",
            f"for example twice EfficientNet-B0's bounds, {format_count(2 * base.macs)} multiply-accumulates and "
            f"{format_bytes(memory)}: {best.name} with {format_count(best.cost.macs)} and {format_bytes(peak)}",
        ),
    )


@cache
def one_dimension_in_the_paper() -> Sum:
    """The paper's four networks: accuracy as printed, multiply-accumulates as printed and as computed."""
    rows = [(what, scaled_cost(get_spec(name), CLASSES).macs, printed, top1) for what, name, printed, top1 in TABLE_7]
    *alone, (_, compound_macs, _, compound) = rows
    gain = compound - max(top1 for _, _, _, top1 in alone)
    shares = sorted(macs / compound_macs for _, macs, _, _ in alone)
    return Sum(
        "reproduced" if gain > 0 else "not reproduced",
        f"In the paper's table 7 all three dimensions together gain {100 * gain:.1f} points over the best one alone. "
        f"By our count the single ones have only {shares[0]:.2f} to {shares[-1]:.2f} of its multiply-accumulates, so "
        "part of the gain may be more work.",
        tuple(
            f"{what} ({name.partition('@')[2]}): {format_percent(top1)}; {format_count(printed)} multiply-accumulates "
            f"as printed, {format_count(macs)} computed"
            for (what, macs, printed, top1), (_, name, _, _) in zip(rows, TABLE_7, strict=True)
        ),
    )


def _product(of: Coefficients) -> str:
    return f"{of.alpha:g} x {of.beta:g}^2 x {of.gamma:g}^2 = {of.work:.4f}"


def _multipliers_of(spec: ArchSpec) -> Multipliers:
    return Multipliers(spec.depth_mult, spec.width_mult, spec.resolution / get_spec(_BASE).resolution)
