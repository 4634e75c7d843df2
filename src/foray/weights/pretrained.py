"""Finding published weights, in timm's layout or in a file of another project."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from foray.errors import UnknownNameError, WeightsError
from foray.parsing import home_expanded
from foray.progress import SILENT, Progress
from foray.records import file_sha256
from foray.regular_files import is_there
from foray.specs import TF_PREFIX, ArchSpec, Preprocessing, ScaledName, get_spec, listed_twin
from foray.weights import hub
from foray.weights.keras_file import KERAS_SUFFIXES, check_keras_has, read_keras
from foray.weights.key_map import CLASSIFIER_KEYS
from foray.weights.layouts import Layout, layout_of, names_in
from foray.weights.tensor_file import read_weights
from foray.weights.timm_layout import CONFIG_FILE, WEIGHTS_FILE, TimmConfig, config_beside, read_config, timm_bn_eps

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # what begins with a dot is a path
_FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", *KERAS_SUFFIXES)  # and so is the name of a file
# Their networks are TensorFlow's, with its padding and batch norm; names of torchvision's and timm's do not say.
_TENSORFLOW_LAYOUTS = ("keras", "lukemelas")


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights that were found and not read yet.

    `spec`: the variant they belong to; `preprocessing`: what they were trained with; `num_classes` 0: no classifier;
    `path`: the file with the tensors; `layout`: whose names they have. `source`: folder, file or hub id; `sha256`: of
    the file. `bn_eps`: the batch-norm epsilon they were trained with. `classes`: their names, None where the config
    does not name them. `notes`: what the file left open, and how foray settled it.
    """

    spec: ArchSpec
    preprocessing: Preprocessing
    num_classes: int
    path: Path
    layout: Layout
    source: str
    sha256: str
    licence: str | None
    origin: str | None
    bn_eps: float
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def find_weights(
    source: str | Path, requested: str, *, offline: bool = False, progress: Progress = SILENT
) -> PretrainedWeights:
    """Weights for the architecture `requested` from `source`.

    `source`: a folder in timm's layout, a folder of such folders, a hub id (`timm/...`), "hub" for the published
    weights foray knows of, a .pth file of torchvision, timm or lukemelas' EfficientNet-PyTorch, or an .h5 file of
    keras.applications. A config.json of timm's beside a file is read, as in a folder. Without one, what is assumed
    about padding, mean and deviation is said to `progress` and stands in the notes.

    Weights of exactly `requested` are preferred; those of its TensorFlow variant do as well, and the spec returned says
    which: the network to build is that of the returned spec. Asking for a `tf_` variant by name accepts that variant
    only. A scaled name (`mobilenet_v2@w0.5,r160`) takes the weights of the listed network that it is in all but the
    resolution.

    Raises UnknownNameError for an unknown architecture, WeightsError when nothing fits or more than one folder does.
    """
    scaled = get_spec(requested)
    if scaled.fixed_resolution:
        return _at_scaled_resolution(
            find_weights(source, _twin_of(scaled), offline=offline, progress=progress), scaled.resolution
        )
    wanted = _accepted_names(requested)
    path = home_expanded(source)
    if is_there(path) and not path.is_dir():
        found = _described_file(path, wanted)
        for note in found.notes:
            progress.note(note)
        return found
    hub_id = hub_id_of(source, requested)
    if hub_id is None:
        if is_there(path / CONFIG_FILE) or is_there(path / WEIGHTS_FILE):
            return _described(path / WEIGHTS_FILE, path.resolve().name, read_config(path), wanted)
        return _search(path, wanted)
    folder = hub.fetch(hub_id, offline=offline, progress=progress)
    return _described(folder / WEIGHTS_FILE, hub_id, read_config(folder), wanted)


def hub_id_of(source: str | Path, requested: str) -> str | None:
    """The repository on the hub that `source` means for the architecture `requested`; None where it is a folder.

    Raises UnknownNameError, and WeightsError when there is neither a folder nor a repository of that name.
    """
    spec = get_spec(requested)
    if str(source) == "hub":
        return hub.hub_id_for(_twin_of(spec) if spec.fixed_resolution else spec.name)
    if is_there(home_expanded(source)):
        return None
    if isinstance(source, str) and _HUB_ID.fullmatch(source) and not source.lower().endswith(_FILE_SUFFIXES):
        return source
    raise WeightsError(
        f"There are no weights at {source}: give a folder in timm's layout, a folder of such folders, a "
        '.safetensors, .pth or .h5 file, a hub id, or "hub".'
    )


def _twin_of(scaled: ArchSpec) -> str:
    """The listed network whose weights fit a scaled one. Raises WeightsError where there is none."""
    if twin := listed_twin(scaled):
        return twin
    raise WeightsError(
        f"There are no pretrained weights of {scaled.name}: no network of these depths and widths has been released. "
        "Train it with `protocol` scratch, or take a released network at another resolution."
    )


def _at_scaled_resolution(found: PretrainedWeights, resolution: int) -> PretrainedWeights:
    """Weights of a listed network as those of the same table at `resolution` pixels, under its scaled name."""
    listed = found.spec
    family = (TF_PREFIX if listed.name.startswith(TF_PREFIX) else "") + listed.family
    spec = get_spec(str(ScaledName(family, listed.depth_mult, listed.width_mult, resolution)))
    return replace(found, spec=spec, preprocessing=replace(found.preprocessing, resolution=resolution))


def _accepted_names(requested: str) -> tuple[str, ...]:
    """Variants that satisfy `requested`, best first."""
    name = get_spec(requested).name
    return (name,) if name.startswith(TF_PREFIX) else (name, TF_PREFIX + name)


def _search(parent: Path, wanted: tuple[str, ...]) -> PretrainedWeights:
    """The one folder below `parent` with weights of the first of the `wanted` variants that any has."""
    configs: dict[Path, TimmConfig] = {}
    unreadable: list[str] = []
    for config_file in sorted(parent.glob(f"*/{CONFIG_FILE}")):
        try:
            configs[config_file.parent] = read_config(config_file.parent)
        except WeightsError as error:  # weights of some other family do not spoil the folder
            unreadable.append(str(error))
    for name in wanted:
        found = {folder: config for folder, config in configs.items() if config.spec.name == name}
        if len(found) > 1:
            names = ", ".join(folder.name for folder in found)
            raise WeightsError(f"{parent} has several weights of {name}: {names}. Name the folder you mean.")
        for folder, config in found.items():
            return _described(folder / WEIGHTS_FILE, folder.name, config, wanted)
    have = (
        f"It has weights of {', '.join(sorted({config.spec.name for config in configs.values()}))}." if configs else ""
    )
    skipped = f"Skipped: {' '.join(unreadable)}" if unreadable else ""
    raise WeightsError(
        " ".join(part for part in (f"{parent} has no weights of {' or '.join(wanted)}.", have, skipped) if part)
    )


def _described(path: Path, source: str, config: TimmConfig, wanted: tuple[str, ...]) -> PretrainedWeights:
    """A safetensors file with timm's names, and the config in its folder."""
    if config.spec.name not in wanted:
        raise WeightsError(f"The weights in {source} are of {config.spec.name}, not of {' or '.join(wanted)}.")
    if not path.is_file():
        raise WeightsError(f"{path.parent} has no {path.name} (foray reads no pickled weights).")
    return PretrainedWeights(
        spec=config.spec,
        preprocessing=config.preprocessing,
        num_classes=config.num_classes,
        path=path,
        layout="timm",
        source=source,
        sha256=file_sha256(path),
        licence=config.licence,
        origin=config.origin,
        bn_eps=config.bn_eps,
        classes=config.classes,
    )


def _described_file(path: Path, wanted: tuple[str, ...]) -> PretrainedWeights:
    """Weights in one file, of the architecture that the config.json beside it states, else of the one asked for."""
    config = config_beside(path)
    if config and config.spec.name not in wanted:
        raise _contradiction(path, f"{path.name} is of {config.spec.name}, and {' or '.join(wanted)} was asked for")
    tensors, layout, note = _contents(path, wanted[0])
    spec = get_spec(wanted[0])
    if layout in _TENSORFLOW_LAYOUTS:
        spec = _tensorflow_spec(wanted[0])
        if config and config.spec != spec:
            raise _contradiction(path, f"{path.name} is of {config.spec.name}, and its layers are of {spec.name}")
    classifier = tensors.get(names_in(layout, spec)[CLASSIFIER_KEYS[0]])
    num_classes = 0 if classifier is None else int(classifier.shape[0])
    if config and config.num_classes != num_classes:
        raise _contradiction(path, f"{path.name} has {config.num_classes} classes, and it has {num_classes}")
    bn_eps = timm_bn_eps(spec) if layout == "timm" else spec.bn_eps
    assumed = () if config else (_assumption(path.name, spec, layout),)
    return PretrainedWeights(
        spec=config.spec if config else spec,
        preprocessing=config.preprocessing if config else spec.preprocessing,
        num_classes=num_classes,
        path=path,
        layout=layout,
        source=f"{path.resolve().parent.name}/{path.name}" if config else path.name,
        sha256=file_sha256(path),
        licence=config.licence if config else None,
        origin=config.origin if config else None,
        bn_eps=config.bn_eps if config else bn_eps,
        classes=config.classes if config else None,
        notes=(*note, *assumed),
    )


def _contents(path: Path, requested: str) -> tuple[dict[str, Tensor], Layout, tuple[str, ...]]:
    """The tensors of a file, whose names they have, and a note where the file held others as well."""
    if path.suffix in KERAS_SUFFIXES:
        check_keras_has(get_spec(requested))
        return read_keras(path, _tensorflow_spec(requested)), "keras", ()
    stored = read_weights(path)
    note = f"{path.name} holds {' and '.join((stored.taken or '', *stored.left))}: foray takes {stored.taken}."
    return stored.tensors, layout_of(stored.tensors), (note,) if stored.left else ()


def _contradiction(path: Path, what: str) -> WeightsError:
    return WeightsError(
        f"{path.parent / CONFIG_FILE} says that {what}. Name the model that is meant, or, if that file describes other "
        "weights, put these into a folder of their own."
    )


def _assumption(file: str, spec: ArchSpec, layout: Layout) -> str:
    """What is taken for granted about weights without a config, and what else would fit their tensors."""
    said = f"{file} does not state its preprocessing. foray assumes {_manner(spec)}, as of {spec.name}."
    other = _other_variant(spec) if layout == "timm" else None
    if other is None:
        return f"{said} If that is wrong, put timm's {CONFIG_FILE} beside the file."
    return (
        f"{said} {other.name} has tensors of the same names and shapes, with {_manner(other)}. If the weights are of "
        f"that one, ask for {other.name}, or put timm's {CONFIG_FILE} beside the file."
    )


def _manner(spec: ArchSpec) -> str:
    shown = spec.preprocessing
    mean, std = (", ".join(f"{value:g}" for value in channels) for channels in (shown.mean, shown.std))
    padding = "TensorFlow's padding" if spec.padding == "same" else "symmetric padding"
    return f"{padding}, mean ({mean}), deviation ({std}) and {shown.interpolation} resizing"


def _other_variant(spec: ArchSpec) -> ArchSpec | None:
    """TensorFlow's variant of a network, or the symmetric one of a network of TensorFlow's."""
    is_tensorflow = spec.name.startswith(TF_PREFIX)
    try:
        return get_spec(spec.name.removeprefix(TF_PREFIX) if is_tensorflow else TF_PREFIX + spec.name)
    except UnknownNameError:
        return None


def _tensorflow_spec(requested: str) -> ArchSpec:
    """The TensorFlow variant of the network that was asked for. Raises WeightsError where it has none."""
    name = get_spec(requested).name
    try:
        return get_spec(name if name.startswith(TF_PREFIX) else TF_PREFIX + name)
    except UnknownNameError:
        raise WeightsError(f"{name} has no TensorFlow variant, and these weights are TensorFlow's.") from None
