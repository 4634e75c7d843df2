"""foray's own weight files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from foray.errors import WeightsError
from foray.models import build_model
from foray.specs import get_spec
from foray.weights import load_network_weights, save_network

NAME = "mobilenet_v2_x0.35"


def network(name: str = NAME, **options):
    return build_model(get_spec(name), **({"num_classes": 4, "seed": 0} | options))


def test_saved_and_reloaded_networks_are_equal(tmp_path: Path) -> None:
    saved = network(seed=1).to(memory_format=torch.channels_last)
    saved.train()(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))  # moves the statistics
    save_network(saved, tmp_path / "best.safetensors")
    loaded = network(seed=2)
    load_network_weights(loaded, tmp_path / "best.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert int(loaded.stem.norm.num_batches_tracked) == 1


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    saved = network(seed=1)
    contents = set()
    for i in range(12):  # the library draws an order of the metadata anew each time
        save_network(saved, tmp_path / f"{i}.safetensors")
        contents.add((tmp_path / f"{i}.safetensors").read_bytes())
    assert len(contents) == 1
    with safe_open(tmp_path / "0.safetensors", framework="pt") as file:
        assert file.metadata() == {"architecture": NAME, "num_classes": "4", "stem_stride": "2"}


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            {"name": "mobilenet_v2_x0.5"},
            "architecture mobilenet_v2_x0.35, the network of architecture mobilenet_v2_x0.5",
        ),
        ({"name": "tf_mobilenet_v2_x0.35"}, "the network of architecture tf_mobilenet_v2_x0.35"),
        ({"num_classes": 5}, "num_classes 4, the network of num_classes 5"),
        ({"small_image": "stride1_stem"}, "stem_stride 2, the network of stem_stride 1"),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_changes(tmp_path: Path, other: dict, named: str) -> None:
    path = tmp_path / "best.safetensors"
    save_network(network(seed=1), path)
    wrong = network(**other)
    before = wrong.stem.conv.weight.clone()
    with pytest.raises(WeightsError, match=named):
        load_network_weights(wrong, path)
    assert torch.equal(wrong.stem.conv.weight, before)


def test_damaged_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_network(network(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_network_weights(network(), path)
    with pytest.raises(WeightsError, match="There is no weights file"):
        load_network_weights(network(), tmp_path / "absent.safetensors")
    save_file({key: tensor.clone() for key, tensor in network().state_dict().items()}, path)
    with pytest.raises(WeightsError, match="not written by foray"):
        load_network_weights(network(), path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    torch.save(network().state_dict(), path)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_network_weights(network(), path)


def test_incomplete_files_name_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    tensors = {key: tensor.clone() for key, tensor in network().state_dict().items()}
    del tensors["stem.conv.weight"]
    tensors["stem.surplus"] = torch.zeros(3)
    tensors["classifier.bias"] = torch.zeros(5)
    header = {"architecture": NAME, "num_classes": "4", "stem_stride": "2"}
    save_file(tensors, path, metadata=header)
    with pytest.raises(WeightsError) as caught:
        load_network_weights(network(), path)
    message = str(caught.value)
    assert "issing: stem.conv.weight" in message
    assert "left over: stem.surplus" in message
    assert "classifier.bias is 5, the network's 4" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_run_whose_weights_are_no_numbers_is_refused_by_the_tensors_name(tmp_path: Path, value: float) -> None:
    diverged, fresh = network(seed=1), network(seed=2)
    diverged.classifier.bias.data[1] = value
    save_network(diverged, tmp_path / "best.safetensors")
    before = fresh.stem.conv.weight.clone()
    with pytest.raises(WeightsError, match=r"best\.safetensors hold .* NaN or infinite, in classifier\.bias"):
        load_network_weights(fresh, tmp_path / "best.safetensors")
    assert torch.equal(fresh.stem.conv.weight, before)
