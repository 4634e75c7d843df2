"""The loop's modes and its refusal to go on with a loss that is no number."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from foray.augmentation import Augment
from foray.data import Batches, decode_for_evaluation
from foray.models import build_model
from foray.recipes import SGD
from foray.records import EpochRow
from foray.specs import Preprocessing, get_spec
from foray.training import TrainingFailedError
from foray.training.checkpoint import Checkpoint
from foray.training.freezing import freeze_backbone, set_training_mode
from foray.training.loop import set_learning_rate, set_norm_momentum
from foray.training.running_metrics import LOOK_EVERY_STEPS
from tests.asking import fit
from tests.small_training import HALF_RIGHT, MODEL, small_recipe

PREPROCESSING = Preprocessing(resolution=24, crop_pct=1.0)


def batches(dataset, batch_size: int = 8) -> Batches:
    store = decode_for_evaluation(dataset, PREPROCESSING)
    return Batches(store, dataset.indices("train"), batch_size=batch_size, device="cpu", seed=0)


def augment():
    return Augment(small_recipe().augmentation, PREPROCESSING, seed=0)


def test_frozen_parts_keep_their_weights_and_their_batch_norm_statistics(squares, tmp_path) -> None:
    network = build_model(get_spec(MODEL), num_classes=3, dropout=0.5, stochastic_depth_prob=0.2, seed=0)
    freeze_backbone(network, network.classifier)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    fit(
        network, small_recipe(epochs=1), batches(squares), augment(), resolution=24,
        validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
    )  # fmt: skip
    changed = {key for key, tensor in network.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_training_mode_reaches_all_that_is_not_frozen() -> None:
    network = build_model(get_spec("mobilenet_v2_x0.25"), num_classes=3, seed=0).eval()
    network.stages[0].requires_grad_(False)
    set_training_mode(network)
    assert not any(module.training for module in network.stages[0].modules())
    assert network.training
    assert network.dropout.training
    assert all(module.training for module in network.stages[1].modules())


def test_batch_norm_remembers_as_long_as_the_recipe_says() -> None:
    network = build_model(get_spec("tf_mobilenet_v2_x0.25"), num_classes=3, seed=0)
    set_norm_momentum(network, None)
    assert momenta(network) == {0.001}
    set_norm_momentum(network, 0.1)
    assert momenta(network) == {0.1}


def momenta(network: nn.Module) -> set[float | None]:
    return {module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)}


def test_every_parameter_is_trained(squares, tmp_path) -> None:
    network = build_model(get_spec(MODEL), num_classes=3, seed=0)
    before = {key: parameter.clone() for key, parameter in network.named_parameters()}
    fit(
        network, small_recipe(epochs=1), batches(squares), augment(), resolution=24,
        validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
    )  # fmt: skip
    assert not [key for key, parameter in network.named_parameters() if torch.equal(parameter, before[key])]


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_batch(squares, tmp_path) -> None:
    class Poisoned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Linear(3, 3)
            self.calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            logits = self.classifier(images.mean(dim=(2, 3)))
            return logits * (np.inf if self.calls == 8 else 1.0)

    with pytest.raises(TrainingFailedError, match=r"epoch 2, batch 3\b"):  # 36 images: 5 batches an epoch
        fit(
            Poisoned(), small_recipe(epochs=3), batches(squares), augment(), resolution=24,
            validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
        )  # fmt: skip


@pytest.mark.parametrize("every_steps", [1, 3, 25])
def test_losses_may_be_looked_at_now_and_then_and_the_bad_batch_is_named_with_its_images(
    squares, tmp_path, monkeypatch, every_steps: int
) -> None:
    """As on a GPU, where looking costs."""
    monkeypatch.setitem(LOOK_EVERY_STEPS, "cpu", every_steps)
    network = build_model(get_spec(MODEL), num_classes=3, seed=0)
    ids = np.array([sample.id for sample in squares.samples])
    fit(
        network, small_recipe(epochs=1), batches(squares), augment(), resolution=24,
        validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
    )  # fmt: skip
    (row,) = [EpochRow.model_validate_json(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert 0 < row.train_loss < 3
    bad = list(batches(squares).epoch(1))[3][2]

    def poisoned(images: torch.Tensor, epoch: int, step: int, side: int, part: tuple[int, int]) -> torch.Tensor:
        return augment()(images, epoch, step, side, part) * (np.inf if (epoch, step) == (1, 3) else 1.0)

    first = re.escape(", ".join(ids[bad][:4]))
    with pytest.raises(TrainingFailedError, match=rf"nan at epoch 2, batch 4 \({first} and 4 more images\)"):
        fit(
            network, small_recipe(epochs=2), batches(squares), poisoned, resolution=24, image_ids=ids,
            validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
        )  # fmt: skip


def test_rates_differ_by_group() -> None:
    network = build_model(get_spec(MODEL), num_classes=3, seed=0)
    optimizer = torch.optim.SGD([{"params": [p], "rate_factor": 0.5**i} for i, p in enumerate(network.parameters())])
    set_learning_rate(optimizer, 0.3)
    assert [group["lr"] for group in optimizer.param_groups[:3]] == [0.3, 0.15, 0.075]


def test_clipping_bounds_the_step(squares, tmp_path) -> None:
    """Plain SGD moves by rate x gradient, whose norm over all weights is the bound: 0.05 x 0.01 in the only step."""
    network = build_model(get_spec(MODEL), num_classes=3, seed=0)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    recipe = small_recipe(epochs=1, clip_norm=0.01, optimizer=SGD(learning_rate=0.05))
    fit(
        network, recipe, batches(squares, batch_size=36), augment(), resolution=24,
        validate=lambda _: HALF_RIGHT, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
    )  # fmt: skip
    moves = [(p.detach() - b).flatten() for p, b in zip(network.parameters(), before, strict=True)]
    assert float(torch.cat(moves).double().norm()) == pytest.approx(0.05 * 0.01, rel=1e-2)


def test_a_validation_loss_that_is_no_number_stops_the_run_too(squares, tmp_path) -> None:
    network = build_model(get_spec(MODEL), num_classes=3, seed=0)
    nothing = replace(HALF_RIGHT, probabilities=HALF_RIGHT.probabilities * np.nan)
    with pytest.raises(TrainingFailedError, match="val is nan after epoch 1"):
        fit(
            network, small_recipe(), batches(squares), augment(), resolution=24,
            validate=lambda _: nothing, checkpoint=Checkpoint(tmp_path, keep="last"), seed=0,
        )  # fmt: skip
