"""`linear`: the frozen backbone runs once over the decoded images, and heads are trained on its features.

Beside the head trained on train, five more are trained on four fifths of train and val each. Every train and val image
is then predicted by a head that has not seen it: `out_of_fold`, a selection split several times the size of val.
Nothing is resumed: a run that was killed finds the features on disk and trains its heads anew, in seconds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foray.data import Dataset, ImageStore, Split, decode_for_evaluation
from foray.models import Network
from foray.records import EpochRow
from foray.training.checkpoint import History, best_epoch
from foray.training.evaluate import Predictions, image_ids
from foray.training.features import cached_features
from foray.training.folds import out_of_fold_positions
from foray.training.heads import Head, HeadEpoch, train_heads
from foray.training.outcome import Outcome, Workplace
from foray.training.plan import RunPlan


def train_linear(plan: RunPlan, dataset: Dataset, network: Network, at: Workplace) -> Outcome:
    """Trains a classifier for the pretrained backbone of `network` and puts it into the network."""
    assert plan.weights is not None  # plan_run has seen to it
    store = decode_for_evaluation(
        dataset, plan.preprocessing, cache_dir=at.cache_dir, workers=at.workers, progress=at.progress
    )
    network.to(device=at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    extracted, engine = cached_features(
        network, plan.weights.sha256, store, plan.preprocessing,
        device=at.device, cache_dir=at.cache_dir, progress=at.progress,
    )  # fmt: skip
    study = _Study(plan, dataset, store, network, torch.from_numpy(extracted).to(at.device), at)
    head, kept_epoch = study.train()
    out_of_fold = study.out_of_fold(kept_epoch)
    with torch.no_grad():
        network.classifier.weight.copy_(head.weight)
        network.classifier.bias.copy_(head.bias)
    return Outcome(
        network=network,
        predictions={
            "val": study.predict(head, "val"),
            "out_of_fold": out_of_fold,
            "test": study.predict(head, "test"),
        },
        best_epoch=kept_epoch,
        seconds_per_epoch=[row.seconds for row in study.history.rows],
        train_precision="float32",
        feature_engine=f"{engine} float32",
    )


class _Study:
    """Features (N, F) of every image of a data set, and the heads that are trained on them."""

    def __init__(
        self, plan: RunPlan, dataset: Dataset, store: ImageStore, network: Network, features: Tensor, at: Workplace
    ) -> None:
        self.plan, self.dataset, self.features, self.at = plan, dataset, features, at
        self.labels = torch.from_numpy(store.labels).to(features.device)
        self.initial = Head(network.classifier.weight.detach().clone(), network.classifier.bias.detach().clone())
        self.history = History(at.folder / "history.jsonl")

    def train(self) -> tuple[Head, int]:
        """The head trained on train, of the epoch that the recipe keeps, and that epoch; writes the history."""
        recipe = self.plan.recipe
        rows: list[EpochRow] = []
        kept: list[tuple[Head, int]] = []
        with self.at.progress.task("training the head", total=recipe.epochs) as task:

            def after_epoch(epoch: HeadEpoch, head: Head) -> None:
                val = self.predict(head, "val").score
                row = EpochRow(
                    epoch=epoch.epoch, learning_rate=epoch.learning_rate, seconds=epoch.seconds,
                    train_loss=epoch.train_loss, train_top1=epoch.train_top1, val_loss=val.loss, val_top1=val.top1,
                )  # fmt: skip
                rows.append(row)
                if recipe.checkpoint == "last" or best_epoch(rows) == row.epoch:
                    kept[:] = [(head, row.epoch)]
                task.advance(note=f"val {100 * val.top1:.1f} %")

            members = [self.dataset.indices("train")]
            train_heads(
                self.features, self.labels, members, self.initial, recipe, seed=self.plan.seed, after_epoch=after_epoch
            )
        self.history.replace(rows)
        return kept[0]

    def out_of_fold(self, epochs: int) -> Predictions:
        """Predictions for train and val, in dataset order, each from a head trained on the other folds."""
        folds = out_of_fold_positions(self.dataset, self.plan.seed)
        everything = np.sort(np.concatenate(folds))
        members = [np.setdiff1d(everything, fold, assume_unique=True) for fold in folds]
        self.at.progress.note(f"training {len(folds)} heads on four fifths of train and val each")
        heads = train_heads(
            self.features, self.labels, members, self.initial, self.plan.recipe, seed=self.plan.seed, epochs=epochs
        )
        probabilities = np.empty((len(self.dataset.samples), self.plan.num_classes), dtype=np.float32)
        for head, fold in zip(heads, folds, strict=True):
            probabilities[fold] = head.probabilities(self.features[torch.from_numpy(fold).to(self.features.device)])
        labels = self.labels.cpu().numpy()
        return Predictions(image_ids(self.dataset, everything), labels[everything], probabilities[everything])

    def predict(self, head: Head, split: Split) -> Predictions:
        """Predictions of one head for one split, in dataset order."""
        positions = self.dataset.indices(split)
        where = torch.from_numpy(positions).to(self.features.device)
        probabilities = head.probabilities(self.features[where])
        return Predictions(image_ids(self.dataset, positions), self.labels[where].cpu().numpy(), probabilities)
