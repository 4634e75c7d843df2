"""The model card says what the record says, whatever the record lacks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from foray.cli.certificate import print_certificate
from foray.cli.export import _print
from foray.export.card import render_card, write_card
from foray.export.export import Exported
from foray.records import (
    ArtifactOrigin,
    ArtifactPreprocessing,
    ArtifactRecord,
    Calibration,
    Certificate,
    ClassDelta,
    Estimate,
    FileInfo,
    FlipLabels,
    Hardware,
    InputShape,
    Speed,
    TimeEstimate,
    WeightsInfo,
)

TOP1 = Estimate(value=0.91, low=0.88, high=0.93, n=723)
RUN = ArtifactOrigin(
    id="mobilenet_v2-finetune-plants-seed3",
    network_sha256="ab" * 32,
    protocol="finetune",
    recipe={"epochs": 12, "batch_size": 32, "optimizer": {"name": "adamw", "learning_rate": 0.001}},
    seed=3,
    dataset="plants",
    dataset_source="photos/",
    dataset_licence=None,
    fingerprint="cd" * 32,
    images={"train": 3319, "val": 708, "test": 723},
    weights=WeightsInfo(
        source="timm/x", variant="tf_mobilenet_v2", sha256="ef" * 32, licence="apache-2.0", head="replaced"
    ),
    top1=TOP1,
)
RECORD = ArtifactRecord(
    runtime="litert",
    precision="int8",
    entry="model.tflite",
    files={"model.tflite": FileInfo(sha256="00", bytes=2_500_000), "labels.txt": FileInfo(sha256="11", bytes=40)},
    model="tf_mobilenet_v2",
    resolution=224,
    num_classes=12,
    input=InputShape(height=224, width=224, batch=1),
    preprocessing=ArtifactPreprocessing(
        resolution=224, resize_side=256, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3
    ),
    run=RUN,
    params=2_239_244,
    macs=300_000_000,
    versions={"torch": "2"},
    created="2026-11-25T12:00:00+00:00",
    foray_version="0.1.0",
    calibration=Calibration(
        n=300, dataset="plants", fingerprint="cd", seed=0, settings="1200 calibration images, full ranges"
    ),
    remedies=["int8 after training: 2.1 points lost.", "more images: 0.4 points lost."],
)
FAILED = Certificate(
    verdict="fail",
    tolerance=0.01,
    confidence=0.95,
    n=723,
    dataset="plants",
    fingerprint="cd",
    split="test",
    reference="run",
    top1=Estimate(value=0.80, low=0.77, high=0.83, n=723),
    reference_top1=TOP1,
    loss=0.11,
    loss_lower=0.08,
    loss_upper=0.14,
    images_needed=None,
    label_agreement=Estimate(value=0.85, low=0.82, high=0.88, n=723),
    mean_shift=0.1,
    logit_error=0.2,
    largest_difference=0.7,
    largest_difference_image="a.jpg",
    per_class=[
        ClassDelta(name="fat|hen", n=60, reference_recall=0.9, recall=0.5, loss=0.4, loss_lower=0.2),
        ClassDelta(name="maize", n=0, reference_recall=None, recall=None, loss=None, loss_lower=None),
    ],
    failures=["It loses at least 8 points, more than the tolerance."],
    doubts=[],
    warnings=[],
    files={},
    runtime_version=None,
    threads=None,
    created="2026-11-25T12:00:00+00:00",
)
UNLABELLED = FAILED.model_copy(
    update={
        "verdict": "pass", "n": 1200, "split": "unlabelled", "top1": None, "reference_top1": None, "loss": None,
        "loss_lower": None, "loss_upper": 0.0053, "per_class": [], "failures": [], "unlabelled": FlipLabels(flips=2),
    }
)  # fmt: skip
LABELLED = UNLABELLED.model_copy(
    update={
        "loss": 0.001, "loss_lower": -0.002, "loss_upper": 0.008,
        "unlabelled": FlipLabels(flips=24, losses=8, gains=7, neither=9, shown_twice=20, same_again=19),
    }
)  # fmt: skip
PUBLISHED = ArtifactOrigin(id="mobilenetv2_100.tf_in1k", network_sha256="ab" * 32)
CASES = {
    "a run": RECORD,
    "failed": RECORD.model_copy(update={"certificate": FAILED}),
    "images without labels": RECORD.model_copy(update={"certificate": UNLABELLED}),
    "few labels": RECORD.model_copy(update={"certificate": LABELLED}),
    "published weights": RECORD.model_copy(update={"run": PUBLISHED, "calibration": None, "remedies": []}),
    "any size": RECORD.model_copy(
        update={"runtime": "onnx", "precision": "fp32", "input": InputShape(height=None, width=None, batch=None)}
    ),
}


@pytest.mark.parametrize("record", CASES.values(), ids=CASES)
def test_every_table_is_one_and_nothing_is_left_of_the_template(record: ArtifactRecord) -> None:
    text = render_card(record)
    assert not re.search(r"[{}%]}|{[{%]|None|Undefined", text)
    assert "\n\n\n\n" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = table.splitlines()
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {rows[0].count("|")}
        assert re.fullmatch(r"[|-]+", rows[1])
    for heading in ("Use", "Input and output", "Accuracy", "Cost", "Data and training", "Limits", "Licences"):
        assert f"\n## {heading}\n" in text


def test_numbers_and_origins_are_there() -> None:
    text = render_card(RECORD)
    for fact in (
        "91.0 % (95 % interval 88.0 to 93.0, n = 723)", "2.24 M", "300 M per image", "2.50 MB", "3319 train",
        "has not been certified", "Calibrated on 300 images of plants (seed 0): full ranges.",
        "more images: 0.4 points lost.",
        "pip install numpy pillow ai-edge-litert", "learning rate | 0.001", "| data | not stated |",
        "| pretrained weights | apache-2.0 |", "short side to 256 px, bicubic", "`prepare` in predict.py", "(seed 3)",
    ):  # fmt: skip
        assert fact in text


def test_what_int8_gains_stands_beside_the_machine_in_the_card_and_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = {"ratio": 1.2, "low": 1.1, "high": 1.3, "threads": 2, "bursts": 3, "turns": 9, "unsteady": ["it wavered"]}
    p50, float32 = (TimeEstimate(value=ms, low=ms, high=ms) for ms in (12.0, 10.0))
    machine = Hardware(processor="P", cores=2, memory_bytes=None, system="S", instructions=["avx2"])
    record = RECORD.model_copy(update={"speed": Speed(p50=p50, float32=float32, hardware=machine, **times)})
    _print([Exported(tmp_path, record, written=True)])
    for text in (render_card(record), capsys.readouterr().out):
        assert "int8 gains size, not speed: it takes 1.20 x the time of float32 (1.10 to 1.30 in 3 bursts;" in text
        assert "P (avx2), 2 cores). Measure again on an idle machine: it wavered." in text


def test_losses_on_validation_images_are_kept_apart_from_the_certificate() -> None:
    text = render_card(RECORD)
    assert (
        "They were selected on validation images, so their losses are optimistic; the certificate uses\nother images."
        in text
    )


def test_a_record_from_before_speeds_and_instructions_were_written_still_loads(tmp_path: Path) -> None:
    content = json.loads(RECORD.model_dump_json())
    del content["speed"]
    (tmp_path / "artifact.json").write_text(json.dumps(content))
    assert ArtifactRecord.load(tmp_path / "artifact.json") == RECORD
    old = Hardware.model_validate({"processor": "P", "cores": 1, "memory_bytes": None, "system": "S"})
    assert old.label() == "P, 1 core"


def test_who_runs_int8_in_onnxruntime_alone_is_told_how_it_stays_exact() -> None:
    onnx_card = render_card(RECORD.model_copy(update={"runtime": "onnx"}))
    assert 'add_session_config_entry("session.x64quantprecision", "1")' in onnx_card
    assert "x64quantprecision" not in render_card(RECORD)


def test_a_failed_file_says_so_first(tmp_path: Path) -> None:
    CASES["failed"].save(tmp_path / "artifact.json")
    write_card(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.index("Do not ship this file.") < text.index("## Use")
    assert "It loses at least 8 points, more than the tolerance." in text
    assert "| fat\\|hen | 60 | 40 points |" in text
    assert "maize" not in text


def test_whatever_comes_from_outside_is_text() -> None:
    """A data set, a class, a licence, a sentence: none of them is HTML, a link, a table's cell or steers a terminal."""
    name = "<img src=x onerror=alert(1)>[a](javascript:b)|\x1b]0;x\x07\n# c"
    shown = r"&lt;img src=x onerror=alert(1)>\[a\](javascript:b)\|\\u001b\]0;x\\u0007 # c"
    run = RUN.model_copy(
        update={"dataset": name, "dataset_source": f"{name}2", "dataset_licence": name, "id": f"`{name}", "recipe": {}}
        | {"weights": RUN.weights.model_copy(update={"source": name, "licence": name, "origin": name})}
    )
    sentences = {"failures": [name], "doubts": [name], "warnings": [name], "dataset": name}
    row = FAILED.per_class[0].model_copy(update={"name": name})
    record = RECORD.model_copy(
        update={"run": run, "remedies": [name], "calibration": RECORD.calibration.model_copy(update={"dataset": name})}
        | {"certificate": FAILED.model_copy(update=sentences | {"per_class": [row]})}
    )
    text = render_card(record)
    # Data in five places, licences in two, weights in two, sentences in five, and the class that loses most.
    assert text.count(shown) == 15
    outside_code = re.sub(r"``? .*? ``?", "", text)
    assert "<" not in outside_code
    assert not re.search(r"(?<!\\)\]\(", outside_code)
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)
    assert not re.search(r"^# c", text, re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = table.splitlines()
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {rows[0].count("|")}


def test_what_the_file_of_the_weights_left_open_is_said() -> None:
    note = "weights.pth does not say how images are prepared for it."
    weights = RUN.weights.model_copy(update={"notes": [note]})
    run = RUN.model_copy(update={"weights": weights})
    text = render_card(RECORD.model_copy(update={"run": run}))
    assert re.search(rf"^Pretrained weights: timm/x .*\. {re.escape(note)}\n\n", text, re.MULTILINE)


def test_a_certificate_without_labels_says_what_it_rests_on() -> None:
    without, with_labels = (render_card(CASES[name]) for name in ("images without labels", "few labels"))
    assert "- **Certificate: pass**, on images without labels, scored from image file to label." in without
    assert "2 of 1,200 labels differ from float32; even if every one of them were an error" in without
    assert "only float32 is right on 8, only the file on 7, neither on 9." in with_labels
    assert "Of 20 images shown twice, 19 got the same answer again." in with_labels
    for text in (without, with_labels):
        assert "Not known without labels of the other images: the accuracy, and the loss per class." in text


@pytest.mark.parametrize("name", ["images without labels", "few labels", "failed"])
def test_certificates_are_printed_in_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = CASES[name].certificate
    assert certificate is not None
    print_certificate(certificate)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert " ".join(said.split()).startswith(certificate.sentence)
    assert "None" not in said
    assert ("not known: it needs labels of all images" in said) == (name != "failed")
    assert ("loss not known without labels (95 % bound 0.53)" in " ".join(said.split())) == (
        name == "images without labels"
    )
    _print([Exported(Path("files/onnx-int8"), CASES[name], written=True)])
    assert "at most" in capsys.readouterr().out
