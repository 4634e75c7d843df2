"""Which architectures there are, and what their variants differ in."""

from __future__ import annotations

import pytest

from foray.errors import UnknownNameError
from foray.specs import HALF, IMAGENET_MEAN, IMAGENET_STD, get_spec, spec_names

# Parameters with 1000 classes: papers' releases, Keras's trainable weights, torchvision's num_params.
PUBLISHED_PARAMS = {
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "efficientnet_v2_b0": 7_139_704,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v1_x0.75": 2_585_560,
    "mobilenet_v1_x0.5": 1_331_592,
    "mobilenet_v1_x0.25": 470_072,
    "mobilenet_v2_x1.4": 6_108_776,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v2_x0.75": 2_636_424,
    "mobilenet_v2_x0.5": 1_968_680,
    "mobilenet_v2_x0.35": 1_677_128,
    "mobilenet_v2_x0.25": 1_519_112,
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
    "efficientnet_v2_b1": 8_141_052,
    "efficientnet_v2_b2": 10_096_086,
    "efficientnet_v2_b3": 14_358_406,
    "efficientnet_v2_s": 21_458_488,
    "efficientnet_v2_m": 54_139_356,
    "efficientnet_v2_l": 118_515_272,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large_minimalistic": 3_924_288,
    "mobilenet_v3_small_minimalistic": 2_044_736,
    "mnasnet0_5": 2_218_512,
    "mnasnet0_75": 3_170_208,
    "mnasnet1_0": 4_383_312,
    "mnasnet1_3": 6_282_256,
    "mnasnet_a1": 3_887_038,
    "xception": 22_855_952,
}
WITHOUT_TENSORFLOW_VARIANT = {
    "ghostnet_x0.5": 2_587_292,
    "ghostnet": 5_182_508,
    "ghostnet_x1.3": 7_358_820,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
}
KERAS_DECAY = {
    "efficientnet": 0.99,
    "efficientnet_lite": 0.99,
    "efficientnet_v2": 0.9,
    "mnasnet": 0.99,
    "mobilenet_v1": 0.99,
    "mobilenet_v2": 0.999,
    "mobilenet_v3": 0.999,
    "xception": 0.99,
}
HALF_MEAN = ("mobilenet_v1", "efficientnet_lite", "xception")


def test_every_network_of_the_table_is_listed_with_its_tensorflow_variant() -> None:
    both = set(PUBLISHED_PARAMS) | {f"tf_{name}" for name in PUBLISHED_PARAMS}
    assert set(spec_names()) == both | set(WITHOUT_TENSORFLOW_VARIANT)


@pytest.mark.parametrize("name", spec_names())
def test_published_numbers_are_those_of_the_table_with_their_source(name: str) -> None:
    published = get_spec(name).published
    assert published is not None
    assert published.params == (PUBLISHED_PARAMS | WITHOUT_TENSORFLOW_VARIANT)[name.removeprefix("tf_")]
    assert published.source
    assert published.top1 is None or 0.4 < published.top1 < 0.9


@pytest.mark.parametrize("name", sorted(PUBLISHED_PARAMS))
def test_the_tensorflow_variant_has_the_same_table_and_other_conventions(name: str) -> None:
    plain, tf = get_spec(name), get_spec(f"tf_{name}")
    assert (tf.stem, tf.stages, tf.head, tf.activation) == (plain.stem, plain.stages, plain.head, plain.activation)
    assert (plain.padding, tf.padding) == ("symmetric", "same")
    assert tf.bn_eps == 1e-3
    assert tf.bn_momentum == pytest.approx(1 - KERAS_DECAY[tf.family])


@pytest.mark.parametrize("name", spec_names())
def test_preprocessing_belongs_to_the_variant(name: str) -> None:
    spec = get_spec(name)
    assert spec.preprocessing.resolution == spec.resolution
    half = (
        spec.family in HALF_MEAN
        or name.startswith(("tf_mobilenet", "tf_efficientnet_v2_s", "tf_efficientnet_v2_m", "tf_efficientnet_v2_l"))
        or name == "efficientnet_v2_l"
    )
    expected = (HALF, HALF) if half else (IMAGENET_MEAN, IMAGENET_STD)
    assert (spec.preprocessing.mean, spec.preprocessing.std) == expected


def test_widths_have_one_name() -> None:
    assert get_spec("mobilenet_v2_x1.0") is get_spec("mobilenet_v2")
    assert get_spec("tf_mobilenet_v1_x0.50") is get_spec("tf_mobilenet_v1_x0.5")


def test_other_widths_are_built_on_request_without_published_numbers() -> None:
    spec = get_spec("tf_mobilenet_v2_x1.3")
    assert (spec.name, spec.width_mult, spec.padding) == ("tf_mobilenet_v2_x1.3", 1.3, "same")
    assert spec.published is None
    assert spec.name not in spec_names()


@pytest.mark.parametrize(
    ("slip", "nearest"),
    [
        ("mobilnet_v2", "mobilenet_v2"),
        ("efficientnet-b0", "efficientnet_b0"),
        ("efficientnetv2_b0", "efficientnet_v2_b0"),
        ("EfficientNet_B3", "efficientnet_b3"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(slip: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean") as caught:
        get_spec(slip)
    assert nearest in caught.value.nearest
    assert slip in str(caught.value)


@pytest.mark.parametrize("name", ["mobilenet_v2_x0", "mobilenet_v2_x50", "mobilenet_v2_x", "efficientnet_b0_x0.5", ""])
def test_impossible_widths_are_unknown_names(name: str) -> None:
    with pytest.raises(UnknownNameError):
        get_spec(name)
