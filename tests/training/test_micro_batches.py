"""Accumulated gradients are the whole batch's; where memory ends, a smaller micro-batch goes on as if it had been asked
for."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import Tensor, nn

from foray.errors import ForayError
from foray.models import Network, build_model
from foray.recipes import Augmentation
from foray.records import RunRecord
from foray.specs import get_spec
from foray.training import Interrupted
from foray.training.checkpoint import Checkpoint, TrainingState
from foray.training.loop import summed_loss
from foray.training.micro_batches import MicroBatches
from tests.asking import plan_run, train_run
from tests.small_training import MODEL, small_recipe

from .same_run import SignalsAt, assert_same_run


class Plain(nn.Module):
    """A network without batch norm; `shown`: how many images it has seen at once."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv, self.classifier = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)
        for parameter in self.parameters():
            parameter.data.normal_(0.0, 0.3, generator=generator)
        self.shown: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(len(images))
        return self.classifier(self.conv(images).relu().mean(dim=(2, 3)))


def batch(n: int = 10) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.arange(n) % 3


def shares(labels: Tensor) -> Tensor:
    return 0.7 * nn.functional.one_hot(labels, 3).float() + 0.3 * nn.functional.one_hot(labels.flip(0), 3).float()


@pytest.mark.parametrize("mixed", [False, True], ids=["labels", "shares"])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 9, None])
def test_the_gradient_is_that_of_the_whole_batch(size: int | None, mixed: bool) -> None:
    images, labels = batch()
    targets = shares(labels) if mixed else labels
    recipe = small_recipe(label_smoothing=0.1)
    weights = torch.tensor([0.5, 1.0, 2.0])
    networks = [Plain().double() for _ in range(2)]
    loss, logits = MicroBatches(
        networks[0], summed_loss(recipe, weights, torch.device("cpu")), size=size, compute_format="float32"
    ).backward(images.double(), targets.double() if mixed else targets, reseed=lambda: None)
    # The definition, written out: smoothed shares, weighted log-probabilities, the mean over images.
    answers = networks[1](images.double())
    smoothed = 0.9 * (targets if mixed else nn.functional.one_hot(labels, 3)) + 0.1 / 3
    expected = -(smoothed * weights * answers.log_softmax(dim=1)).sum(dim=1).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert torch.allclose(logits, answers)
    for ours, theirs in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-6)
    assert max(networks[0].shown) <= (size or 10)
    assert max(networks[0].shown) - min(networks[0].shown) <= 1


def test_batch_norm_sees_the_micro_batch() -> None:
    images, labels = batch(8)
    norm = nn.BatchNorm2d(3, momentum=1.0)  # remembers the last batch alone
    network = nn.Sequential(norm, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    criterion = nn.CrossEntropyLoss(reduction="sum")
    MicroBatches(network, criterion, size=4, compute_format="float32").backward(images, labels, reseed=lambda: None)
    assert torch.allclose(norm.running_mean, images[4:].mean(dim=(0, 2, 3)), atol=1e-6)
    assert norm.num_batches_tracked == 2


def out_of_memory_above(n: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes networks in training run out of memory in the middle of more than `n` images; their sizes."""
    forward, tried = Network.forward, []

    def limited(self: Network, images: Tensor) -> Tensor:
        if self.training:
            tried.append(len(images))
        logits = forward(self, images)  # batch norm has moved, random numbers are drawn
        if self.training and len(images) > n:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nMore words.")
        return logits

    monkeypatch.setattr(Network, "forward", limited)
    return tried


def plan(squares, **changes: object):
    recipe = small_recipe(dropout=0.3, stochastic_depth_prob=0.2, augmentation=Augmentation(horizontal_flip=0.5))
    recipe = recipe.model_copy(update=changes)
    return plan_run("mobilenet_v2_x0.25", squares, recipe, seed=4, deterministic=True)


def test_out_of_memory_ends_as_if_the_smaller_micro_batch_had_been_asked_for(squares, tmp_path, monkeypatch) -> None:
    train_run(plan(squares, micro_batch_size=2), squares, tmp_path / "asked", device="cpu")
    tried = out_of_memory_above(3, monkeypatch)
    record = train_run(plan(squares), squares, tmp_path / "halved", device="cpu")
    assert tried[:3] == [8, 4, 2]
    assert set(tried[2:]) == {2}  # found once
    assert any("batch norm used batches of 2 images" in note for note in record.notes)
    halved = Checkpoint(tmp_path / "halved", keep="best").state()
    assert halved.micro_batch_size == 2
    asked = tmp_path / "asked" / "checkpoint" / "state.json"  # which need not remember what its recipe says
    TrainingState.load(asked).model_copy(update={"micro_batch_size": 2, "run": halved.run}).save(asked)
    assert_same_run(tmp_path / "halved", tmp_path / "asked")


def test_the_micro_batch_that_was_found_is_remembered(squares, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as limited:
        out_of_memory_above(3, limited)
        train_run(plan(squares), squares, tmp_path / "whole", device="cpu")
        with pytest.raises(Interrupted):
            train_run(plan(squares), squares, tmp_path / "stopped", device="cpu", progress=SignalsAt(signal.SIGINT, 3))
    record = train_run(plan(squares), squares, tmp_path / "stopped", device="cpu")  # memory would suffice now
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert any("batch norm used batches of 2 images" in note for note in record.notes)


def test_not_even_one_image(squares, tmp_path, monkeypatch) -> None:
    out_of_memory_above(0, monkeypatch)
    with pytest.raises(
        ForayError, match=r"One image of 32 px does not fit into memory in training \(CUDA out of memory.*2 GiB\)"
    ):
        train_run(plan(squares), squares, tmp_path / "run", device="cpu")
    assert "`resolution`" in RunRecord.load(tmp_path / "run" / "record.json").failure


def test_statistics_of_a_failed_attempt_are_put_back() -> None:
    network = build_model(get_spec(MODEL), num_classes=3, seed=0).train()
    gradients = MicroBatches(
        network, nn.CrossEntropyLoss(reduction="sum"), size=None, compute_format="float32"
    )  # fmt: skip
    before = {key: buffer.clone() for key, buffer in network.named_buffers()}
    network.register_forward_hook(fail)
    images, labels = torch.ones(1, 3, 64, 64), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ForayError, match="One image"):
        gradients.backward(images, labels, reseed=lambda: None)
    assert all(torch.equal(buffer, before[key]) for key, buffer in network.named_buffers())
    assert all(parameter.grad is None for parameter in network.parameters())


def fail(*_: object) -> None:
    raise torch.OutOfMemoryError("out of memory")
