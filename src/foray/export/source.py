"""What is exported: a float32 network with its preprocessing, its classes, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foray.data.named.imagenet_labels import imagenet_classes
from foray.errors import ForayError
from foray.models import Network, build_model
from foray.progress import SILENT, Progress
from foray.records import ArtifactOrigin, RunFolder, file_sha256
from foray.runs import load_run
from foray.specs import Preprocessing
from foray.weights import PretrainedWeights, find_weights, load_weights


@dataclass(frozen=True, eq=False)
class ExportSource:
    """`network`: in inference mode, on the CPU. `folder`: of the run, None for published weights."""

    network: Network
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    origin: ArtifactOrigin
    folder: Path | None = None

    @property
    def label(self) -> str:
        """What it is, in words."""
        return f"{'weights' if self.folder is None else 'run'} {self.origin.id}"


def source_of_run(folder: str | Path) -> ExportSource:
    """A finished run. Raises RunError when it is none or not done, WeightsError for damaged weights."""
    folder = Path(folder)
    trained = load_run(folder)
    record, test = trained.record, trained.record.metrics.get("test")
    origin = ArtifactOrigin(
        id=record.run_id,
        network_sha256=file_sha256(RunFolder(folder).weights),
        protocol=str(record.recipe["protocol"]),
        recipe=record.recipe,
        seed=record.seed,
        dataset=record.dataset.name,
        dataset_source=record.dataset.source,
        dataset_licence=record.dataset.licence,
        fingerprint=record.dataset.fingerprint,
        fold=record.dataset.fold,
        images=record.dataset.counts,
        weights=record.weights,
        top1=test.top1 if test else None,
        top5=test.top5 if test else None,
    )
    return ExportSource(trained.network, record.preprocessing, tuple(record.dataset.classes), origin, folder)


def source_of_weights(
    model: str,
    weights: str | Path,
    classes: Sequence[str] | None = None,
    *,
    offline: bool = False,
    progress: Progress = SILENT,
) -> ExportSource:
    """Published weights with their own classifier.

    `classes`: their names in the weights' order, as many as the classifier has; None: those that the weights name, else
    ImageNet's where there are 1000 of them (or 1001, with TensorFlow's background), else numbers. Raises WeightsError
    when there are no weights, and ForayError when they have no classifier or the classes are others.
    """
    found = find_weights(weights, model, offline=offline, progress=progress)
    if not found.num_classes:
        raise ForayError(f"The weights {found.source} have no classifier. Train one on your images: foray train.")
    if classes is not None and len(classes) != found.num_classes:
        raise ForayError(
            f"The weights {found.source} know {found.num_classes} classes, the data {len(classes)}. For your own "
            "classes, train first (foray train) and export the run."
        )
    network = build_model(found.spec, num_classes=found.num_classes, seed=0)
    origin = ArtifactOrigin(id=found.source, network_sha256=found.sha256, weights=load_weights(network, found))
    names = tuple(classes or found.classes or _usual_names(found, progress))
    return ExportSource(network.eval(), found.preprocessing, names, origin)


def _usual_names(found: PretrainedWeights, progress: Progress) -> Sequence[str]:
    """Of the classes of weights that do not name them."""
    imagenet = imagenet_classes()
    if found.num_classes == len(imagenet):
        return imagenet
    if found.num_classes == len(imagenet) + 1:
        return ["background", *imagenet]
    progress.note(
        f"The weights {found.source} do not name their {found.num_classes:,} classes: labels.txt numbers them. Write "
        "the names into timm's config.json (label_names) and export again."
    )
    return [f"class {i:0{len(str(found.num_classes - 1))}d}" for i in range(found.num_classes)]
