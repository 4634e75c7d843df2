"""Files of weights as torchvision and others write them: read strictly, nothing in them executed."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from foray.errors import WeightsError
from foray.specs import get_spec
from foray.weights import create_model, find_weights
from foray.weights.tensor_file import read_weights
from foray.weights.torchvision_keys import lukemelas_keys


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "resnet18", "efficientnet_b0"])
def test_a_pth_file_of_torchvision_gives_its_outputs(torchvision, tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    peer = getattr(torchvision.models, name)(num_classes=5).eval()
    torch.save(peer.state_dict(), tmp_path / f"{name}.pth")
    network = create_model(name, num_classes=5, weights=tmp_path / f"{name}.pth").eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(network(images), peer(images), rtol=0, atol=1e-5)
    found = find_weights(tmp_path / f"{name}.pth", name)
    layout = "timm" if name == "resnet18" else "torchvision"  # the same names
    assert (found.layout, found.num_classes, found.source, found.licence) == (layout, 5, f"{name}.pth", None)


def test_a_checkpoint_of_several_processes_is_looked_into(torchvision, tmp_path: Path) -> None:
    state = {f"module.{key}": tensor for key, tensor in torchvision.models.resnet18().state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "checkpoint.pth")
    network = create_model("resnet18", weights=tmp_path / "checkpoint.pth")
    assert torch.equal(network.stem.conv.weight, state["module.conv1.weight"])


@pytest.mark.parametrize("averages", [True, False])
def test_of_a_checkpoint_of_timms_the_same_weights_are_taken_as_by_timm(timm, tmp_path: Path, averages: bool) -> None:
    model = timm.create_model("mobilenetv2_035", num_classes=5)
    average = timm.utils.ModelEmaV3(timm.create_model("mobilenetv2_035", num_classes=5)) if averages else None
    saver = timm.utils.CheckpointSaver(
        model,
        torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        args=argparse.Namespace(model="mobilenetv2_035", opt="sgd"),
        model_ema=average,
        checkpoint_dir=str(tmp_path),
        recovery_dir=str(tmp_path),
    )
    saver.save_checkpoint(epoch=0, metric=0.5)
    theirs = timm.models.load_state_dict(str(tmp_path / "last.pth.tar"))
    expected = average.module.state_dict() if average else model.state_dict()
    ours = read_weights(tmp_path / "last.pth.tar")
    assert (ours.taken, ours.left) == (("state_dict_ema", ("state_dict",)) if averages else ("state_dict", ()))
    assert ours.tensors.keys() == theirs.keys() == expected.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.tensors.items())
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.tensors.items())
    network = create_model("mobilenet_v2_x0.35", num_classes=5, weights=tmp_path / "last.pth.tar")
    assert torch.equal(network.stem.conv.weight, expected["conv_stem.weight"])


def test_lukemelas_names_belong_to_the_tensorflow_variant(tmp_path: Path) -> None:
    """Names from EfficientNet-PyTorch 0.7.1 (`EfficientNet.from_name("efficientnet-b0").state_dict()`)."""
    network = create_model("tf_efficientnet_b0", num_classes=4)
    keys = lukemelas_keys(network.spec)
    assert keys["stages.0.0.depthwise.conv.weight"] == "_blocks.0._depthwise_conv.weight"
    assert keys["stages.1.0.expand.norm.running_var"] == "_blocks.1._bn0.running_var"
    assert keys["stages.6.0.squeeze_excitation.expand.bias"] == "_blocks.15._se_expand.bias"
    assert keys["head.norm.weight"] == "_bn1.weight"
    assert keys["classifier.weight"] == "_fc.weight"
    assert keys.keys() == network.state_dict().keys()
    state = {keys[key]: tensor for key, tensor in network.state_dict().items()}
    torch.save(state, tmp_path / "efficientnet-b0.pth")
    found = find_weights(tmp_path / "efficientnet-b0.pth", "efficientnet_b0")
    assert (found.layout, found.spec) == ("lukemelas", get_spec("tf_efficientnet_b0"))
    loaded = create_model("efficientnet_b0", num_classes=4, weights=tmp_path / "efficientnet-b0.pth")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), network.parameters(), strict=True))


def test_weights_of_another_architecture_are_refused(torchvision, tmp_path: Path) -> None:
    torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / "weights.pth")
    for asked in ("mobilenet_v3_small", "efficientnet_b0", "mobilenet_v2_x0.5", "resnet18", "ghostnet"):
        with pytest.raises(WeightsError):
            create_model(asked, weights=tmp_path / "weights.pth")


class _Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("executed",))


@pytest.mark.parametrize("content", ["pickle", "text", "empty", "list"])
def test_what_is_no_file_of_weights_is_refused_and_not_executed(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    match content:
        case "pickle":
            torch.save({"weight": _Exploit()}, path)
        case "text":
            path.write_text("not weights")
        case "empty":
            path.touch()
        case "list":
            torch.save([torch.zeros(2)], path)
    with pytest.raises(WeightsError, match=r"weights\.pth"):
        find_weights(path, "resnet18")
    assert "executed" not in capsys.readouterr().out


def test_unknown_names_say_which_layouts_are_read(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(2)}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="lukemelas"):
        find_weights(tmp_path / "weights.pth", "resnet18")
