"""The hub without a network connection: its real client over a cache in its real layout."""

from __future__ import annotations

import re
from pathlib import Path

import huggingface_hub.constants
import pytest
from safetensors.torch import load_file, save_file

from foray.errors import WeightsError
from foray.models import build_model
from foray.weights import HUB_IDS, HUB_LICENCES, find_weights, load_weights
from foray.weights.pretrained import hub_id_of

HUB_ID = "timm/mobilenetv1_025.test"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, hub_id: str, write_weights) -> None:
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    commit = "0" * 40
    write_weights(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


def test_cached_weights_are_found_offline(cache: Path, write_weights) -> None:
    put(cache, HUB_ID, write_weights)
    found = find_weights(HUB_ID, "mobilenet_v1_x0.25", offline=True)
    assert (found.source, found.spec.name) == (HUB_ID, "tf_mobilenet_v1_x0.25")


def test_weights_of_the_hub_that_are_no_numbers_are_named(cache: Path, write_weights) -> None:
    put(cache, HUB_ID, write_weights)
    (path,) = cache.glob("**/model.safetensors")
    tensors = load_file(path)
    tensors["conv_stem.weight"][0] = float("nan")
    save_file(tensors, path)
    found = find_weights(HUB_ID, "mobilenet_v1_x0.25", offline=True)
    with pytest.raises(WeightsError, match=r"NaN or infinite, in conv_stem\.weight"):
        load_weights(build_model(found.spec, num_classes=6), found)


def test_weights_that_are_not_cached_are_an_error_offline(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"timm/mobilenetv2_100\.ra_in1k .*not in the local cache"):
        find_weights("hub", "mobilenet_v2", offline=True)


def test_a_cached_repository_without_weights_is_an_error(cache: Path, write_weights) -> None:
    put(cache, HUB_ID, write_weights)
    next(cache.glob("**/model.safetensors")).unlink()
    with pytest.raises(WeightsError, match=r"has no model\.safetensors in the local cache"):
        find_weights(HUB_ID, "mobilenet_v1_x0.25", offline=True)


def test_hub_names_what_it_has_when_nothing_is_published() -> None:
    with pytest.raises(WeightsError, match=r"No published weights of tf_mobilenet_v1_x0\.25 are known"):
        find_weights("hub", "tf_mobilenet_v1_x0.25", offline=True)


def test_the_tensorflow_variant_answers_where_no_symmetric_weights_are_published(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"timm/tf_efficientnetv2_b0\.in1k"):
        find_weights("hub", "efficientnet_v2_b0", offline=True)


def test_licences_are_those_timm_states(timm) -> None:
    stated = {name: timm.get_pretrained_cfg(hub_id.removeprefix("timm/")).license for name, hub_id in HUB_IDS.items()}
    assert stated == HUB_LICENCES


@pytest.mark.parametrize(
    "typo",
    ["./typo", "../typo", ".hidden/typo", "~/typo", "/typo/weights", "a/b/typo", "typo/b0.pth", "typo/b0.safetensors",
     "typo/B0.H5"],
)  # fmt: skip
def test_what_looks_like_a_path_is_no_hub_id(typo: str, cache: Path) -> None:
    for offline in (True, False):  # nothing asks the hub: it would say something else, with a connection or without
        with pytest.raises(WeightsError, match=f"There are no weights at {re.escape(typo)}: give a folder"):
            find_weights(typo, "mobilenet_v2", offline=offline)


@pytest.mark.parametrize("hub_id", ["timm/tf_mobilenetv2_100.in1k", "someone/my-weights_v1.5"])
def test_two_plain_words_are_a_hub_id(hub_id: str) -> None:
    assert hub_id_of(hub_id, "mobilenet_v2") == hub_id
