"""The downloads that a comparison needs before it can be planned."""

from __future__ import annotations

from pathlib import Path

from foray.comparison.request import ComparisonRequest
from foray.data import NAMED_DATASETS
from foray.records.quantities import format_bytes
from foray.specs import get_spec
from foray.weights import hub_id_of, is_in_hub_cache


def missing_downloads(request: ComparisonRequest, cache: Path) -> list[tuple[str, str]]:
    """(what, size and place) of every file a comparison has yet to fetch; empty when it can start offline.

    Raises UnknownNameError for an unknown model, WeightsError for weights that are not found.
    """
    found = []
    source, how = request.source, request.how
    named = NAMED_DATASETS.get(str(source.data))
    if named is not None and source.data_dir is None:
        for file in named.missing_files(cache):
            size = "size not known" if file.about_bytes is None else f"about {format_bytes(file.about_bytes)}"
            found.append((f"{named.name} {file.name}", f"{size}, {file.urls[0]}"))
    weights = None if how.protocol == "scratch" else how.weights  # the plan refuses weights there
    for model in request.models:
        spec, hub_id = get_spec(model), hub_id_of(weights, model) if weights is not None else None
        if hub_id is not None and not is_in_hub_cache(hub_id):
            size = f"about {format_bytes(4 * spec.published.params)}" if spec.published else "size not known"
            found.append((f"weights of {model}", f"{size}, {hub_id} from the Hugging Face hub"))
    return found
