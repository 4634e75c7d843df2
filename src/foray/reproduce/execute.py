"""Runs experiments: ordinary runs of foray, resumable, and not made again where their result is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foray.data import Dataset
from foray.errors import DataError, WeightsError
from foray.evaluation.imagenet import evaluate_weights
from foray.progress import SILENT, Progress
from foray.recipes import Recipe
from foray.records import RunRecord, folder_lock
from foray.records.reproduction import ExperimentInfo, Scale, Unavailable, UnavailableList
from foray.reproduce.experiments import BY_SCALE, STANDIN, Experiment, experiments_at
from foray.reproduce.pretrained import at_resolution, test_images, write_random_weights
from foray.reproduce.results_folder import is_kept, keep_run, read_unavailable
from foray.reproduce.sources import Places, open_source, reduced
from foray.runs import run_id, train_run
from foray.training import RunPlan, TrainingFailedError, plan_run
from foray.training.distributed import ALONE, Processes
from foray.weights import find_weights


@dataclass(frozen=True)
class _Prepared:
    """A run that can begin. `random_weights`: in place of pretrained ones."""

    plan: RunPlan
    dataset: Dataset
    random_weights: bool


@dataclass
class Runner:
    """Where and how experiments run. `out`: runs/ with everything a run needs, results/ with what is kept of it."""

    out: Path
    places: Places
    command: str
    device: str = "auto"
    workers: int | None = None
    processes: Processes = ALONE
    progress: Progress = SILENT
    _opened: dict[tuple[object, ...], Dataset] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """What is kept."""
        return self.out / "results"

    def run_all(self, scale: Scale, roles: Collection[str]) -> None:
        """Every experiment of `roles` at `scale`; at `full`, on stand-ins where the study's images are not there.

        What cannot be run is noted in unavailable.json with the reason, and the others go on.
        """
        planned = experiments_at(scale, roles)
        failures = self._attempt_all(planned)
        if scale == "full":
            done = {one.role for one in planned if failures[one.key] is None}
            failures |= self._attempt_all([one for one in experiments_at("standin", roles) if one.role not in done])
        self._note_unavailable(failures)

    def _attempt_all(self, experiments: Sequence[Experiment]) -> dict[str, Unavailable | None]:
        """By scale and role: why an experiment has no result, None where it has."""
        failures = {}
        for i, one in enumerate(experiments, start=1):
            self.progress.note(f"Experiment {i} of {len(experiments)}: {one.key}")
            failures[one.key] = self._attempt(one)
        return failures

    def _attempt(self, experiment: Experiment) -> Unavailable | None:
        """Why it has no result; None when it has."""
        try:
            if experiment.recipe is None:
                self._evaluate(experiment)
            else:
                self._train(experiment)
        except (DataError, WeightsError) as error:
            self.progress.note(f"{experiment.key}: not run. {error}")
            return Unavailable(kind="data", reason=str(error))
        except TrainingFailedError as error:
            if self.processes.count > 1:  # after an error processes end, so that the others see it
                raise
            self.progress.note(f"{experiment.key}: failed. {error}")
            return Unavailable(kind="failed", reason=str(error))
        return None

    def _train(self, experiment: Experiment) -> None:
        recipe = experiment.resolved()
        assert recipe is not None
        if recipe.protocol == "linear" and self.processes.count > 1:
            self.progress.note(f"{experiment.key} is for one process: run the same command without torchrun as well.")
            return
        for seed in experiment.seeds:
            prepared = self._prepared(experiment, recipe, seed)
            plan, dataset = prepared.plan, prepared.dataset
            name = run_id(plan, dataset)
            target = self.results / experiment.key / name
            if is_kept(target):
                self.progress.note(f"{experiment.key}: {name} is there already.")
                continue
            self.progress.note(f"{experiment.key}: {name}")
            run = self.out / "runs" / experiment.key / name
            record = self._run(plan, dataset, run)
            if self.processes.is_writer and record.status == "done":
                keep_run(run, self._info(experiment, dataset, prepared.random_weights), target)

    def _prepared(self, experiment: Experiment, recipe: Recipe, seed: int) -> _Prepared:
        """Images and weights found; what is missing is raised in all processes alike, none left waiting."""
        found: _Prepared | DataError | WeightsError
        with self.processes.writer_first():
            try:
                dataset = self._images(experiment)
                found = self._plan(experiment, recipe, dataset, seed)
            except (DataError, WeightsError) as error:
                found = error
        if isinstance(found, _Prepared):
            return found
        raise found

    def _run(self, plan: RunPlan, dataset: Dataset, run: Path) -> RunRecord:
        return train_run(
            plan, dataset, run, device=self.processes.device_of(self.device), cache_dir=self.places.cache_dir,
            workers=self.workers, processes=self.processes, progress=self.progress,
        )  # fmt: skip

    def _evaluate(self, experiment: Experiment) -> None:
        if not self.processes.is_writer:
            return
        dataset = self._images(experiment)
        weights, is_random = self._weights_for(experiment)
        found = find_weights(weights, experiment.model, offline=not self.places.download, progress=self.progress)
        digest = f"{dataset.fingerprint[:4]}{found.sha256[:4]}"
        target = self.results / experiment.key / f"{found.spec.name}-{digest}"
        if is_kept(target):
            self.progress.note(f"{experiment.key}: {target.name} is there already.")
            return
        working = self.out / "runs" / experiment.key
        evaluation, _ = evaluate_weights(
            at_resolution(found, experiment.resolution), test_images(dataset, working / "images"), out=working,
            device=self.device, workers=self.workers, progress=self.progress,
        )  # fmt: skip
        self._info(experiment, dataset, is_random).save(target / "experiment.json")
        evaluation.save(target / "evaluation.json")

    def _images(self, experiment: Experiment) -> Dataset:
        """The images, named as their source; at `mini`, others where the experiment's own are not there."""
        names = [experiment.source]
        if experiment.scale == "mini":
            names += [STANDIN[experiment.role].source] if experiment.role in STANDIN else []
            names += ["digits"]
        key = (*names, experiment.per_class)
        if key not in self._opened:
            self._opened[key] = reduced(self._first_of(names), experiment.per_class)
        return self._opened[key]

    def _first_of(self, names: Sequence[str]) -> Dataset:
        """The images of the first source that is there. Raises the DataError of the last."""
        for name in names[:-1]:
            try:
                return open_source(name, self.places, self.progress)
            except DataError as error:
                self.progress.note(str(error))
        return open_source(names[-1], self.places, self.progress)

    def _plan(self, experiment: Experiment, recipe: Recipe, dataset: Dataset, seed: int) -> _Prepared:
        weights, is_random = (None, False) if recipe.protocol == "scratch" else self._weights_for(experiment)
        plan = plan_run(
            experiment.model, dataset, recipe, weights=weights, resolution=experiment.resolution, seed=seed,
            offline=not self.places.download, progress=self.progress,
        )  # fmt: skip
        return _Prepared(plan, dataset, is_random)

    def _weights_for(self, experiment: Experiment) -> tuple[str, bool]:
        """Where the pretrained weights are, and whether they are random ones: at `mini` alone, where there are none.

        Raises WeightsError elsewhere.
        """
        try:
            if self.places.weights is None:
                raise WeightsError(f"{experiment.model} needs pretrained weights: name them with --weights DIR or hub.")
            find_weights(
                self.places.weights, experiment.model, offline=not self.places.download, progress=self.progress
            )
        except WeightsError:
            if experiment.scale != "mini":
                raise
            return str(write_random_weights(self.out / "runs" / "weights", experiment.model)), True
        return self.places.weights, False

    def _info(self, experiment: Experiment, dataset: Dataset, is_random: bool) -> ExperimentInfo:
        return ExperimentInfo(
            role=experiment.role,
            scale=experiment.scale,
            source=dataset.name,
            reduced=experiment.per_class.words() if experiment.per_class else None,
            random_weights=is_random,
            command=self.command,
        )

    def _note_unavailable(self, failures: dict[str, Unavailable | None]) -> None:
        if not self.processes.is_writer:
            return
        for scale in BY_SCALE:
            here = {
                key.partition("/")[2]: failure for key, failure in failures.items() if key.partition("/")[0] == scale
            }
            if not here:
                continue
            with folder_lock(self.results / scale, what="reproduction"):
                roles = read_unavailable(self.results, scale).roles | here
                kept = {role: failure for role, failure in roles.items() if failure is not None}
                UnavailableList(roles=kept).save(self.results / scale / "unavailable.json")
