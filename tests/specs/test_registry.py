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
}
KERAS_DECAY = {"efficientnet": 0.99, "efficientnet_v2": 0.9, "mobilenet_v1": 0.99, "mobilenet_v2": 0.999}


def test_every_network_of_the_table_is_listed_with_its_tensorflow_variant() -> None:
    assert set(spec_names()) == set(PUBLISHED_PARAMS) | {f"tf_{name}" for name in PUBLISHED_PARAMS}


@pytest.mark.parametrize("name", spec_names())
def test_published_numbers_are_those_of_the_table_with_their_source(name: str) -> None:
    published = get_spec(name).published
    assert published is not None
    assert published.params == PUBLISHED_PARAMS[name.removeprefix("tf_")]
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
    half = spec.family == "mobilenet_v1" or name.startswith("tf_mobilenet")
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
