"""Heads on cached features against the loop that runs the backbone every epoch."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from foray.augmentation import Augment
from foray.data import Batches, decode_for_evaluation
from foray.linear import extract_features
from foray.linear.features import DecodedImages
from foray.linear.heads import Head, train_heads
from foray.recipes import SGD, Augmentation, FinetuneRecipe, RateSchedule, RMSprop, preset
from foray.specs import Preprocessing
from foray.training import TrainingFailedError
from foray.training.checkpoint import Checkpoint
from foray.training.class_weights import class_weights
from foray.training.freezing import freeze_backbone
from tests.asking import fit
from tests.small_training import HALF_RIGHT, lively

PREPROCESSING = Preprocessing(resolution=32, crop_pct=1.0)
FRESH = functools.partial(lively, dropout=0.0, seed=3)


def random_problem(n: int = 200, width: int = 24, classes: int = 4):
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes, (n,), generator=generator)
    features = torch.randn(n, width, generator=generator) + 2.0 + torch.eye(classes, width)[labels] * 2
    head = nn.Linear(width, classes)
    with torch.no_grad():
        head.weight.normal_(0, 0.1, generator=generator)
        head.bias.zero_()
    return features, labels, Head(head.weight.detach(), head.bias.detach())


def linear_recipe(**changes: object):
    """The study's optimiser at a constant rate on features as they are."""
    plain = {
        "batch_size": 8, "standardize_features": False, "schedule": RateSchedule(),
        "optimizer": RMSprop(learning_rate=1e-3),
    }  # fmt: skip
    return preset("linear", epochs=4).model_copy(update=plain | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"label_smoothing": 0.1, "schedule": RateSchedule(name="cosine", warmup_epochs=1.0)},
        {"optimizer": SGD(learning_rate=0.05, momentum=0.9, weight_decay=0.01)},
        {"class_weights": "inverse", "label_smoothing": 0.1},
        {"sampling": "balanced", "class_weights": "effective"},
        {"clip_norm": 0.5, "optimizer": SGD(learning_rate=0.05)},
        {"ema_decay": 0.9},
    ],
    ids=["the study's", "smoothed, cosine", "sgd with decay", "weighted, smoothed", "balanced", "clipped", "averaged"],
)
def test_cached_features_train_the_head_that_the_backbone_would(squares, tmp_path, changes: dict) -> None:
    """One pass through the frozen backbone gives what running it every epoch gives: the same weights to 1e-5."""
    recipe = linear_recipe(**changes)
    by_batches = FinetuneRecipe.model_validate(recipe.model_dump() | {"protocol": "finetune"})
    store = decode_for_evaluation(squares, PREPROCESSING)
    train = squares.indices("train")[7:]  # of the first class, 5 of 12: classes are not equally frequent

    every_epoch = FRESH()
    freeze_backbone(every_epoch, every_epoch.classifier)
    checkpoint = Checkpoint(tmp_path, keep="last")
    state = fit(
        every_epoch.to(memory_format=torch.channels_last),
        by_batches,
        Batches(store, train, batch_size=recipe.batch_size, device="cpu", seed=11, sampling=recipe.sampling),
        Augment(Augmentation(), PREPROCESSING, seed=11),
        resolution=PREPROCESSING.resolution,
        class_weights=class_weights(recipe, store.labels[train], 3),
        validate=lambda _: HALF_RIGHT, checkpoint=checkpoint, seed=11,
    )  # fmt: skip
    checkpoint.load_kept(every_epoch, state)

    network = FRESH()
    images = DecodedImages(store)
    features, _ = extract_features(network, images, PREPROCESSING, device=torch.device("cpu"), engine="torch")
    initial = Head(network.classifier.weight.detach().clone(), network.classifier.bias.detach().clone())
    (head,) = train_heads(
        torch.from_numpy(features)[None], torch.from_numpy(store.labels), [train], initial, recipe, seed=11
    )
    assert (head.weight - initial.weight).abs().max() > 1e-3  # it has learnt something
    torch.testing.assert_close(head.weight, every_epoch.classifier.weight.detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(head.bias, every_epoch.classifier.bias.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("standardize", [False, True])
def test_heads_trained_together_are_those_trained_alone(standardize: bool) -> None:
    """Also where the last batch is short and where heads have different numbers of batches."""
    features, labels, initial = random_problem()
    members = [np.arange(0, 90), np.arange(60, 149), np.arange(100, 190), np.arange(0, 40)]
    recipe = linear_recipe(standardize_features=standardize)
    together = train_heads(features[None], labels, members, initial, recipe, seed=2)
    for head, own in zip(together, members, strict=True):
        (alone,) = train_heads(features[None], labels, [own], initial, recipe, seed=2)
        torch.testing.assert_close(head.weight, alone.weight, rtol=0, atol=1e-6)
        torch.testing.assert_close(head.bias, alone.bias, rtol=0, atol=1e-5)


def test_standardised_features_are_shifted_and_scaled_by_one_number_and_leave_no_trace() -> None:
    features, labels, initial = random_problem()
    members, recipe = [np.arange(150)], linear_recipe(standardize_features=True)
    mean = features[:150].mean(dim=0)
    scaled = (features - mean) / features[:150].var(dim=0, correction=0).mean().sqrt()
    (folded,) = train_heads(features[None], labels, members, initial, recipe, seed=2)
    (plain,) = train_heads(scaled[None], labels, members, initial, linear_recipe(), seed=2)
    np.testing.assert_allclose(folded.probabilities(features), plain.probabilities(scaled), atol=1e-5)


def test_stopping_early_is_the_beginning_of_the_whole_run() -> None:
    features, labels, initial = random_problem()
    seen: list[torch.Tensor] = []
    members = [np.arange(100), np.arange(50, 150)]
    train_heads(
        features[None], labels, members, initial, linear_recipe(), seed=2,
        after_epoch=lambda epoch, head: bool(seen.append(head.weight)),
    )  # fmt: skip
    short = train_heads(features[None], labels, members, initial, linear_recipe(), seed=2, epochs=2)
    assert len(seen) == 4
    assert torch.equal(short[0].weight, seen[1])


def test_a_head_reaches_what_logistic_regression_reaches() -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels, initial = random_problem(n=600)
    train, test = np.arange(400), np.arange(400, 600)
    (head,) = train_heads(features[None], labels, [train], initial, linear_recipe(epochs=40), seed=0)
    ours = (head.probabilities(features[test]).argmax(axis=1) == labels[test].numpy()).mean()
    peer = LogisticRegression(max_iter=2000).fit(features[train], labels[train]).score(features[test], labels[test])
    assert peer > 0.6
    assert ours >= peer - 0.03


def test_an_epoch_shows_one_view_of_each_image_and_k_epochs_all() -> None:
    """Only the image whose view is infinite in that epoch stops it."""
    features, labels, initial = random_problem(n=24)
    for image, view in [(0, 0), (1, 0), (5, 2)]:
        views = features.repeat(3, 1, 1)
        views[view, image] = float("inf")
        epoch = (view - image) % 3  # image i shows view (e + i) mod 3 in epoch e
        with pytest.raises(TrainingFailedError, match=f"at epoch {epoch + 1},"):
            train_heads(views, labels, [np.arange(24)], initial, linear_recipe(), seed=0)


def test_equal_views_change_nothing() -> None:
    features, labels, initial = random_problem()
    for standardize in (False, True):
        recipe = linear_recipe(standardize_features=standardize)
        one, three = (
            train_heads(features.repeat(k, 1, 1), labels, [np.arange(90)], initial, recipe, seed=1)[0] for k in (1, 3)
        )
        torch.testing.assert_close(one.weight, three.weight, rtol=0, atol=1e-5)


def test_training_is_over_when_it_is_said_to_be() -> None:
    features, labels, initial = random_problem()
    recipe, members = linear_recipe(), [np.arange(90)]
    (stopped,) = train_heads(
        features[None], labels, members, initial, recipe, seed=1, after_epoch=lambda epoch, head: epoch.epoch == 2
    )
    (short,) = train_heads(features[None], labels, members, initial, recipe, seed=1, epochs=2)
    assert torch.equal(stopped.weight, short.weight)


def test_features_that_are_no_numbers_stop_the_run() -> None:
    features, labels, initial = random_problem()
    features[3, 2] = float("nan")
    with pytest.raises(TrainingFailedError, match="epoch 1, batch"):
        train_heads(features[None], labels, [np.arange(100)], initial, linear_recipe(), seed=0)
