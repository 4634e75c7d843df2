"""Published weights on the Hugging Face hub: which repository serves which architecture, and fetching one of them."""

from __future__ import annotations

from pathlib import Path

from foray.errors import WeightsError
from foray.progress import SILENT, Progress
from foray.specs import TF_PREFIX
from foray.weights.timm_layout import CONFIG_FILE, WEIGHTS_FILE

# timm's repositories, all in its layout (github.com/huggingface/pytorch-image-models, timm/models/efficientnet.py).
# Left out where timm publishes nothing of that variant, or only weights that were trained on more than ImageNet-1k.
HUB_IDS: dict[str, str] = {
    "efficientnet_b0": "timm/efficientnet_b0.ra_in1k",
    "efficientnet_b1": "timm/efficientnet_b1.ft_in1k",
    "efficientnet_b2": "timm/efficientnet_b2.ra_in1k",
    "efficientnet_b3": "timm/efficientnet_b3.ra2_in1k",
    "efficientnet_b4": "timm/efficientnet_b4.ra2_in1k",
    "tf_efficientnet_b0": "timm/tf_efficientnet_b0.in1k",
    "tf_efficientnet_b1": "timm/tf_efficientnet_b1.in1k",
    "tf_efficientnet_b2": "timm/tf_efficientnet_b2.in1k",
    "tf_efficientnet_b3": "timm/tf_efficientnet_b3.in1k",
    "tf_efficientnet_b4": "timm/tf_efficientnet_b4.in1k",
    "tf_efficientnet_b5": "timm/tf_efficientnet_b5.in1k",
    "tf_efficientnet_b6": "timm/tf_efficientnet_b6.aa_in1k",
    "tf_efficientnet_b7": "timm/tf_efficientnet_b7.aa_in1k",
    **{f"tf_efficientnet_lite{i}": f"timm/tf_efficientnet_lite{i}.in1k" for i in range(5)},
    **{
        f"tf_efficientnet_v2_{size}": f"timm/tf_efficientnetv2_{size}.in1k" for size in ("b0", "b1", "b2", "b3", *"sml")
    },
    "mobilenet_v1": "timm/mobilenetv1_100.ra4_e3600_r224_in1k",
    "mobilenet_v1_x1.25": "timm/mobilenetv1_125.ra4_e3600_r224_in1k",
    "mobilenet_v2": "timm/mobilenetv2_100.ra_in1k",
    "mobilenet_v2_x0.5": "timm/mobilenetv2_050.lamb_in1k",
    "mobilenet_v2_x1.4": "timm/mobilenetv2_140.ra_in1k",
    "mobilenet_v3_large": "timm/mobilenetv3_large_100.ra_in1k",
    "mobilenet_v3_small": "timm/mobilenetv3_small_100.lamb_in1k",
    "tf_mobilenet_v3_large": "timm/tf_mobilenetv3_large_100.in1k",
    "tf_mobilenet_v3_small": "timm/tf_mobilenetv3_small_100.in1k",
    "tf_mobilenet_v3_large_minimalistic": "timm/tf_mobilenetv3_large_minimal_100.in1k",
    "tf_mobilenet_v3_small_minimalistic": "timm/tf_mobilenetv3_small_minimal_100.in1k",
    "mnasnet1_0": "timm/mnasnet_100.rmsp_in1k",
    "mnasnet_a1": "timm/semnasnet_100.rmsp_in1k",
    "ghostnet": "timm/ghostnet_100.in1k",
    **{f"resnet{depth}": f"timm/resnet{depth}.tv_in1k" for depth in (18, 34, 50, 101)},
}

# As timm 1.0.31's registry states them (`pretrained_cfg.license`); the model card has the last word.
HUB_LICENCES: dict[str, str] = {
    name: "bsd-3-clause" if hub_id.endswith(".tv_in1k") else "apache-2.0" for name, hub_id in HUB_IDS.items()
}


def hub_id_for(name: str) -> str:
    """The repository with weights for architecture `name`: of exactly that variant, else of its TensorFlow variant.

    Raises WeightsError when there is none.
    """
    found = HUB_IDS.get(name) or HUB_IDS.get(TF_PREFIX + name)
    if found is None:
        raise WeightsError(
            f"No published weights of {name} are known on the hub. There are some for {', '.join(HUB_IDS)}; "
            "or name a hub id or a folder in timm's layout."
        )
    return found


def is_in_hub_cache(hub_id: str) -> bool:
    """Whether huggingface_hub's cache holds the files of `hub_id`."""
    import huggingface_hub as hub

    return all(isinstance(hub.try_to_load_from_cache(hub_id, name), str) for name in (CONFIG_FILE, WEIGHTS_FILE))


def fetch(hub_id: str, *, offline: bool = False, progress: Progress = SILENT) -> Path:
    """Folder with config.json and model.safetensors of `hub_id`, from huggingface_hub's cache or downloaded into it.

    `offline` (or HF_HUB_OFFLINE=1) uses the cache only. Raises WeightsError when the repository cannot be had.
    """
    import huggingface_hub as hub  # half a second that weights in a folder need not wait for
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if not offline:
        progress.note(f"Weights {hub_id}: from the Hugging Face hub, unless they are in its cache already.")
    try:
        Path(hub.constants.HF_HUB_CACHE).expanduser()
    except RuntimeError as error:
        raise WeightsError(
            f"{hub_id}: the folder of the Hugging Face hub's cache is not known, as there is no home folder. Set "
            "HF_HOME to a folder, or name a folder of weights."
        ) from error
    bars_were_off = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        folder = Path(
            hub.snapshot_download(hub_id, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE], local_files_only=offline)
        )
    except (hub.errors.HfHubHTTPError, OSError, ValueError) as error:
        raise WeightsError(
            f"{hub_id} cannot be fetched from the Hugging Face hub: {_reason(error, offline)}"
        ) from error
    finally:
        if not bars_were_off:
            enable_progress_bars()
    if absent := [name for name in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]:
        raise WeightsError(f"{hub_id} has no {' and no '.join(absent)}{' in the local cache' if offline else ''}.")
    return folder


def _reason(error: Exception, offline: bool) -> str:
    if offline:
        return "it is not in the local cache, and offline mode forbids a download. Fetch it once with a connection."
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{first_line.rstrip('.')}. Check the id and the connection; if a folder was meant, it does not exist."
