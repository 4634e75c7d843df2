"""device.json: costs measured on another device, which take the place of local ones in budgets and report.

The file holds one `DeviceProfiles` record,

    {"schema_version": 1, "device": "Raspberry Pi 5", "profiles": [{CostProfile}, ...]}

or, for one model, a bare `CostProfile` as found in a run's profile.json. Times, bytes and counts as in `CostProfile`;
`device` is the label shown beside every number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from foray.deploy.bench import PRECISIONS
from foray.errors import RunError
from foray.parsing import parse_json
from foray.records import CostProfile
from foray.records.record import Record
from foray.regular_files import read_regular


class DeviceProfiles(Record):
    """device.json: costs of several networks on one device. `device`: its label, which replaces the profiles' own."""

    schema_version: Literal[1] = 1
    device: str = Field(min_length=1)
    profiles: list[CostProfile] = Field(min_length=1)

    @field_validator("profiles", mode="before")
    @classmethod
    def _without_their_own_digests(cls, profiles: Any) -> Any:
        """Whoever puts profile.json files together by hand brings their digests along."""
        if not isinstance(profiles, list):
            return profiles
        return [
            {key: value for key, value in profile.items() if key != "digest"} if isinstance(profile, dict) else profile
            for profile in profiles
        ]


def save_profiles(path: Path, device: str, profiles: Iterable[CostProfile]) -> None:
    """Writes device.json, atomically."""
    DeviceProfiles(device=device, profiles=list(profiles)).save(path)


def require_replaceable(path: Path, device: str) -> None:
    """Raises RunError where writing `path`, costs measured on `device`, would take away what was measured elsewhere."""
    if not path.exists():
        return
    there = DeviceProfiles.load(path).device
    if there != device:
        raise RunError(f"{path} was measured on {there}, and would be overwritten. Choose another folder with `out`.")


def load_profiles(
    path: Path, wanted: Mapping[str, int] | None = None, runtime: str | None = None, precision: str | None = None
) -> dict[str, CostProfile]:
    """The costs in `path` by model name, each labelled with the device.

    `wanted` (model name: resolution in pixels) asks for exactly these; without it every model of the file comes back.
    `runtime` and `precision` (fp32, fp16, bf16, int8) choose between several profiles of one model.
    Raises RunError when the file is missing, damaged or of another version, when a wanted model was not measured at
    its resolution, and when several profiles fit one model.
    """
    profiles = _on(path, _read(path), runtime, precision)
    if wanted is None:
        return {name: _only(path, name, [p for p in profiles if p.model == name]) for name in _names(profiles)}
    return {name: _matching(path, profiles, name, resolution) for name, resolution in wanted.items()}


def _read(path: Path) -> list[CostProfile]:
    if _is_one_profile(path):
        profile = CostProfile.load(path)
        unnamed = profile.device == CostProfile.model_fields["device"].default
        device = profile.hardware.label() if unnamed and profile.hardware else profile.device
        return [profile.model_copy(update={"device": device})]
    record = DeviceProfiles.load(path)
    return [profile.model_copy(update={"device": record.device}) for profile in record.profiles]


def _on(path: Path, profiles: list[CostProfile], runtime: str | None, precision: str | None) -> list[CostProfile]:
    in_full = PRECISIONS.get(precision, precision) if precision else None
    found = [p for p in profiles if p.runtime == (runtime or p.runtime) and p.precision == (in_full or p.precision)]
    if not found:
        measured = ", ".join(dict.fromkeys(f"{p.runtime} {p.precision}" for p in profiles))
        asked = " ".join(filter(None, (runtime, in_full)))
        raise RunError(f"{path} has nothing measured on {asked}; it has {measured}. Measure that on the device too.")
    return found


def _is_one_profile(path: Path) -> bool:
    try:
        content = parse_json(read_regular(path))
    except (OSError, ValueError):
        return False  # the record's own reading says what is wrong
    return isinstance(content, dict) and "profiles" not in content and "model" in content


def _matching(path: Path, profiles: list[CostProfile], model: str, resolution: int) -> CostProfile:
    of_model = [profile for profile in profiles if profile.model == model]
    if not of_model:
        raise RunError(
            f"{path} has no profile of {model}; it has {', '.join(_names(profiles))}. "
            "Measure the model on the device too, or leave `profiles` out."
        )
    at_resolution = [profile for profile in of_model if profile.resolution == resolution]
    if not at_resolution:
        measured = " and ".join(f"{profile.resolution}" for profile in of_model)
        raise RunError(
            f"{path} has {model} at {measured} px, but it is compared at {resolution} px. Measure it on the device at "
            f"{resolution} px, or compare at the measured resolution."
        )
    return _only(path, model, at_resolution)


def _only(path: Path, model: str, profiles: list[CostProfile]) -> CostProfile:
    if len(profiles) > 1:
        kinds = "; ".join(f"{p.resolution} px, {p.runtime}, {p.precision}, {p.threads} threads" for p in profiles)
        raise RunError(
            f"{path} has {len(profiles)} profiles of {model} ({kinds}). Keep the one to decide by, or choose it with "
            "`runtime` and `precision`."
        )
    return profiles[0]


def _names(profiles: list[CostProfile]) -> list[str]:
    return list(dict.fromkeys(profile.model for profile in profiles))
