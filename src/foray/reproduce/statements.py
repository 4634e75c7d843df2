"""Every sentence of the study that states a fact, in short words, with the claims that judge it."""

from __future__ import annotations

from typing import NamedTuple


class Statement(NamedTuple):
    """One statement of the study. `claims`: names of foray.reproduce.all_claims.CLAIMS."""

    text: str
    claims: tuple[str, ...]


_SIZES = ("b0", "b1", "b2")

STATEMENTS = (
    Statement("Scaling maximises accuracy subject to targets of memory and FLOPs.", ("scaling.objective",)),
    Statement("Depth, width and resolution are alpha, beta and gamma to the power of phi.", ("scaling.rule",)),
    Statement("alpha * beta^2 * gamma^2 is about 2, with 1.2, 1.1 and 1.1.", ("scaling.product",)),
    Statement("phi = 1 is called B0.", ("scaling.phi",)),
    Statement(
        "Scaling one dimension alone is sub-optimal.", ("scaling.one_dimension.paper", "scaling.one_dimension")
    ),
    Statement("MobileNetV2 has inverted residuals and linear bottlenecks.", ("analysis.blocks",)),
    Statement(
        "A depthwise separable layer costs h w d_in (k^2 + d_out), a standard one h w d_in d_out k^2.",
        ("analysis.separable.formula",),
    ),
    Statement("At k = 3 the inverted residual layer costs 8 to 9 times less.", ("analysis.separable",)),
    Statement(
        "EfficientNetV2 is smaller and faster than EfficientNet.",
        ("related.efficientnet_v2.smaller", "related.efficientnet_v2.latency"),
    ),
    Statement(
        "MobileNetV3 is faster than MobileNetV2 at the same or better accuracy.",
        ("related.mobilenet_v3.faster", "related.mobilenet_v3.latency"),
    ),
    Statement("GhostNet is cheaper.", ("related.ghostnet.cheaper", "related.ghostnet.latency")),
    Statement(
        "EfficientNets fine-tuned on CIFAR-10 reach 91.2 % (B0), 91.3 % (B1) and 91.7 % (B2).",
        tuple(f"table1.cifar10.{b}" for b in _SIZES),
    ),
    Statement("EfficientNet-B0 fine-tuned on CIFAR-100 reaches 86.9 %.", ("table1.cifar100.b0",)),
    Statement(
        "EfficientNets from scratch on DeepWeeds reach 93.5 % (B0), 94.7 % (B1) and 95.0 % (B2).",
        tuple(f"table1.deepweeds.{b}" for b in _SIZES),
    ),
    Statement("B0 has 90.5 % on DeepWeeds at epoch 70.", ("table1.deepweeds.b0.epoch70",)),
    Statement("A larger phi is better.", ("table1.larger_is_better", "table1.larger_is_better.scratch")),
    Statement("The paper claims 87.5 % and 98 % for EfficientNet-B0.", ("analysis.attribution",)),
    Statement("CIFAR-100 comes close to the paper.", ("table1.cifar100.close",)),
    Statement("CIFAR-10 stays far from the paper.", ("table1.cifar10.far",)),
    Statement("SGD is the reason for CIFAR-10.", ("table1.cifar10.sgd",)),
    Statement("On Rock-Paper-Scissors B0 at 150 px reaches 86 %.", ("table1.rps.b0",)),
    Statement(
        "B2 at 300 px reaches 92.4 %, more than B0 at 150 px.", ("table1.rps.b2", "table1.rps.b2_above_b0")
    ),
    Statement("An epoch of B2 at 300 px is 50 % slower than one of B0 at 150 px.", ("table1.rps.slower",)),
    Statement("Pretrained MobileNetV2 has about 71 % on ILSVRC2012 validation.", ("mobilenet.imagenet",)),
    Statement("Its paper has 72 %.", ("mobilenet.imagenet.paper",)),
    Statement("A new head on the frozen MobileNetV2 reaches 79.95 % on DeepWeeds.", ("mobilenet.frozen",)),
    Statement("The last 34 layers unfrozen are no better.", ("mobilenet.last34.no_better",)),
    Statement("They slowly over-fit.", ("mobilenet.last34.overfits",)),
    Statement("SGD at 1e-2 gives a very similar result.", ("mobilenet.sgd.similar", "mobilenet.frozen.sgd")),
    Statement("The whole network reaches 89 % after 20 epochs.", ("mobilenet.whole",)),
    Statement("That is considerably better than the frozen backbone.", ("mobilenet.whole.better",)),
    Statement("Train is high early, yet val keeps rising.", ("mobilenet.whole.keeps_rising",)),
    Statement("Training the whole network takes considerably longer.", ("mobilenet.whole.longer",)),
    Statement("Figure 1 shows the frozen run; its caption says that no weights are frozen.", ("figure1.caption",)),
    Statement("MobileNetV2 was trained in the same way as EfficientNet.", ("comparison.same_training",)),
    Statement("The parameter counts are not drastically different.", ("comparison.parameters_similar",)),
    Statement(
        "MobileNetV2 trains much faster than B0, B1 and B2.",
        (
            *(f"comparison.faster_to_train.{b}" for b in _SIZES),
            *(f"comparison.faster_to_train.total.{b}" for b in _SIZES),
        ),
    ),
    Statement(
        "EfficientNet is more accurate: every EfficientNet is above every MobileNetV2.",
        (
            "comparison.every_efficientnet_above",
            *(f"comparison.equal_protocol.{of}" for of in ("b0", "v2b0", "scratch", "cifar")),
        ),
    ),
    Statement("MobileNetV2 (0.89) is close to EfficientNet-B0 (0.935).", ("comparison.close",)),
    Statement("MobileNetV2 is cheaper to deploy.", ("comparison.cheaper_to_deploy",)),
    Statement("MobileNetV2 does not require much fine-tuning.", ("comparison.little_tuning",)),
)  # fmt: skip
