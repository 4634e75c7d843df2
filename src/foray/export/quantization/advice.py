"""What the pre-check means for the choice of an architecture, in one sentence."""

from __future__ import annotations

from foray.specs import TF_PREFIX, ArchSpec

# Fewer labels kept than that and accuracy is likely to fall by more than a point.
_ENOUGH_AGREEMENT = 0.97


def advise(spec: ArchSpec, agreement: float, interval: tuple[float, float], n: int) -> str:
    """One sentence: what int8 will do to a network of `spec`, whose simulation kept `agreement` of `n` labels."""
    low, high = interval
    seen = f"simulated int8 keeps {agreement:.1%} of the labels (95 % interval {low:.1%} to {high:.1%}, n = {n})"
    if agreement >= _ENOUGH_AGREEMENT:
        return f"{spec.name} should quantise well to int8: {seen}."
    variant = quantizable_variant(spec)
    way_out = f", or {variant}, which was designed for it" if variant else ""
    return (
        f"{spec.name} will lose accuracy in int8: {seen}; expect to need layers in float32 or quantisation-aware "
        f"fine-tuning{way_out}."
    )


def quantizable_variant(spec: ArchSpec) -> str | None:
    """The relative of `spec` without squeeze-excitation whose activations are rectifiers, if there is one.

    EfficientNet-Lite replaces swish by ReLU6 and has no squeeze-excitation for that reason (Liu 2020, the TensorFlow
    blog); the minimalistic MobileNetV3 has neither (TensorFlow models, slim/nets/mobilenet).
    """
    if spec.family.startswith("efficientnet") and not spec.family.startswith("efficientnet_lite"):
        return "efficientnet_lite0"
    name = spec.name.removeprefix(TF_PREFIX)
    if name in ("mobilenet_v3_large", "mobilenet_v3_small"):
        return f"{name}_minimalistic"
    return None
