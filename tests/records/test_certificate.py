"""Certificates say what they know; those of before are read."""

from __future__ import annotations

import json

import pytest

from foray.records import Certificate, Estimate, FlipLabels
from foray.records.settlement import PanelLeftOut

# As foray 0.2.0 wrote it into artifact.json.
OLDER = """{
 "verdict": "inconclusive", "tolerance": 0.01, "confidence": 0.95, "n": 225, "dataset": "flowers", "fingerprint": "ab",
 "split": "test", "reference": "run mobilenet_v2-linear-flowers-seed0, float32, on its test split",
 "top1": {"value": 0.831, "low": 0.777, "high": 0.874, "n": 225, "confidence": 0.95, "method": "Wilson"},
 "reference_top1": {"value": 0.836, "low": 0.782, "high": 0.878, "n": 225, "confidence": 0.95, "method": "Wilson"},
 "loss": 0.0044, "loss_lower": -0.015, "loss_upper": 0.0257, "images_needed": 1234,
 "label_agreement": {"value": 0.982, "low": 0.955, "high": 0.993, "n": 225, "confidence": 0.95, "method": "Wilson"},
 "mean_shift": 0.012, "logit_error": 0.08, "largest_difference": 0.21, "largest_difference_image": "rose/a.jpg",
 "per_class": [
  {"name": "rose", "n": 225, "reference_recall": 0.836, "recall": 0.831, "loss": 0.0044, "loss_lower": -0.02},
  {"name": "tulip", "n": 0, "reference_recall": null, "recall": null, "loss": null, "loss_lower": null}
 ],
 "failures": [], "doubts": [], "warnings": ["The loss is not known for 1 classes without images, such as tulip."],
 "files": {"model.onnx": "cd"}, "runtime_version": "onnxruntime 1.23", "threads": 2,
 "created": "2026-11-25T12:00:00+00:00",
 "left_out": {"trained_on": 40, "selected_on": 8, "near_copies": 0, "calibrated_on": 0}
}"""


def test_an_older_certificate_is_read_and_says_what_it_said() -> None:
    found = Certificate.model_validate_json(OLDER)
    assert found.unlabelled is None
    assert found.sentence == (
        "inconclusive: accuracy 83.1 % against 83.6 % in float32 (n = 225); it loses 0.44 points, with 95.0 % "
        "confidence at most 2.57 points; the tolerance is 1 point. About 1,300 images like these, these 225 included, "
        "would decide with 80 % power."
    )
    written = json.loads(found.model_dump_json())
    assert written.pop("unlabelled") is None
    assert written.pop("earlier_sets") == []
    assert written == json.loads(OLDER)


def unlabelled(flips: FlipLabels, **fields: object) -> Certificate:
    given = {
        "verdict": "pass", "n": 1200, "split": "unlabelled", "top1": None, "reference_top1": None, "loss": None,
        "loss_lower": None, "loss_upper": 0.0053, "images_needed": None, "per_class": [], "unlabelled": flips,
    }  # fmt: skip
    return Certificate.model_validate(json.loads(OLDER) | given | fields)


@pytest.mark.parametrize(
    ("flips", "fields", "said"),
    [
        (
            FlipLabels(flips=2),
            {},
            "pass: 1,200 images without labels: 2 of 1,200 labels differ from float32; even if every one of them were "
            "an error, the loss would be below 1 point (upper bound 0.53).",
        ),
        (
            FlipLabels(flips=0),
            {"n": 299, "loss_upper": 0.009969},
            "pass: 299 images without labels: 0 of 299 labels differ from float32; with 95.0 % confidence the loss is "
            "below 1 point (upper bound 0.997).",
        ),
        (
            FlipLabels(flips=12),
            {"verdict": "inconclusive", "n": 1940, "loss_upper": 0.0100008},
            "inconclusive: 1,940 images without labels: 12 of 1,940 labels differ from float32; if every one of them "
            "were an error, the loss could be above 1 point (upper bound 1.00).",
        ),
        (
            FlipLabels(flips=24, losses=8, gains=7, neither=8, skipped=1),
            {"loss": 0.00125, "loss_lower": -0.004, "loss_upper": 0.0081},
            "pass: 1,200 images without labels: 24 of 1,200 labels differ from float32. 24 of the 24 are labelled: "
            "only float32 is right on 8, only the file on 7, neither on 8; 1 could not be told, counted against "
            "either verdict. It loses 0.12 points, with 95.0 % confidence at most 0.81 points; the tolerance is 1 "
            "point.",
        ),
        (
            FlipLabels(flips=24, losses=3, gains=9, decided=True, later=2, pass_within=2, fail_from=21),
            {"loss": -0.01, "loss_lower": -0.015, "loss_upper": 0.0081},
            "pass: 1,200 images without labels: 24 of 1,200 labels differ from float32. Decided after 12 of 24 labels: "
            "only float32 is right on 3, only the file on 9, neither on 0. 2 later ones change nothing until all have "
            "one. It loses -1 points, with 95.0 % confidence at most 0.81 points; the tolerance is 1 point.",
        ),
        (
            FlipLabels(flips=24, pass_within=2, fail_from=21),
            {"verdict": "inconclusive", "loss_upper": 0.027},
            "inconclusive: 1,200 images without labels: 24 of 1,200 labels differ from float32; if every one of them "
            "were an error, the loss could be above 1 point (upper bound 2.70). Labels of all 24 are sure to pass the "
            "file where its loss on these images is at most 0.17 points, and to fail it where that loss is at least "
            "1.75 points.",
        ),
    ],
)
def test_sentences_without_labels(flips: FlipLabels, fields: dict[str, object], said: str) -> None:
    assert unlabelled(flips, **fields).sentence == said


def test_the_bound_is_never_shown_on_the_wrong_side_of_the_tolerance() -> None:
    for upper in (0.0099, 0.00996, 0.009996, 0.0099996, 0.01, 0.0100004, 0.02):
        shown = unlabelled(FlipLabels(flips=2), loss_upper=upper).sentence.rpartition("upper bound ")[2].rstrip(").")
        assert (float(shown) < 1) == (upper < 0.01), (upper, shown)


def test_what_is_left_out_and_not_known_is_said() -> None:
    flips = FlipLabels(
        flips=24, losses=17, unused=7, shown_twice=20, same_again=19, guesses_shown=3,
        left_out=PanelLeftOut(near_copies=1200, bursts=5),
    )  # fmt: skip
    assert flips.remarks == [
        "Left out: 1,200 that were used already, near-duplicates included, 5 near-duplicates of another new image.",
        "7 labels do not count: an image before them in the stored order has none.",
        "Of 20 images shown twice, 19 got the same answer again.",
        "3 answers were given after the page showed what the file and float32 say.",
        "Not known without labels of the other images: the accuracy, and the loss per class.",
    ]
    assert FlipLabels(flips=0).remarks == flips.remarks[-1:]


def test_estimates_of_images_with_labels_stay_as_they_are() -> None:
    assert Certificate.model_validate_json(OLDER).top1 == Estimate(value=0.831, low=0.777, high=0.874, n=225)
