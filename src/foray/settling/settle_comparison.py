"""What a comparison left open, settled by labels of new images: asking for them, and reading them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foray.decision import headline
from foray.errors import DataError, ForayError, RunError
from foray.parsing import home_expanded
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.records import Settlement, SettlePlan, folder_lock
from foray.regular_files import is_there
from foray.report import write_report
from foray.report.comparison_folder import SETTLEMENT
from foray.requests import Machine
from foray.runs.trained import load_run
from foray.settling import plan as planning
from foray.settling.compared import Compared, open_compared
from foray.settling.conclude import conclude, require_same
from foray.settling.labels_file import Answers, is_filled_in, read_labels
from foray.settling.panel import Labels, Panel, notes_on_labels, open_panel, panel_labels

_GO_ON = "Go on labelling these images, or compare anew in another folder with more labelled images."
_WAY_OUT = f"Choosing images once labels are known would break the promise about wrong verdicts. {_GO_ON}"


@restores_process_state
def settle(
    out: str | Path,
    *,
    images: str | Path | None = None,
    labels: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> SettlePlan | Settlement:
    """Settles what a comparison left open, by labels of only those new images on which its models differ.

    First with `images`, which writes `out`/settle/label.html and labels.csv; then with `labels`. Both calls can be
    repeated. Other images replace the first ones only while there is neither a label nor a verdict, and all sets of
    images that are asked for share one error.

    Args:
        out: folder of a finished comparison.
        images: new images without labels, like those of use: a folder, folders in it included, or an archive.
        labels: a CSV of image,label, as the page writes it.
        device: where the networks run: `auto`, `cpu` or `cuda`.
        workers: threads that decode images; None: one per core.
        cache_dir: decoded images; None: see `foray.cache_folder`.
        progress: what is told of the progress.

    Returns:
        With `images` what is asked for, or what was decided where that needs no label; with `labels` what was decided.

    Raises:
        RunError: when nothing is open, when labels of other images were given already, and for damaged files.
        DataError: when no image is left, and for labels that do not fit.
        ForayError: unless one of `images` and `labels` is given.
    """
    if images is not None and labels is None:
        plan, settlement = ask(out, images, Machine(device, None, workers, cache_dir), progress=progress)
        return settlement if settlement is not None and settlement.is_done else plan
    if labels is None or images is not None:
        raise ForayError("Give one of `images` and `labels`.")
    return read(out, labels)


def ask(
    out: str | Path, images: str | Path, machine: Machine = Machine(), *, progress: Progress = SILENT
) -> tuple[SettlePlan, Settlement | None]:
    """Finds the new images that need a label to settle the comparison in `out`, and writes `out`/settle.

    Where a pair has a verdict without any label, or no image needs one, the settlement comes with it: that the models
    agree on nearly all of them is an answer. The same call again changes nothing; of other images see `settle`.

    Raises RunError where nothing is open or labels have been given, DataError where no image is left.
    """
    folder = Path(out)
    compared = open_compared(folder)
    with folder_lock(folder, what="comparison"):
        _require_no_labels_for_an_earlier_decision(compared)
        models = list(dict.fromkeys(model for pair in compared.open_pairs for model in pair))
        runs = [run for model in models for run in compared.runs[model]]
        shown = [run.load().preprocessing for run in runs]
        used_by = [run for runs in compared.runs.values() for run in runs]
        panel = open_panel(images, used_by, shown, machine, progress=progress)
        labels = {model: _labels(compared, model, panel, machine, progress) for model in models}
        notes = notes_on_labels(np.concatenate(list(labels.values())), panel.dataset.classes)
        plan = planning.make_plan(compared, panel, labels, notes, _tried(folder / planning.FOLDER))
        plan = _stored(folder / planning.FOLDER, plan, panel, labels)
        return plan, _without_labels(compared, plan, panel_ids(panel), labels)


def read(out: str | Path, labels: str | Path) -> Settlement:
    """Decides the comparison in `out` anew by the labels in a file, and writes its report again.

    Raises RunError where no labels were asked for or a file is damaged, DataError for labels that do not fit.
    """
    folder = Path(out)
    if not is_there(folder / planning.FOLDER / planning.PLAN):
        _require_no_settlement(folder)
        raise RunError(f"No labels were asked for in {folder}: ask for them first (`images`).")
    compared = open_compared(folder)
    with folder_lock(folder, what="comparison"):
        plan, images, said = planning.read_plan(folder / planning.FOLDER)
        require_same(compared, plan)
        answers = read_labels(home_expanded(labels), planning.question_of(plan, images))
        _require_no_fewer(answers, labels, folder, plan)
        if len(answers.labels) > plan.labels_read:
            plan.model_copy(update={"labels_read": len(answers.labels)}).save(folder / planning.FOLDER / planning.PLAN)
        return _kept(folder, conclude(compared, plan, images, said, answers))


def panel_ids(panel: Panel) -> tuple[str, ...]:
    """The ids of the images, in order."""
    return tuple(sample.id for sample in panel.dataset.samples)


def _labels(compared: Compared, model: str, panel: Panel, machine: Machine, progress: Progress) -> Labels:
    """(seeds, N)."""
    return np.stack([panel_labels(load_run(run.path), panel, machine, progress) for run in compared.runs[model]])


def _stored(folder: Path, plan: SettlePlan, panel: Panel, labels: Mapping[str, Labels]) -> SettlePlan:
    """The plan that is stored after this: the one that is there where it asks the same."""
    answer = folder.parent / SETTLEMENT
    if not is_there(folder / planning.PLAN):
        _require_no_settlement(folder.parent)
        planning.write_plan(folder, plan, panel, labels)
        return plan
    there = SettlePlan.load(folder / planning.PLAN)
    if there.asks_the_same(plan):
        planning.read_plan(folder)  # whose files must be intact
        planning.write_page(folder, there, panel, labels)
        return there
    _require_no_answer(folder, there)
    answered = is_there(answer)  # by images on which no label differs, without a verdict
    answer.unlink(missing_ok=True)
    planning.write_plan(folder, plan, panel, labels)
    if answered:
        write_report(folder.parent)
    return plan


def _require_no_settlement(folder: Path) -> None:
    """Raises RunError where there is an answer to a question that is missing."""
    plan, answer = folder / planning.FOLDER / planning.PLAN, folder / SETTLEMENT
    if is_there(answer):
        raise RunError(f"{plan} is missing, to which {answer} belongs. {SettlePlan.way_out}")


def _require_no_fewer(answers: Answers, labels: str | Path, folder: Path, plan: SettlePlan) -> None:
    """Raises DataError where `labels` lacks images whose labels were read before: what is known stays known."""
    answer = folder / SETTLEMENT
    read = set(Settlement.load(answer).labels) if is_there(answer) else set()
    given, before = len(answers.labels), max(plan.labels_read, len(read))
    missing = sorted(read - answers.labels.keys())
    if missing or given < before:
        named = f", among others of {missing[0]}" if missing else ""
        raise DataError(
            f"{labels} has {given:,} labels, but {before:,} were read before{named}. Give these too: labels that were "
            "read may be corrected, but not left out."
        )


def _require_no_labels_for_an_earlier_decision(compared: Compared) -> None:
    """Raises RunError where the comparison has decided anew since labels were given."""
    folder = compared.folder / planning.FOLDER
    if not is_there(folder / planning.PLAN):
        return
    there = SettlePlan.load(folder / planning.PLAN)
    answer = compared.folder / SETTLEMENT
    was_read = there.labels_read > 0 or (is_there(answer) and bool(Settlement.load(answer).labels))
    if was_read or is_filled_in(folder / planning.LABELS, planning.question_of(there)):
        require_same(compared, there)


def _require_no_answer(folder: Path, plan: SettlePlan) -> None:
    """Raises RunError where the images of `plan` have labels or a verdict, so that others must not replace them."""
    if plan.labels_read:
        raise RunError(f"{plan.labels_read:,} labels of other images were read already. {_WAY_OUT}")
    if is_there(folder.parent / SETTLEMENT):
        there = Settlement.load(folder.parent / SETTLEMENT)
        if there.labels:
            raise RunError(f"Labels of other images were read on {there.created[:10]} already. {_WAY_OUT}")
        if there.has_verdict:
            raise RunError(
                f"Other images gave a verdict on {there.created[:10]} already, without any label: "
                f"{headline(there.decision)}. foray report {folder.parent} shows it. {_GO_ON}"
            )
    if is_filled_in(folder / planning.LABELS, planning.question_of(plan)):
        raise RunError(
            f"{folder / planning.LABELS} holds labels of the images that were asked for on {plan.created[:10]}. "
            f"{_WAY_OUT}"
        )


def _without_labels(
    compared: Compared, plan: SettlePlan, images: tuple[str, ...], labels: Mapping[str, Labels]
) -> Settlement | None:
    """What is decided before any label, stored; None where nothing is. Where labels were read already, what they decide
    if no image needs one any more."""
    answer = compared.folder / SETTLEMENT
    if is_there(answer) and (there := Settlement.load(answer)).labels:
        return there if there.is_done else None
    settlement = conclude(compared, plan, images, labels, Answers({}))
    return _kept(compared.folder, settlement) if settlement.has_verdict or settlement.is_done else None


def _tried(folder: Path) -> list[str]:
    """The fingerprints of all sets of images that were asked for in OUT/settle."""
    if not is_there(folder / planning.PLAN):
        return []
    there = SettlePlan.load(folder / planning.PLAN)
    return [*there.earlier, there.fingerprint]


def _kept(folder: Path, settlement: Settlement) -> Settlement:
    """Stores the answer and writes the report."""
    settlement.save(folder / SETTLEMENT)
    write_report(folder)
    return settlement
