"""What the page says, of results made up for the purpose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from foray.records.reproduction import ExperimentInfo
from foray.reproduce.all_claims import CLAIMS, claims_named
from foray.reproduce.claim import Accuracy, Timed
from foray.reproduce.experiments import MINI, SCALED
from foray.reproduce.findings import Findings
from foray.reproduce.page_content import Page, page_of
from foray.reproduce.page_tables import is_comparable
from foray.reproduce.pictures import cost_of_accuracy, panels
from foray.reproduce.reproduce import judge_all
from foray.reproduce.reproduction_page import html_page, markdown_page
from foray.reproduce.results_folder import TimesResult
from foray.reproduce.role_words import in_words, words_of
from foray.reproduce.statements import STATEMENTS
from tests.reproduce.made_results import Made, some_right
from tests.reproduce.timed import training_times

N = 1000


@pytest.fixture
def made(tmp_path: Path) -> Findings:
    """The frozen backbone as printed, the whole network better; B0 on CIFAR-10 better by another protocol, B0 from
    scratch worse by a smaller one."""
    runs = Made(tmp_path)
    runs.run("deepweeds-mobilenet-frozen", some_right(799, N))
    runs.run("deepweeds-b0-frozen", some_right(850, N))
    runs.run("deepweeds-mobilenet-whole", some_right(890, N))
    runs.run("cifar10-b0", some_right(962, N), scale="reduced")
    runs.run("deepweeds-b0", some_right(700, N), scale="reduced")
    return runs.findings()


def page(findings: Findings) -> Page:
    return page_of(judge_all(findings, claims_named([])))


def test_the_table_holds_comparable_results_alone(made: Findings) -> None:
    rows = page(made).numbers
    assert [(row[0], row[1], row[3], row[5].split()[0], row[-1]) for row in rows] == [
        ("CIFAR-10", "EfficientNet-B0", "91.2", "96.2", "exceeded by another protocol"),
        ("DeepWeeds", "MobileNetV2", "79.95", "79.9", "reproduced"),
        ("DeepWeeds", "MobileNetV2", "89", "89.0", "reproduced"),
    ]
    smaller = page(made).smaller
    assert {(row[0], row[1], row[3].split()[0]) for row in smaller} == {
        ("DeepWeeds", "EfficientNet-B0", "70.0"), ("DeepWeeds", "EfficientNet-B0, epoch 20 in place of 70", "70.0")
    }  # fmt: skip
    assert all("112 px, not 224" in row[-1] for row in smaller)


def test_the_summary_has_ten_lines_at_most_and_the_numbers_of_the_results(made: Findings) -> None:
    points = page(made).summary
    assert 3 < len(points) <= 10
    text = "\n".join(point.text for point in points)
    assert "DeepWeeds, MobileNetV2 with a frozen backbone: 79.9 % against 79.95 % in the study; 79.9 % (" in text
    assert "96.2 % against 91.2 % in the study, by another protocol; 96.2 % (" in text
    alike = next(point.text for point in points if point.title.startswith("Trained alike"))
    assert re.match(
        r"DeepWeeds, EfficientNet-B0 over MobileNetV2: with a frozen backbone \+5\.10 \(\d\.\d\d to \d\.\d\d\) "
        r"points on test \(n = 1,000, one seed each\)\.$",
        alike,
    )
    study = [one for one in CLAIMS.values() if one.origin == "study"]
    counts = points[0].text
    assert counts.startswith(
        f"{len(study)} claims judge {len(STATEMENTS)} of the study's {len(STATEMENTS)} statements: "
    )
    assert " hold (13 by arithmetic or quotation, 3 by training)" in counts
    counts = counts.partition(": ")[2]
    assert sum(map(int, re.findall(r"(\d+) (?:hold|is|are|does|do|was|were|has|have)", counts))) == len(study)


def test_every_point_of_the_summary_is_one_line(made: Findings) -> None:
    found = page(made)
    html, text = html_page(found, {}).replace("&#39;", "'"), markdown_page(found, {})
    for number, point in enumerate(found.summary, start=1):
        assert f"<li><strong>{point.title}.</strong> {point.text}</li>" in html
        assert len(re.findall(rf"^{number}\. \*\*{point.title}\.\*\* \S", text, re.M)) == 1


def test_what_is_shown_against_the_study_is_told_in_the_summary_in_few_words(made: Findings) -> None:
    """A claim without words of its own would put its whole sentence there."""
    for result in judge_all(made, claims_named([])).results:
        claim = CLAIMS[result.claim]
        told = not isinstance(claim.judge, Accuracy) and result.verdict in ("not reproduced", "error in the study")
        if told and claim.origin == "study":
            assert claim.brief or result.brief, claim.id


def test_what_the_study_did_not_ask_is_not_counted_with_it(made: Findings) -> None:
    found = page(made)
    assert sum(n for _, n in found.counts) == sum(len(section.claims) for section in found.sections)
    assert {view.claim.origin for view in found.ours} == {"ours"}
    assert all(view.claim.origin == "study" for section in found.sections for view in section.claims)


def test_every_claim_is_on_the_page_once_and_opens(made: Findings) -> None:
    html = html_page(page(made), {})
    ids = re.findall(r'<details class="claim" id="([^"]+)"', html)
    assert sorted(ids) == sorted(CLAIMS)
    assert not re.search(r'(src|href)="(?!#)', html)  # nothing is loaded
    text = markdown_page(page(made), {})
    for claim in CLAIMS.values():
        assert text.count(f"* ({claim.id})") == 1


def test_every_statement_of_the_study_is_listed_with_its_verdicts(made: Findings) -> None:
    found = page(made)
    assert [text for text, _ in found.statements] == [statement.text for statement in STATEMENTS]
    told = dict(found.statements)
    assert told["A new head on the frozen MobileNetV2 reaches 79.95 % on DeepWeeds."] == "mobilenet.frozen: reproduced"
    some = page_of(judge_all(made, claims_named(["mobilenet.frozen"]))).statements
    assert len(some) < len(STATEMENTS)


def test_times_of_the_summary_are_those_of_the_two_networks(tmp_path: Path) -> None:
    times = training_times(mobile=[0.3, 0.3, 0.3], b0=[0.6, 0.61, 0.6])
    info = ExperimentInfo(role="times-training", scale="full", source="random pixels", command="")
    found = Findings({"times-training": [TimesResult(info, times, tmp_path)]}, {}, mini=False)
    text = next(point.text for point in page(found).summary if point.title.startswith("Holds in our timings"))
    assert re.search(
        r"500 epochs of B0 take longer than 20 of MobileNetV2: 50\.3 times as long \(\d+\.\d to \d+\.\d\)", text
    )


def test_choices_stand_once(made: Findings) -> None:
    text = markdown_page(page(made), {})
    assert text.count("RMSProp") > 1
    assert text.count("batch_size = 32 (Keras' default)") == len(
        [name for name, _ in page(made).choices if name.startswith("study_mobilenet")]
    )


def test_a_figure_without_comparable_result_says_so(tmp_path: Path) -> None:
    text = markdown_page(page(Findings({}, {}, mini=False)), {})
    assert "No comparable result yet." in text


def test_accuracy_is_drawn_against_times_taken_at_the_same_resolution(made: Findings, tmp_path: Path) -> None:
    heads = training_times(head=[0.1, 0.2, 0.3])
    b0 = heads.networks[0].model_copy(update={"model": "efficientnet_b0", "seconds": [0.2, 0.4, 0.6]})
    times = heads.model_copy(update={"networks": [*heads.networks, b0]})
    info = ExperimentInfo(role="times-training", scale="full", source="random pixels", command="")
    with_times = Findings(
        {**made.results, "times-training": [TimesResult(info, times, tmp_path)]}, {}, mini=False, also=made.also
    )
    assert panels(made) == []
    assert cost_of_accuracy(made) is None
    [panel] = panels(with_times)
    assert panel.title == "A head on the frozen backbone, 224 px"
    assert [(point.network, point.time_ms, point.accuracy.value) for point in panel.points] == [
        ("MobileNetV2", 200.0, 0.799), ("EfficientNet-B0", 400.0, 0.85)
    ]  # fmt: skip
    assert cost_of_accuracy(with_times) is not None
    smaller = [one.model_copy(update={"resolution": 160}) for one in times.networks]
    other = heads.model_copy(update={"networks": smaller})
    at_another = Findings({**made.results, "times-training": [TimesResult(info, other, tmp_path)]}, {}, mini=False)
    assert panels(at_another) == []


def test_every_experiment_has_a_name_in_words() -> None:
    """By which it is told from the others of its claim."""
    words = [words_of(role) for role in MINI]
    assert len(set(words)) == len(words)
    assert {in_words(f"scaling-{way}") for way in SCALED} == {
        f"a network scaled in {what}" for what in ("depth alone", "width alone", "resolution alone",
                                                   "all three dimensions")
    }  # fmt: skip
    assert in_words("deepweeds-v2b0-last34") == "EfficientNetV2-B0 with the last 34 layers unfrozen"
    assert Timed("mobilenet_v2", 224).label == "mobilenet_v2 at 224 px"


def test_only_results_by_the_studys_protocol_or_a_better_one_are_comparable(made: Findings) -> None:
    for one in judge_all(made, claims_named([])).results:
        if isinstance(CLAIMS[one.claim].judge, Accuracy) and is_comparable(one):
            assert one.evidence[0].differs == [] or one.verdict == "exceeded by another protocol"


def test_the_summary_of_some_claims_counts_these(made: Findings) -> None:
    def first(*names: str) -> str:
        return page_of(judge_all(made, claims_named(names))).summary[0].text

    said = first("mobilenet.frozen")
    assert said.startswith(f"2 claims judge 2 of the study's {len(STATEMENTS)} statements: 1 holds (1 by training)")
    assert "DeepWeeds, EfficientNet-B0 over MobileNetV2" in first("comparison.equal_protocol.b0")  # no count of nothing


def test_timings_stand_on_the_page_without_a_training_too(tmp_path: Path) -> None:
    times = training_times(mobile=[0.3, 0.3, 0.3], b0=[0.6, 0.61, 0.6])
    info = ExperimentInfo(role="times-training", scale="full", source="random pixels", command="foray reproduce x")
    found = Findings({"times-training": [TimesResult(info, times, tmp_path)]}, {}, mini=False)
    some = page_of(judge_all(found, claims_named(["comparison.faster_to_train.b0"])))
    assert [row[:4] for row in some.timings] == [("full/times-training", "training step", "2", "3")]
    html, text = html_page(some, {}), markdown_page(some, {})
    assert "## Experiments\n\n| Timed |" in text
    for page_text in (html, text):
        assert "full/times-training" in page_text
        assert "foray reproduce x" in page_text
    assert "<p>None.</p>" not in html


def test_weights_and_notes_of_the_runs_stand_once(made: Findings) -> None:
    found = page(made)
    assert len({row[2] for row in found.weights}) == len(found.weights)
    assert len({note for note, _ in found.notes}) == len(found.notes) > 0
    html = html_page(found, {})
    for note, _ in found.notes:
        assert note.replace("'", "&#39;") in html


def test_a_figure_compared_on_test_says_so(tmp_path: Path) -> None:
    runs = Made(tmp_path)
    runs.run("rps-b0", some_right(860, N), val=some_right(1000, N))
    found = page(runs.findings())
    [row] = found.numbers
    assert (row[3], row[-1]) == ("86 (test)", "reproduced")
    assert row[5].startswith("100.0 (")
    assert row[6].startswith("86.0 (")
    [line] = [one.text for one in found.summary if one.title == "Accuracy"]
    assert line == "Rock-Paper-Scissors, EfficientNet-B0 fine-tuned whole: 86.0 % on test against 86 % in the study."
