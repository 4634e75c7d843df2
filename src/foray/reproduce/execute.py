"""Runs experiments: ordinary runs of foray, resumable, and skipped where their result exists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foray.data import Dataset
from foray.errors import DataError, WeightsError
from foray.evaluation.imagenet import evaluate_weights
from foray.processes import Processes
from foray.progress import SILENT, Progress
from foray.recipes import Recipe
from foray.records import RunFolder, RunRecord, folder_lock
from foray.records.reproduction import ExperimentInfo, Scale, Unavailable, UnavailableList
from foray.reproduce.experiments import REDUCED, TIMES_ROLES, Experiment, experiments_at
from foray.reproduce.pretrained import at_resolution, test_images, write_random_weights
from foray.reproduce.results_folder import is_kept, keep_run, read_unavailable
from foray.reproduce.sources import SOURCES, open_source, reduced
from foray.reproduce.times import run_times
from foray.requests import Machine, TrainingRequest
from foray.runs.many import PlannedRun, train_runs
from foray.runs.run_id import run_id
from foray.training import RunPlan, plan_run
from foray.weights import find_weights


@dataclass(frozen=True)
class StudyRequest:
    """Which claims of the study are run, and on what.

    names: claims or sections; empty: all.
    scale: `full` is the study's protocol on its images; `reduced` two hours per run on two cores at most, with each
        difference named; `mini` minutes on a few images, whose numbers say nothing about the study.
    data_dir: a folder with one folder per source (`foray.reproduce.sources`).
    weights: where pretrained ones are; at `mini` random ones are used.
    offline: download nothing; nor is anything downloaded at `mini`.
    seeds: trainings of each experiment, with seeds 0, 1, ...; None: the experiment's own number, mostly one.
    """

    names: tuple[str, ...] = ()
    scale: Scale = "reduced"
    data_dir: Path | None = None
    weights: str | None = None
    offline: bool = False
    seeds: int | None = None

    @property
    def stays_offline(self) -> bool:
        """Whether nothing is downloaded."""
        return self.offline or self.scale == "mini"


def _is_linear(experiment: Experiment) -> bool:
    """Whether it trains a head on cached features, which several processes do not share."""
    recipe = experiment.resolved()
    return recipe is not None and recipe.protocol == "linear"


@dataclass
class Study:
    """Runs experiments into `out`: runs/ with everything a run needs, results/ with what is kept of it."""

    request: StudyRequest
    out: Path
    machine: Machine
    command: str
    progress: Progress = SILENT
    _opened: dict[tuple[object, ...], Dataset] = field(default_factory=dict)

    @property
    def processes(self) -> Processes:
        """Those that train together."""
        return self.machine.processes

    @property
    def results(self) -> Path:
        """What is kept."""
        return self.out / "results"

    @property
    def _runs(self) -> Path:
        return self.out / "runs"

    def run_all(self, roles: Collection[str]) -> None:
        """Every experiment of `roles` at the scale of the request.

        Experiments that cannot run are recorded in unavailable.json with the reason, and the others continue.
        """
        scale = self.request.scale
        experiments = experiments_at(scale, roles, self.request.seeds)
        timed = [role for role in TIMES_ROLES if role in roles and scale != "reduced"]
        if self.processes.count > 1:
            alone = [one.role for one in experiments if _is_linear(one)] + timed
            experiments, timed = [one for one in experiments if not _is_linear(one)], []
            if alone:
                self.progress.note(
                    f"In one process only: {', '.join(alone)}. Run the same command without torchrun as well."
                )
        failures = self._attempt_all(experiments)
        failures |= {role: self._time(role) for role in timed}
        self._note_unavailable(failures)

    def _time(self, role: str) -> Unavailable | None:
        """Why it has no result; None when it has one."""
        scale, machine = self.request.scale, self.machine
        return run_times(role, scale, self.results, machine, command=self.command, progress=self.progress)

    def _attempt_all(self, experiments: Sequence[Experiment]) -> dict[str, Unavailable | None]:
        """By role: why an experiment has no result, None where it has."""
        failures = {}
        for i, one in enumerate(experiments, start=1):
            self.progress.note(f"Experiment {i} of {len(experiments)}: {one.key}")
            failures[one.role] = self._attempt(one)
        return failures

    def _attempt(self, experiment: Experiment) -> Unavailable | None:
        """Why it has no result; None when it has one."""
        try:
            if experiment.recipe is None:
                self._evaluate(experiment)
            else:
                return self._train(experiment)
        except (DataError, WeightsError) as error:
            self.progress.note(f"{experiment.key}: not run. {error}")
            return Unavailable(kind="weights" if isinstance(error, WeightsError) else "data", reason=str(error))
        return None

    def _train(self, experiment: Experiment) -> Unavailable | None:
        recipe = experiment.resolved()
        assert recipe is not None
        wanted: dict[str, tuple[PlannedRun, bool]] = {}
        for seed in experiment.seeds:
            plan, dataset, is_random = self._prepared(experiment, recipe, seed)
            name = run_id(plan, dataset)
            if is_kept(self.results / experiment.key / name):
                self.progress.note(f"{experiment.key}: {name} is there already.")
            else:
                run = PlannedRun(experiment.key, plan, dataset, f"{experiment.key}/{name}")
                wanted[run.folder] = run, is_random

        def keep(run: PlannedRun, record: RunRecord) -> None:
            if self.processes.is_writer and record.status == "done":
                info = self._info(experiment, run.dataset, wanted[run.folder][1])
                keep_run(RunFolder(self._runs / run.folder), info, self.results / run.folder)

        runs = [run for run, _ in wanted.values()]
        trained = train_runs(runs, self._runs, self.machine, finished=keep, progress=self.progress)
        failure = trained.failures.get(experiment.key)
        return Unavailable(kind="failed", reason=failure) if failure else None

    def _prepared(self, experiment: Experiment, recipe: Recipe, seed: int) -> tuple[RunPlan, Dataset, bool]:
        """Finds images and weights, and says whether those are random ones.

        Missing ones raise on all ranks, so that none waits.
        """
        found: tuple[RunPlan, Dataset, bool] | DataError | WeightsError
        with self.processes.writer_first():
            try:
                dataset = self._images(experiment)
                weights, is_random = (None, False) if recipe.protocol == "scratch" else self._weights_for(experiment)
                how = TrainingRequest(recipe=recipe, resolution=experiment.resolution, weights=weights)
                plan = plan_run(
                    experiment.model, dataset, how, seed=seed, offline=self.request.stays_offline,
                    progress=self.progress,
                )  # fmt: skip
                found = plan, dataset, is_random
            except (DataError, WeightsError) as error:
                found = error
        if isinstance(found, tuple):
            return found
        raise found

    def _evaluate(self, experiment: Experiment) -> None:
        if not self.processes.is_writer:
            return
        dataset = self._images(experiment)
        weights, is_random = self._weights_for(experiment)
        found = find_weights(weights, experiment.model, offline=self.request.stays_offline, progress=self.progress)
        digest = f"{dataset.fingerprint[:4]}{found.sha256[:4]}"
        target = self.results / experiment.key / f"{found.spec.name}-{digest}"
        if is_kept(target):
            self.progress.note(f"{experiment.key}: {target.name} is there already.")
            return
        working = self._runs / experiment.key
        evaluation, _ = evaluate_weights(
            at_resolution(found, experiment.resolution), test_images(dataset, working / "images"),
            self.machine, out=working, progress=self.progress,
        )  # fmt: skip
        self._info(experiment, dataset, is_random).save(target / "experiment.json")
        evaluation.save(target / "evaluation.json")

    def _images(self, experiment: Experiment) -> Dataset:
        """The images, named as their source; at `mini`, others where the experiment's own are missing."""
        names = [experiment.source]
        if experiment.scale == "mini":
            names += [REDUCED[experiment.role].source] if experiment.role in REDUCED else []
            names += ["digits"]
        key = (*names, experiment.per_class, experiment.fold)
        if key not in self._opened:
            self._opened[key] = reduced(self._first_of(names, experiment.fold), experiment.per_class)
        return self._opened[key]

    def _first_of(self, names: Sequence[str], fold: int | None) -> Dataset:
        """The images of the first source found. Raises the DataError of the last."""
        for name in names[:-1]:
            try:
                return self._open(name, fold)
            except DataError as error:
                self.progress.note(str(error))
        return self._open(names[-1], fold)

    def _open(self, name: str, fold: int | None) -> Dataset:
        return open_source(
            name, self.request.data_dir, self.machine.cache, fold=fold if SOURCES[name].folds else None,
            offline=self.request.stays_offline, progress=self.progress,
        )  # fmt: skip

    def _weights_for(self, experiment: Experiment) -> tuple[str, bool]:
        """Where the pretrained weights are, and whether they are random ones: only at `mini`, where there are none.

        Raises WeightsError elsewhere.
        """
        try:
            if self.request.weights is None:
                raise WeightsError(
                    f"{experiment.model} needs pretrained weights: name them with `weights`, a folder or hub."
                )
            find_weights(
                self.request.weights, experiment.model, offline=self.request.stays_offline, progress=self.progress
            )
        except WeightsError:
            if experiment.scale != "mini":
                raise
            return str(write_random_weights(self._runs / "weights", experiment.model)), True
        return self.request.weights, False

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
        if not self.processes.is_writer or not failures:
            return
        folder = self.results / self.request.scale
        with folder_lock(folder, what="reproduction"):
            roles = read_unavailable(self.results, self.request.scale).roles | failures
            kept = {role: failure for role, failure in roles.items() if failure is not None}
            UnavailableList(roles=kept).save(folder / "unavailable.json")
