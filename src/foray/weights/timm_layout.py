"""Reading config.json of a timm repository: which architecture variant its weights belong to, and their preprocessing.

A folder in timm's layout holds `config.json` (architecture, num_classes, model_args, pretrained_cfg) and
`model.safetensors` with timm's state-dict keys.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foray.errors import UnknownNameError, WeightsError
from foray.limits import MOST_RESOLUTION
from foray.parsing import parse_json, shortened
from foray.regular_files import read_regular
from foray.specs import TF_PREFIX, ArchSpec, Padding, Preprocessing, Resize, get_spec, width_name
from foray.specs.tensorflow import TF_BN_EPS

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

# timm's names of the families here. `efficientnetv2_b0` -> `efficientnet_v2_b0`; `mobilenetv2_050` -> width 0.5.
_PLAIN = {
    **{f"efficientnet_b{i}": f"efficientnet_b{i}" for i in range(8)},
    **{f"efficientnet_lite{i}": f"efficientnet_lite{i}" for i in range(5)},
    **{f"efficientnetv2_{size}": f"efficientnet_v2_{size}" for size in ("b0", "b1", "b2", "b3", "s", "m", "l")},
    **{f"mobilenetv3_{size}_100": f"mobilenet_v3_{size}" for size in ("large", "small")},
    **{f"mobilenetv3_{size}_minimal_100": f"mobilenet_v3_{size}_minimalistic" for size in ("large", "small")},
    "mnasnet_050": "mnasnet0_5",
    "mnasnet_075": "mnasnet0_75",
    "mnasnet_100": "mnasnet1_0",
    "semnasnet_100": "mnasnet_a1",
    "ghostnet_050": "ghostnet_x0.5",
    "ghostnet_100": "ghostnet",
    "ghostnet_130": "ghostnet_x1.3",
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101)},
    "legacy_xception": "xception",
}
_WIDTHS = {"mobilenetv1": "mobilenet_v1", "mobilenetv2": "mobilenet_v2"}
_WIDTH_NAME = re.compile(r"(mobilenetv[12])_(\d{3})")

_TIMM_BN_EPS = 1e-5  # of every network without `tf_` in its name: PyTorch's
_PADDINGS: dict[str, Padding] = {"": "symmetric", "same": "same"}
_RESIZES: dict[str, Resize] = {"center": "cut", "squash": "squashed"}  # by timm's crop_mode
# timm arguments that change training or the head alone, which foray decides itself.
_HARMLESS_ARGS = {"num_classes", "drop_rate", "drop_path_rate", "bn_momentum"}
_FIXED_ARGS = {"in_chans": 3, "global_pool": "avg"}  # which timm writes out, and of which foray has one value each


@dataclass(frozen=True)
class TimmConfig:
    """What config.json says. `num_classes` 0: a backbone without classifier.

    `bn_eps`: the batch-norm epsilon of the weights, which may be another than that of `spec`. `classes`: their names,
    None where it does not name them all.
    """

    spec: ArchSpec
    bn_eps: float
    preprocessing: Preprocessing
    num_classes: int
    classes: tuple[str, ...] | None
    licence: str | None
    origin: str | None


def read_config(folder: Path) -> TimmConfig:
    """Reads `folder`/config.json.

    Raises WeightsError when it is missing, is not JSON, or describes an architecture or preprocessing foray has not.
    """
    path = folder / CONFIG_FILE
    config = _json(path)
    try:
        details = config.get("pretrained_cfg") or {}
        spec, bn_eps = _variant(str(config["architecture"]), dict(config.get("model_args") or {}))
        num_classes = int(config.get("num_classes", details.get("num_classes", 1000)))
        return TimmConfig(
            spec=spec,
            bn_eps=bn_eps,
            preprocessing=_preprocessing(details, spec.preprocessing),
            num_classes=num_classes,
            classes=_class_names(config.get("label_names"), config.get("label_descriptions") or {}, num_classes),
            licence=_text(details.get("license")),
            origin=_text(config.get("origin") or details.get("origin_url") or details.get("paper_name")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WeightsError(f"{path} is not a timm config: {type(error).__name__} {str(error)[:300]}.") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def config_beside(file: Path) -> TimmConfig | None:
    """What the config.json in the folder of a file of weights says; None where there is none, or none of timm's.

    Raises WeightsError when it cannot be read, or describes what foray has not.
    """
    path = file.parent / CONFIG_FILE
    if not path.exists():
        return None
    config = _json(path)
    return read_config(file.parent) if isinstance(config, dict) and "architecture" in config else None


def _json(path: Path) -> Any:
    try:
        return parse_json(read_regular(path))
    except FileNotFoundError:
        raise WeightsError(f"{path.parent} is not a folder in timm's layout: it has no {path.name}.") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON: {error}.") from error


def timm_bn_eps(spec: ArchSpec) -> float:
    """The batch-norm epsilon of timm's network of this padding, where nothing else is said."""
    return TF_BN_EPS if spec.padding == "same" else _TIMM_BN_EPS


def _variant(architecture: str, model_args: dict[str, Any]) -> tuple[ArchSpec, float]:
    """The spec timm's `create_model(architecture, **model_args)` stands for, and its batch-norm epsilon."""
    tensorflow = architecture.startswith(TF_PREFIX)
    padding = _PADDINGS.get(str(model_args.pop("pad_type", None) or ("same" if tensorflow else "")))
    stated = model_args.pop("bn_eps", None)
    bn_eps = (TF_BN_EPS if tensorflow else _TIMM_BN_EPS) if stated is None else float(stated)
    if not 0.0 < bn_eps < math.inf:
        raise WeightsError(f"the batch-norm epsilon bn_eps is {bn_eps:g}; it must be above 0.")
    for name, only in _FIXED_ARGS.items():
        if (other := model_args.pop(name, only)) != only:
            raise WeightsError(f"{name} is {shortened(repr(other))}; foray's networks have {only!r}.")
    if unknown := sorted(model_args.keys() - _HARMLESS_ARGS):
        raise WeightsError(f"foray does not support the model_args {', '.join(unknown)} of {shortened(architecture)}.")
    our_name = _our_name(architecture.removeprefix(TF_PREFIX))
    if our_name is None:
        raise WeightsError(f"foray has no architecture that is timm's {shortened(architecture)}.")
    for spec in _variants_of(our_name):
        if spec.padding == padding:
            return spec, bn_eps
    raise WeightsError(f"foray has no {our_name} with {padding or 'this'} padding (timm's {shortened(architecture)}).")


def _class_names(names: Any, descriptions: dict[str, Any], num_classes: int) -> tuple[str, ...] | None:
    """`label_names` with what `label_descriptions` begins with; None where they are not a name for each class."""
    if isinstance(names, dict):
        names = [names.get(str(i)) for i in range(num_classes)] if len(names) == num_classes else None
    if not isinstance(names, list) or len(names) != num_classes:
        return None
    described = [f"{name} {str(descriptions.get(str(name), '')).split(',')[0]}" for name in names if name is not None]
    classes = tuple(" ".join(text.split()) for text in described)
    return classes if len(set(classes) - {""}) == num_classes else None


def _variants_of(name: str) -> Iterator[ArchSpec]:
    """The symmetric variant, and TensorFlow's where there is one."""
    yield get_spec(name)
    with contextlib.suppress(UnknownNameError):
        yield get_spec(TF_PREFIX + name)


def _our_name(timm_name: str) -> str | None:
    """foray's name of the symmetric variant; None where there is none."""
    if match := _WIDTH_NAME.fullmatch(timm_name):
        family, percent = match.groups()
        name = width_name(_WIDTHS[family], int(percent) / 100)
        try:
            return get_spec(name).name
        except UnknownNameError:
            return None
    return _PLAIN.get(timm_name)


def _preprocessing(details: dict[str, Any], default: Preprocessing) -> Preprocessing:
    """`pretrained_cfg` as Preprocessing; what it leaves out is the spec's."""
    channels, height, width = details.get("input_size", (3, default.resolution, default.resolution))
    if channels != 3:
        raise WeightsError(f"the input has {shortened(channels)} channels; foray feeds RGB images.")
    if height != width:
        raise WeightsError(f"the input is {height} x {width}; foray supports square inputs only.")
    if int(height) > MOST_RESOLUTION:
        raise WeightsError(
            f"the input has {shortened(height)} pixels per side; foray supports at most {MOST_RESOLUTION}."
        )
    interpolation = details.get("interpolation", default.interpolation)
    if interpolation not in ("bilinear", "bicubic"):
        raise WeightsError(f"foray does not support the interpolation {shortened(interpolation)!r}.")
    crop_mode = details.get("crop_mode", "center")
    if crop_mode not in _RESIZES:
        raise WeightsError(
            f"foray does not support the crop_mode {shortened(crop_mode)!r}, only {', '.join(_RESIZES)}."
        )
    return Preprocessing(
        resolution=int(height),
        crop_pct=float(details.get("crop_pct", default.crop_pct)),
        interpolation=interpolation,
        mean=_triple(details.get("mean", default.mean)),
        std=_triple(details.get("std", default.std)),
        resize=_RESIZES[crop_mode],
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _text(value: Any) -> str | None:
    return str(value) if value else None
