"""The analytical claims: compound scaling, separable convolutions, and the numbers of others."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.arithmetic import compound_product, misattribution, phi_of_b0, separable_layers
from foray.reproduce.claim import Arithmetic, Claim, Order

CLAIMS = (
    Claim(
        id="scaling.product",
        section="scaling",
        statement="alpha * beta^2 * gamma^2 is about 2 with alpha 1.2, beta 1.1, gamma 1.1.",
        where="compound scaling",
        data="none",
        judge=Arithmetic(compound_product, "the product of the printed constants, and of the original ones"),
        expected="2",
        original="Tan & Le 2019, section 3.3: alpha 1.2, beta 1.1, gamma 1.15.",
    ),
    Claim(
        id="scaling.phi",
        section="scaling",
        statement="phi = 1 is EfficientNet-B0.",
        where="compound scaling",
        data="none",
        judge=Arithmetic(phi_of_b0, "the multipliers at phi = 0 and 1"),
        expected="phi = 1",
        original="Tan & Le 2019: B0 is the base network, phi = 0.",
    ),
    Claim(
        id="scaling.one_dimension",
        section="scaling",
        statement="Scaling one dimension alone is sub-optimal.",
        where="compound scaling",
        data="cifar10",
        judge=Order((
            ("scaling-depth", "scaling-compound"),
            ("scaling-width", "scaling-compound"),
            ("scaling-resolution", "scaling-compound"),
        )),
        expected="depth, width or resolution alone < all three, at about the same work",
        original="Tan & Le 2019, table 7, on ImageNet at 1.8 G FLOPs: depth 79.0 %, width 78.9 %, resolution 79.1 %, "
        "compound 81.1 %.",
        unstated={
            "experiment": Choice(
                "four small networks of about twice the work of efficientnet@d0.5,w0.5,r64, from scratch",
                "the study reports no experiment; `foray scale --search` searches the whole grid",
            )
        },
    ),
    Claim(
        id="analysis.separable",
        section="analysis",
        statement="A depthwise separable layer costs 8 to 9 times less than a standard one.",
        where="MobileNet's description",
        data="none",
        judge=Arithmetic(separable_layers, "multiply-accumulates of every separable layer of MobileNetV2"),
        expected="8 to 9 times",
        original="Howard et al. 2017, section 3.1: between 8 and 9 times less for 3 x 3.",
    ),
    Claim(
        id="analysis.attribution",
        section="analysis",
        statement="EfficientNet-B0's claimed accuracies are 87.5 % on CIFAR-100 and 98 % on CIFAR-10.",
        where="discussion of Table 1",
        data="none",
        judge=Arithmetic(misattribution, "against Tan & Le's table 5"),
        expected="87.5 % and 98 %",
        original="Tan & Le 2019, table 5: B0 88.1 % and 98.1 %; NASNet-A 87.5 % and 98.0 %.",
    ),
)  # fmt: skip
