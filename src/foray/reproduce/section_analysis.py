"""The analytical claims: compound scaling, separable convolutions, and the numbers of others."""

from __future__ import annotations

from foray.recipes import Choice
from foray.reproduce.arithmetic import misattribution
from foray.reproduce.arithmetic_costs import blocks, eight_to_nine, separable_formula
from foray.reproduce.arithmetic_scaling import (
    compound_product,
    compound_rule,
    objective,
    one_dimension_in_the_paper,
    phi_of_b0,
)
from foray.reproduce.claim import Arithmetic, Claim, Order

_SCALING = "compound scaling"
_MOBILENET = "MobileNet's description"
_ONE_DIMENSION = "Scaling one dimension alone is sub-optimal."

CLAIMS = (
    Claim(
        id="scaling.objective",
        section="scaling",
        statement="Scaling maximises accuracy subject to memory and FLOPs within their targets.",
        where=_SCALING,
        data="none",
        judge=Arithmetic(objective, "against the paper's equation 2, and solved for one example"),
        expected="accuracy, subject to memory and FLOPs",
        original="Tan & Le 2019, equation 2: the same.",
    ),
    Claim(
        id="scaling.rule",
        section="scaling",
        statement="Depth, width and resolution are alpha, beta and gamma to the power of phi.",
        where=_SCALING,
        data="none",
        judge=Arithmetic(compound_rule, "against the paper's equation 3, and the released networks"),
        expected="alpha^phi, beta^phi, gamma^phi",
        original="Tan & Le 2019, equation 3: the same.",
    ),
    Claim(
        id="scaling.product",
        section="scaling",
        statement="alpha * beta^2 * gamma^2 is about 2 with alpha 1.2, beta 1.1, gamma 1.1.",
        where=_SCALING,
        data="none",
        judge=Arithmetic(compound_product, "the product of the printed constants, and of the original ones"),
        expected="2",
        original="Tan & Le 2019, section 4: alpha 1.2, beta 1.1, gamma 1.15.",
    ),
    Claim(
        id="scaling.phi",
        section="scaling",
        statement="phi = 1 is EfficientNet-B0.",
        where=_SCALING,
        data="none",
        judge=Arithmetic(phi_of_b0, "the multipliers at phi = 0 and 1"),
        expected="phi = 1",
        original="Tan & Le 2019: B0 is the base network, phi = 0.",
    ),
    Claim(
        id="scaling.one_dimension.paper",
        section="scaling",
        statement=_ONE_DIMENSION,
        where=_SCALING,
        data="none",
        judge=Arithmetic(one_dimension_in_the_paper, "the paper's table 7, its multiply-accumulates counted again"),
        expected="one dimension alone < all three",
        original="Tan & Le 2019, table 7, on ImageNet.",
    ),
    Claim(
        id="scaling.one_dimension",
        section="scaling",
        statement=_ONE_DIMENSION,
        where="compound scaling; the study has no experiment, this one is ours",
        data="cifar10",
        judge=Order((
            ("scaling-depth", "scaling-compound"),
            ("scaling-width", "scaling-compound"),
            ("scaling-resolution", "scaling-compound"),
        )),
        origin="ours",
        expected="depth, width or resolution alone < all three, at about the same work",
        brief="scaling all three dimensions is better than one alone",
        original="Tan & Le 2019, table 7: see the claim scaling.one_dimension.paper.",
        unstated={
            "experiment": Choice(
                "four small networks of about twice the work of efficientnet@d0.6,w0.4,r64, from scratch",
                "the study reports no experiment; `foray scale --search` searches the whole grid",
            )
        },
    ),
    Claim(
        id="analysis.blocks",
        section="analysis",
        statement="MobileNetV2 is built of inverted residuals with linear bottlenecks.",
        where=_MOBILENET,
        data="none",
        judge=Arithmetic(blocks, "widths and last activations of every block of the network"),
        expected="wide inside, no activation at the end",
        original="Sandler et al. 2018, section 3.",
    ),
    Claim(
        id="analysis.separable.formula",
        section="analysis",
        statement="A depthwise separable layer costs h w d_in (k^2 + d_out), a standard one h w d_in d_out k^2.",
        where=_MOBILENET,
        data="none",
        judge=Arithmetic(separable_formula, "against the multiply-accumulates of the executed MobileNetV2"),
        expected="the same number for every layer",
        original="Sandler et al. 2018, equation 1: the same.",
    ),
    Claim(
        id="analysis.separable",
        section="analysis",
        statement="With k = 3 an inverted residual layer costs 8 to 9 times less than a standard one.",
        where=_MOBILENET,
        data="none",
        judge=Arithmetic(
            eight_to_nine,
            "reproduced when all layers of MobileNetV2 lie between 8 and 9, and its inverted residual layers together",
        ),
        expected="8 to 9 times",
        original="Sandler et al. 2018, section 3.1, say 8 to 9 times of depthwise separable convolutions, which are "
        "two of the three in an inverted residual layer; so do Howard et al. 2017, section 3.1.",
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
