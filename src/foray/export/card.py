"""The model card (Mitchell et al. 2019, arXiv:1810.03993) beside an artifact: README.md, made from its record only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foray.export.artifact_folder import CARD, RECORD
from foray.plain_text import markdown, markdown_code
from foray.records import ArtifactRecord, write_text
from foray.records.quantities import (
    format_about,
    format_bytes,
    format_count,
    format_estimate,
    format_percent,
    format_points,
)

_SHOWN_CLASSES = 5
# What calibration settings begin with, and the card says itself: earlier versions wrote how many were asked for.
_COUNT = re.compile(r"^\d+ calibration images, ")

_COMPUTES = {
    "fp32": "weights and arithmetic in float32",
    "fp16": "weights in float16",
    "bf16": "weights stored in float16, arithmetic in bfloat16",
    "int8": "weights and activations in 8 bits, one scale per channel of weights; scaling and softmax in float32",
}


_COMPUTES_ON = {  # where a runtime differs
    ("executorch", "fp16"): "arithmetic in float16 where the processor has it, weights stored in float32",
}


def write_card(folder: Path, record: ArtifactRecord | None = None) -> None:
    """Writes README.md from `record`, or from the artifact.json in `folder`. Raises RunError when that is damaged."""
    write_text(folder / CARD, render_card(record or ArtifactRecord.load(folder / RECORD)))


def render_card(record: ArtifactRecord) -> str:
    """Markdown."""
    return (
        _environment()
        .get_template("card.md")
        .render(
            record=record,
            run=record.run,
            certificate=record.certificate,
            by_flips=_by_flips(record),
            computes=_COMPUTES_ON.get((record.runtime, record.precision), _COMPUTES[record.precision]),
            recipe=_recipe_facts(record.run.recipe),
            lost=_classes_that_lose(record),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("foray.export"),
        autoescape=False,  # it would escape for HTML
        finalize=_as_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "about": format_about,
        "bytes": format_bytes,
        "count": format_count,
        "estimate": format_estimate,
        "percent": format_percent,
        "points": format_points,
        "without_count": lambda settings: _COUNT.sub("", settings),
        "code": lambda text: Markup(markdown_code(str(text))),
    }
    return environment


def _as_markdown(value: Any) -> Any:
    """What the template shows of a record: text is escaped; Markup of filters is Markdown already."""
    return markdown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _recipe_facts(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """The main settings; the run's recipe.toml has all of them."""
    optimizer = recipe.get("optimizer") or {}
    facts = {
        "epochs": recipe.get("epochs"),
        "batch size": recipe.get("batch_size"),
        "optimizer": optimizer.get("name"),
        "learning rate": optimizer.get("learning_rate"),
        "weight decay": optimizer.get("weight_decay"),
        "solver": recipe.get("solver"),
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _by_flips(record: ArtifactRecord) -> list[str]:
    """What a certificate on images without labels says."""
    certificate = record.certificate
    if certificate is None or certificate.unlabelled is None:
        return []
    numbers = certificate.numbers
    return [numbers[:1].upper() + numbers[1:], *certificate.unlabelled.remarks, *certificate.more]


def _classes_that_lose(record: ArtifactRecord) -> list[tuple[str, int, float]]:
    """(class, images, loss of recall), the worst first."""
    if record.certificate is None:
        return []
    losing = [(row.name, row.n, row.loss) for row in record.certificate.per_class if row.loss is not None]
    return sorted((row for row in losing if row[2] > 0), key=lambda row: -row[2])[:_SHOWN_CLASSES]
