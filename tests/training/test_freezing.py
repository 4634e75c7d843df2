"""What is frozen does not move, by a bit; what is unfrozen is named, and does."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from foray.augmentation import Augment
from foray.data import Batches, Dataset, decode_for_training
from foray.errors import ForayError
from foray.models import Network, build_model
from foray.progress import SILENT
from foray.recipes import RECIPE_ADAPTER, SGD, Augmentation, Recipe, preset
from foray.runs.trained import load_run
from foray.specs import Preprocessing, get_spec
from foray.training import Interrupted
from foray.training.checkpoint import Checkpoint
from foray.training.freezing import PartsFromTheTop, freeze_backbone, network_parts, set_training_mode, unfreeze_part
from foray.weights import load_weights
from tests.asking import fit, plan_run, train_run
from tests.full import FULL
from tests.small_training import HALF_RIGHT, MODEL, small_recipe

from .same_run import SignalsAt

EVERY_FAMILY = [
    "mobilenet_v1_x0.25", "mobilenet_v2_x0.35", "tf_efficientnet_b0", "tf_efficientnet_v2_b0", "efficientnet_lite0",
    "tf_mobilenet_v3_small", "mnasnet_a1", "ghostnet_x0.5", "resnet18", "xception",
]  # fmt: skip


# Xception's loop takes a third of the seconds of all ten; its frozen layers are also tested without the loop.
IN_THE_LOOP = EVERY_FAMILY if FULL else [name for name in EVERY_FAMILY if name != "xception"]


def hashes(network: nn.Module) -> dict[str, str]:
    """Of every weight and buffer, as its bytes lie."""
    return {
        name: hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()
        for name, tensor in network.state_dict().items()
    }


def moved(network: nn.Module, before: dict[str, str]) -> set[str]:
    return {name for name, digest in hashes(network).items() if digest != before[name]}


class Stop(Exception):
    """Ends a training from outside."""


class StopsInTheSecondEpoch:
    """Progress that ends the training amid its second epoch."""

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[StopsInTheSecondEpoch]:
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        if note.startswith("epoch 2"):
            raise Stop

    def note(self, message: str) -> None:
        pass


def train_two_steps(network: Network) -> None:
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for step in range(2):
        set_training_mode(network)
        images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(step))
        nn.functional.cross_entropy(network(images), torch.arange(4) % 3).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", EVERY_FAMILY)
@pytest.mark.parametrize("unfreeze", ["last:20", "head", "linear"])
def test_frozen_weights_and_buffers_stay_bit_for_bit(name: str, unfreeze: str) -> None:
    network = build_model(get_spec(name), num_classes=3, stochastic_depth_prob=0.0, seed=0)
    if unfreeze == "head" and network.spec.head is None:
        unfreeze = f"stages.{len(network.stages) - 1}"
    if unfreeze == "linear":
        freeze_backbone(network, network.classifier)
        unfrozen = ["classifier"]
    else:
        unfrozen = unfreeze_part(network, unfreeze)
    before = hashes(network)
    train_two_steps(network)
    allowed = {key for key in before if any(key.startswith(f"{layer}.") for layer in unfrozen)}
    assert moved(network, before) == allowed  # no more, and no less


def test_the_studys_layers_are_named() -> None:
    with torch.device("meta"):
        network = build_model(get_spec("mobilenet_v2"))
    unfrozen = unfreeze_part(network, "last:34")
    assert unfrozen[0] == "stages.5.0.depthwise.conv"
    assert (len(unfrozen), unfrozen[-1]) == (25, "classifier")
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trained == 1_624_896 + sum(p.numel() for p in network.classifier.parameters())


def test_parts_are_unfrozen_by_name() -> None:
    with torch.device("meta"):
        network = build_model(get_spec("mobilenet_v3_small"))
    unfrozen = unfreeze_part(network, "stages.4, head,hidden")
    assert {name.split(".")[0] for name in unfrozen} == {"stages", "head", "hidden", "classifier"}
    assert all(name.startswith("stages.4.") for name in unfrozen if name.startswith("stages"))
    assert not network.stem.conv.weight.requires_grad


@pytest.mark.parametrize(
    ("unfreeze", "message"),
    [
        ("last:0", "has 154 layers as Keras counts them"),
        ("last:155", "Name 1 to 154"),
        ("last:many", "no part 'last:many'"),
        ("stages.9", "no part 'stages.9'.*stages.6, head"),
        ("", "no part ''"),
    ],
)
def test_what_cannot_be_unfrozen_is_refused(unfreeze: str, message: str) -> None:
    with torch.device("meta"):
        network = build_model(get_spec("mobilenet_v2"))
    with pytest.raises(ForayError, match=message):
        unfreeze_part(network, unfreeze)


def test_unfreeze_is_for_partial_alone() -> None:
    assert preset("partial").unfreeze == "last:34"
    assert preset("partial", unfreeze="head").unfreeze == "head"
    with pytest.raises(ForayError, match="`unfreeze` is for `protocol` partial"):
        preset("finetune", unfreeze="last:34")
    whole = preset("finetune").model_dump()
    with pytest.raises(ValueError, match="not for finetune"):
        RECIPE_ADAPTER.validate_python(whole | {"unfreeze": "last:34"})
    with pytest.raises(ValueError, match="needs `unfreeze`"):
        RECIPE_ADAPTER.validate_python(whole | {"protocol": "partial"})


def test_a_partial_run_keeps_the_rest_of_the_pretrained_weights_also_when_resumed(
    squares, small_weights, tmp_path
) -> None:
    recipe = preset("partial", epochs=2, unfreeze="last:7", small_images=True)
    plan = plan_run(MODEL, squares, recipe, weights=small_weights)

    with pytest.raises(Stop):
        train_run(plan, squares, tmp_path / "run", device="cpu", cache_dir=tmp_path, progress=StopsInTheSecondEpoch())
    record = train_run(plan, squares, tmp_path / "run", device="cpu", cache_dir=tmp_path)
    trained = load_run(tmp_path / "run").network
    fresh = build_model(plan.spec, num_classes=3, seed=0)
    load_weights(fresh, plan.weights)
    changed = moved(trained, hashes(fresh))
    assert record.unfrozen == unfreeze_part(fresh, "last:7")
    assert changed == {key for key in fresh.state_dict() if any(key.startswith(f"{n}.") for n in record.unfrozen)}


def loop_recipe(**changes: object) -> Recipe:
    return small_recipe(
        dropout=0.2, stochastic_depth_prob=0.1, ema_decay=0.9, augmentation=Augmentation(horizontal_flip=0.5),
        optimizer=SGD(learning_rate=0.05, momentum=0.9, weight_decay=0.1, decay_all=True), **changes,
    )  # fmt: skip


def through_the_loop(network: Network, recipe: Recipe, squares: Dataset, folder: Path, stops_after: int | None) -> None:
    """Trains `network` in a run folder; `stops_after`: Ctrl-C after so many steps."""
    preprocessing = Preprocessing(resolution=32, crop_pct=1.0)
    store = decode_for_training(squares, preprocessing)
    batches = Batches(store, squares.indices("train")[::3], batch_size=4, device="cpu", seed=0)
    progress = SignalsAt(signal.SIGINT, stops_after) if stops_after else SILENT
    expected = pytest.raises(Interrupted) if stops_after else nullcontext()
    with expected:
        fit(
            network, recipe, batches, Augment(recipe.augmentation, preprocessing, seed=0), resolution=32,
            validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(folder, keep="last"), seed=0, progress=progress,
        )  # fmt: skip


@pytest.mark.parametrize("name", IN_THE_LOOP)
@pytest.mark.parametrize("protocol", ["partial", "gradual"])
def test_the_loop_keeps_what_is_frozen_bit_for_bit_also_after_it_was_resumed(
    name: str, protocol: str, squares, tmp_path
) -> None:
    """12 images in batches of 4: three steps an epoch, the run is stopped in the second of two epochs."""
    if protocol == "partial":
        recipe = loop_recipe(protocol="partial", unfreeze="last:20")
    else:
        recipe = loop_recipe(protocol="finetune", gradual_unfreezing_epochs=1.0)

    def fresh() -> tuple[Network, list[str]]:
        network = build_model(get_spec(name), num_classes=3, stochastic_depth_prob=0.1, seed=0)
        if protocol == "partial":
            return network, unfreeze_part(network, "last:20")
        parts = list(reversed(network_parts(network)))
        return network, parts[:2]

    network, unfrozen = fresh()
    before = hashes(network)
    through_the_loop(network, recipe, squares, tmp_path, stops_after=4)
    network, _ = fresh()
    through_the_loop(network, recipe, squares, tmp_path, stops_after=None)
    allowed = {key for key in before if any(key.startswith(f"{layer}.") for layer in unfrozen)}
    assert moved(network, before) == allowed
    Checkpoint(tmp_path, keep="last").load_kept(network, Checkpoint(tmp_path, keep="last").state())
    assert moved(network, before) == allowed  # the average too


def test_gradual_unfreezing_starts_with_the_classifier_and_leaves_alone_what_was_frozen() -> None:
    with torch.device("meta"):
        network = build_model(get_spec("mobilenet_v3_small"))
    network.stages[-1].requires_grad_(False)
    unfreezing = PartsFromTheTop(network)
    assert unfreezing.train(1) == ["classifier"]
    assert unfreezing.train(4) == ["classifier", "hidden", "head", f"stages.{len(network.stages) - 2}"]
    assert len(unfreezing.train(99)) == len(network_parts(network)) - 1
    assert not any(parameter.requires_grad for parameter in network.stages[-1].parameters())
    assert all(parameter.requires_grad for parameter in network.stem.parameters())
