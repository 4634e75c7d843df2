"""Reading config.json of a timm repository: which architecture variant its weights belong to, and their preprocessing.

A folder in timm's layout holds `config.json` (architecture, num_classes, model_args, pretrained_cfg) and
`model.safetensors` with timm's state-dict keys.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foray.errors import UnknownNameError, WeightsError
from foray.limits import MOST_RESOLUTION
from foray.parsing import parse_json, shortened
from foray.regular_files import read_regular
from foray.specs import TF_PREFIX, ArchSpec, Padding, Preprocessing, get_spec, width_name

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

_PADDINGS: dict[str, Padding] = {"": "symmetric", "same": "same"}
# timm arguments that change training or the head alone, which foray decides itself.
_HARMLESS_ARGS = {"num_classes", "drop_rate", "drop_path_rate", "bn_momentum"}


@dataclass(frozen=True)
class TimmConfig:
    """What config.json says. `num_classes` 0: a backbone without classifier."""

    spec: ArchSpec
    preprocessing: Preprocessing
    num_classes: int
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
        spec = _variant(str(config["architecture"]), dict(config.get("model_args") or {}))
        return TimmConfig(
            spec=spec,
            preprocessing=_preprocessing(details, spec.preprocessing),
            num_classes=int(config.get("num_classes", details.get("num_classes", 1000))),
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


def _variant(architecture: str, model_args: dict[str, Any]) -> ArchSpec:
    """The spec timm's `create_model(architecture, **model_args)` stands for."""
    tensorflow = architecture.startswith(TF_PREFIX)
    padding = _PADDINGS.get(str(model_args.pop("pad_type", None) or ("same" if tensorflow else "")))
    bn_eps = float(model_args.pop("bn_eps", None) or (1e-3 if tensorflow else 1e-5))
    if unknown := sorted(model_args.keys() - _HARMLESS_ARGS):
        raise WeightsError(f"foray does not know the model_args {', '.join(unknown)} of {shortened(architecture)}.")
    name = _our_name(architecture.removeprefix(TF_PREFIX))
    for spec in _variants_of(name) if name else ():
        if spec.padding == padding and abs(spec.bn_eps - bn_eps) < 1e-9:
            return spec
    raise WeightsError(
        f"foray has no architecture for {shortened(architecture)} with {padding or 'this'} padding and batch-norm eps "
        f"{bn_eps:g}."
    )


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
    _, height, width = details.get("input_size", (3, default.resolution, default.resolution))
    if height != width:
        raise WeightsError(f"the input is {height} x {width}; foray feeds squares only.")
    if int(height) > MOST_RESOLUTION:
        raise WeightsError(f"the input has {shortened(height)} pixels a side; foray takes at most {MOST_RESOLUTION}.")
    interpolation = details.get("interpolation", default.interpolation)
    if interpolation not in ("bilinear", "bicubic"):
        raise WeightsError(f"foray does not know the interpolation {shortened(interpolation)!r}.")
    if details.get("crop_mode", "center") != "center":
        raise WeightsError(f"foray does not know the crop_mode {shortened(details['crop_mode'])!r}, only 'center'.")
    return Preprocessing(
        resolution=int(height),
        crop_pct=float(details.get("crop_pct", default.crop_pct)),
        interpolation=interpolation,
        mean=_triple(details.get("mean", default.mean)),
        std=_triple(details.get("std", default.std)),
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _text(value: Any) -> str | None:
    return str(value) if value else None
