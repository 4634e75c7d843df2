"""Finding and loading weights in timm's layout: what fits, and what a person reads when nothing does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from foray.errors import UnknownNameError, WeightsError
from foray.models import build_model
from foray.progress import SilentProgress
from foray.specs import get_spec, spec_names
from foray.weights import create_model, find_weights, load_weights
from foray.weights.key_map import timm_keys
from foray.weights.torchvision_keys import lukemelas_keys

NAME = "mobilenet_v1_x0.25"
TF_ARGS = {"pad_type": "same", "bn_eps": 0.001}  # what write_weights states unless told otherwise


@pytest.mark.parametrize("name", spec_names())
def test_the_key_map_has_every_key_of_the_network_once(name: str) -> None:
    with torch.device("meta"):
        network = build_model(get_spec(name))
    keys = timm_keys(network.spec)
    assert keys.keys() == network.state_dict().keys()
    assert len(set(keys.values())) == len(keys)


def test_weights_name_their_variant_preprocessing_and_origin(tmp_path: Path, write_weights) -> None:
    config = {"input_size": [3, 192, 192], "crop_pct": 0.9, "interpolation": "bicubic", "mean": [0.1, 0.2, 0.3]}
    write_weights(tmp_path / "some.weights", pretrained_cfg=config)
    found = find_weights(tmp_path / "some.weights", NAME)
    assert found.spec == get_spec(f"tf_{NAME}")
    assert (found.preprocessing.resolution, found.preprocessing.crop_pct) == (192, 0.9)
    assert (found.preprocessing.interpolation, found.preprocessing.mean) == ("bicubic", (0.1, 0.2, 0.3))
    assert found.preprocessing.std == found.spec.preprocessing.std  # not in the config
    assert (found.num_classes, found.source, found.licence, found.origin) == (6, "some.weights", "cc0-1.0", "a test")
    assert found.sha256 == hashlib.sha256((tmp_path / "some.weights" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("half", [False, True])
def test_every_tensor_arrives_in_float32(tmp_path: Path, write_weights, half: bool) -> None:
    stored = write_weights(tmp_path / "w", half=half)
    found = find_weights(tmp_path, NAME)
    network = build_model(found.spec, num_classes=6, seed=0)
    info = load_weights(network, found)
    assert (info.head, info.variant, info.source) == ("kept", f"tf_{NAME}", "w")
    for key, tensor in network.state_dict().items():
        assert tensor.dtype in (torch.float32, torch.int64)
        assert torch.equal(tensor, stored[key].to(tensor.dtype))


@pytest.mark.parametrize(("num_classes", "head"), [(6, "replaced"), (0, "absent")])
def test_a_classifier_for_other_classes_keeps_its_fresh_values(
    tmp_path: Path, write_weights, num_classes: int, head: str
) -> None:
    stored = write_weights(tmp_path / "w", num_classes=num_classes)
    found = find_weights(tmp_path, NAME)
    fresh, network = (build_model(found.spec, num_classes=4, seed=5) for _ in range(2))
    assert load_weights(network, found).head == head
    assert torch.equal(network.classifier.weight, fresh.classifier.weight)
    assert torch.equal(network.stem.conv.weight, stored["stem.conv.weight"])


def test_batch_counters_may_be_left_out(tmp_path: Path, write_weights) -> None:
    stored = write_weights(tmp_path / "w")
    path = tmp_path / "w" / "model.safetensors"
    save_file({key: tensor for key, tensor in load_file(path).items() if "num_batches" not in key}, path)
    network = build_model(get_spec(f"tf_{NAME}"), num_classes=6, seed=0)
    load_weights(network, find_weights(tmp_path, NAME))
    assert torch.equal(network.stem.norm.running_var, stored["stem.norm.running_var"])
    assert network.stem.norm.num_batches_tracked == 0


def as_file(folder: Path, suffix: str) -> Path:
    """The weights of a folder in timm's layout as one file in it."""
    path = folder / "model.safetensors"
    if suffix == ".pth":
        torch.save(load_file(path), path := folder / "weights.pth")
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_config_beside_a_file_is_read_as_in_its_folder(tmp_path: Path, write_weights, suffix: str) -> None:
    stored = write_weights(tmp_path / "w", pretrained_cfg={"mean": [0.1, 0.2, 0.3], "license": "mit"})
    path = as_file(tmp_path / "w", suffix)
    file, folder = find_weights(path, NAME), find_weights(tmp_path / "w", NAME)
    assert file.spec == folder.spec == get_spec(f"tf_{NAME}")
    assert file.preprocessing == folder.preprocessing
    assert file.preprocessing.mean == (0.1, 0.2, 0.3)
    assert (file.num_classes, file.licence, file.origin) == (6, "mit", "a test")
    assert (file.source, file.notes) == (f"w/{path.name}", ())
    network = create_model(NAME, num_classes=6, weights=path)
    assert all(torch.equal(tensor, stored[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(("asked", "other"), [(NAME, f"tf_{NAME}"), (f"tf_{NAME}", NAME)])
def test_without_a_config_what_is_assumed_and_what_else_fits_is_said_and_recorded(
    tmp_path: Path, write_weights, suffix: str, asked: str, other: str
) -> None:
    write_weights(tmp_path / "w")
    path = as_file(tmp_path / "w", suffix)
    (tmp_path / "w" / "config.json").unlink()
    said: list[str] = []
    progress = SilentProgress()
    progress.note = said.append
    found = find_weights(path, asked, progress=progress)
    assert found.spec.name == asked
    info = load_weights(build_model(found.spec, num_classes=6), found)
    assert said == info.notes == list(found.notes)
    (note,) = said
    manner = {
        NAME: "symmetric padding, mean (0.5, 0.5, 0.5), deviation (0.5, 0.5, 0.5) and bicubic resizing",
        f"tf_{NAME}": "TensorFlow's padding, mean (0.5, 0.5, 0.5), deviation (0.5, 0.5, 0.5) and bilinear resizing",
    }
    assert f"{path.name} does not state its preprocessing. foray assumes {manner[asked]}" in note
    assert f"{other} has tensors of the same names and shapes, with {manner[other]}" in note
    assert f"ask for {other}, or put timm's config.json beside the file" in note


@pytest.mark.parametrize(
    ("asked", "assumed"),
    [
        ("mobilenet_v2", "symmetric padding, mean (0.485, 0.456, 0.406), deviation (0.229, 0.224, 0.225)"),
        ("tf_mobilenet_v2", "TensorFlow's padding, mean (0.5, 0.5, 0.5), deviation (0.5, 0.5, 0.5)"),
        ("efficientnet_b0", "symmetric padding, mean (0.485, 0.456, 0.406), deviation (0.229, 0.224, 0.225)"),
        ("tf_efficientnet_b0", "TensorFlow's padding, mean (0.485, 0.456, 0.406), deviation (0.229, 0.224, 0.225)"),
    ],
)
def test_the_assumption_is_that_of_the_network_asked_for(tmp_path: Path, asked: str, assumed: str) -> None:
    network = build_model(get_spec(asked), num_classes=3)
    keys = timm_keys(network.spec)
    torch.save({keys[key]: tensor for key, tensor in network.state_dict().items()}, tmp_path / "weights.pth")
    (note,) = find_weights(tmp_path / "weights.pth", asked).notes
    assert f"foray assumes {assumed}" in note


def test_a_json_file_of_something_else_is_no_config(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    (tmp_path / "w" / "config.json").write_text('{"architectures": ["BertModel"], "learning_rate": 0.1}')
    found = find_weights(tmp_path / "w" / "model.safetensors", NAME)
    assert found.spec == get_spec(NAME)
    assert len(found.notes) == 1
    (tmp_path / "w" / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json cannot be read as JSON"):
        find_weights(tmp_path / "w" / "model.safetensors", NAME)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"architecture": "mobilenetv2_100"}, f"is of tf_mobilenet_v2, and {NAME} or tf_{NAME} was asked for"),
        ({"num_classes": 5}, "has 5 classes, and it has 6"),
    ],
)
def test_a_config_beside_a_file_that_is_of_another_one_is_an_error(
    tmp_path: Path, write_weights, change: dict, complaint: str
) -> None:
    write_weights(tmp_path / "w")
    path = tmp_path / "w" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=rf"config\.json says that .*{complaint}") as caught:
        find_weights(tmp_path / "w" / "model.safetensors", NAME)
    assert "put these into a folder of their own" in str(caught.value)


def test_layers_of_tensorflows_beside_a_config_of_the_symmetric_network_are_an_error(
    tmp_path: Path, write_weights
) -> None:
    write_weights(tmp_path / "w", architecture="efficientnet_b0", name="efficientnet_b0", model_args={}, num_classes=3)
    network = build_model(get_spec("efficientnet_b0"), num_classes=3)
    keys = lukemelas_keys(network.spec)
    torch.save({keys[key]: tensor for key, tensor in network.state_dict().items()}, tmp_path / "w" / "weights.pth")
    with pytest.raises(WeightsError, match="is of efficientnet_b0, and its layers are of tf_efficientnet_b0"):
        find_weights(tmp_path / "w" / "weights.pth", "efficientnet_b0")


def test_the_graph_does_not_depend_on_weights(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    with_weights = create_model(NAME, num_classes=4, weights=tmp_path)
    without = create_model(f"tf_{NAME}", num_classes=4)
    assert with_weights.spec == without.spec
    assert str(with_weights) == str(without)
    without.load_state_dict(with_weights.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(with_weights.eval()(images), without.eval()(images))


def test_the_exact_variant_is_preferred_and_tf_by_name_accepts_no_other(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "symmetric", name=NAME, model_args={})
    with pytest.raises(WeightsError, match=f"has no weights of tf_{NAME}. It has weights of {NAME}"):
        find_weights(tmp_path, f"tf_{NAME}")
    write_weights(tmp_path / "a_tensorflow")
    assert find_weights(tmp_path, NAME).source == "symmetric"
    assert find_weights(tmp_path, f"tf_{NAME}").source == "a_tensorflow"


def test_two_folders_of_one_variant_are_ambiguous(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "one")
    write_weights(tmp_path / "two")
    with pytest.raises(WeightsError, match=r"several weights of tf_mobilenet_v1_x0\.25: one, two"):
        find_weights(tmp_path, NAME)


def test_a_folder_of_other_architectures_says_what_it_has(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "mine")
    write_weights(tmp_path / "resnet", architecture="resnet50")
    with pytest.raises(WeightsError, match="no weights of mobilenet_v2 or tf_mobilenet_v2") as caught:
        find_weights(tmp_path, "mobilenet_v2")
    assert f"It has weights of tf_{NAME}." in str(caught.value)
    assert "resnet50" in str(caught.value)
    with pytest.raises(WeightsError, match=f"are of tf_{NAME}, not of efficientnet_b0 or tf_efficientnet_b0"):
        find_weights(tmp_path / "mine", "efficientnet_b0")


def test_weights_do_not_load_into_another_architecture(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    found = find_weights(tmp_path, NAME)
    network = build_model(get_spec(NAME), num_classes=6, seed=0)
    with pytest.raises(WeightsError, match=f"are of tf_{NAME}, the network is {NAME}"):
        load_weights(network, found)


def test_files_that_belie_their_config_are_refused_and_nothing_changes(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w", name="tf_mobilenet_v1_x0.5")  # the config says x0.25
    found = find_weights(tmp_path, NAME)
    network = build_model(found.spec, num_classes=6, seed=0)
    before = network.stem.conv.weight.clone()
    with pytest.raises(WeightsError, match=r"conv_stem\.weight is 16x3x3x3, the network's 8x3x3x3"):
        load_weights(network, found)
    assert torch.equal(network.stem.conv.weight, before)


def test_missing_and_left_over_tensors_are_listed(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "headless", num_classes=0, pretrained_cfg={})
    config = json.loads((tmp_path / "headless" / "config.json").read_text())
    (tmp_path / "headless" / "config.json").write_text(json.dumps(config | {"num_classes": 6}))
    found = find_weights(tmp_path, NAME)
    with pytest.raises(WeightsError, match=r"issing: classifier\.bias, classifier\.weight"):
        load_weights(build_model(found.spec, num_classes=6, seed=0), found)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"architecture": "resnet50"}, "no resnet50 with same padding"),
        ({"architecture": "mobilenetv1_000"}, "no architecture that is timm's mobilenetv1_000"),
        ({"model_args": {"pad_type": "same", "bn_eps": 0}}, "bn_eps is 0; it must be above 0"),
        ({"model_args": {"pad_type": "valid", "bn_eps": 1e-3}}, "no mobilenet_v1_x0.25 with this padding"),
        ({"model_args": TF_ARGS | {"in_chans": 1}}, "in_chans is 1; foray's networks have 3"),
        ({"model_args": TF_ARGS | {"global_pool": "max"}}, "global_pool is 'max'; foray's networks have 'avg'"),
        ({"pretrained_cfg": {"input_size": [1, 224, 224]}}, "1 channels; foray feeds RGB images"),
        ({"model_args": TF_ARGS | {"head_conv": True}}, "does not support the model_args head_conv"),
        ({"pretrained_cfg": {"interpolation": "lanczos"}}, "does not support the interpolation 'lanczos'"),
        ({"pretrained_cfg": {"crop_mode": "border"}}, "does not support the crop_mode 'border', only center, squash"),
        ({"pretrained_cfg": {"input_size": [3, 224, 192]}}, "224 x 192"),
        ({"pretrained_cfg": {"crop_pct": 1.5}}, "crop_pct"),
        ({"pretrained_cfg": {"mean": [0.5]}}, "is not a timm config"),
        ({"pretrained_cfg": {"std": [0.5, 0.5, float("inf")]}}, "std must be positive and finite"),
        ({"pretrained_cfg": {"std": [0.5, 0.0, 0.5]}}, "std must be positive and finite"),
        ({"pretrained_cfg": {"std": [0.5, float("nan"), 0.5]}}, "std must be positive and finite"),
        ({"pretrained_cfg": {"mean": [float("nan")] * 3}}, "mean must be finite"),
        ({"pretrained_cfg": {"mean": [0.5, 0.5, float("-inf")]}}, "mean must be finite"),
        ({"pretrained_cfg": {"crop_pct": float("nan")}}, "crop_pct must be in"),
        ({"num_classes": "many"}, "is not a timm config"),
    ],
)
def test_configs_foray_cannot_honour_are_refused(tmp_path: Path, write_weights, change: dict, complaint: str) -> None:
    write_weights(tmp_path / "w")
    path = tmp_path / "w" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=complaint):
        find_weights(tmp_path / "w", NAME)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"num_classes": 3}'])
def test_broken_configs_are_refused(tmp_path: Path, write_weights, text: str) -> None:
    write_weights(tmp_path / "w")
    (tmp_path / "w" / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json"):
        find_weights(tmp_path / "w", NAME)


def test_a_folder_without_safetensors_is_refused_even_with_a_pickle(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    (tmp_path / "w" / "model.safetensors").rename(tmp_path / "w" / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"no model\.safetensors"):
        find_weights(tmp_path, NAME)


def test_truncated_weights_are_refused(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    path = tmp_path / "w" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    found = find_weights(tmp_path, NAME)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_weights(build_model(found.spec, num_classes=6, seed=0), found)


@pytest.mark.parametrize("source", ["nowhere/at/all", "absent"])
def test_a_source_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(WeightsError, match=f"no weights at {source}"):
        find_weights(source, NAME)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has no weights of"):
        find_weights(tmp_path, NAME)


def test_an_unknown_model_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="mobilenet_v2"):
        create_model("mobilnet_v2")
    with pytest.raises(UnknownNameError, match="mobilenet_v2"):
        find_weights(tmp_path, "mobilnet_v2")


def test_a_scaled_name_takes_the_weights_of_the_network_it_is_at_another_resolution(
    tmp_path: Path, write_weights
) -> None:
    state = write_weights(tmp_path / "weights", num_classes=6)  # tf_mobilenet_v1_x0.25
    found = find_weights(tmp_path, "mobilenet_v1@w0.25,r96")
    assert found.spec == get_spec("tf_mobilenet_v1@d1,w0.25,r96")
    assert found.preprocessing.resolution == 96
    network = create_model("mobilenet_v1@w0.25,r96", num_classes=6, weights=tmp_path)
    assert all(torch.equal(state[key], tensor) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("source", ["folder", "hub"])
def test_scaled_networks_nobody_released_have_no_weights(tmp_path: Path, write_weights, source: str) -> None:
    write_weights(tmp_path / "weights")
    with pytest.raises(WeightsError, match=r"no network of these .* Train it with `protocol` scratch"):
        find_weights("hub" if source == "hub" else tmp_path, "mobilenet_v1@w0.3,r96")
