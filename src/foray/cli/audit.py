"""What `foray data inspect` prints."""

from __future__ import annotations

from collections.abc import Sequence

from foray.cli.tables import print_rows, print_table
from foray.cli.terminal import say
from foray.data import NAMED_DATASETS, Audit
from foray.data.audit import DuplicatePair, PixelRange

_SHOWN = 10  # names of each kind; --json has them all


def print_audit(audit: Audit) -> None:
    """Counts per class and split, then sizes and imbalance, then duplicates and unreadable files by name."""
    splits = [split for split in ("train", "val", "test", "unassigned") if audit.dataset.counts.get(split)]
    print_table(
        ["class", *splits, "all"],
        [
            [name, *(str(by_split.get(split, 0)) for split in splits), str(sum(by_split.values()))]
            for name, by_split in audit.counts.items()
        ]
        + [["all", *(str(audit.dataset.counts[split]) for split in splits), str(sum(audit.dataset.counts.values()))]],
    )
    print_rows(
        [
            ("splits", audit.split_origin),
            ("imbalance", f"the largest class has {audit.imbalance_ratio:.1f} x the images of the smallest"),
            ("width", _pixels(audit.width)),
            ("height", _pixels(audit.height)),
            ("modes", ", ".join(f"{mode} {n:,}" for mode, n in audit.modes.items()) or "-"),
            ("licence", audit.licence or "not stated"),
            ("copies", f"{audit.copies_within_splits:,} exact copies inside a split"),
            ("groups", _groups(audit)),
            ("fingerprint", audit.dataset.fingerprint),
        ]
    )
    _print_names("unreadable", [f"{image.id}: {image.reason}" for image in audit.unreadable])
    _print_names("exact duplicates across splits", [_pair(pair, "=") for pair in audit.exact_duplicates])
    _print_names("near-duplicates across splits", [_pair(pair, "~") for pair in audit.near_duplicates])
    for note in audit.notes:
        say(f"Note: {note}")


def _groups(audit: Audit) -> str:
    if not audit.groups:
        return "none stated"
    described = NAMED_DATASETS.get(audit.dataset.name)
    return f"{audit.groups:,}: {described.groups if described and described.groups else 'images that belong together'}"


def _pixels(side: PixelRange | None) -> str:
    return f"{side.min} to {side.max} px, median {side.median:g}" if side else "-"


def _pair(pair: DuplicatePair, sign: str) -> str:
    label = "" if pair.same_class else " (of different classes)"
    return f"{pair.first} ({pair.first_split}) {sign} {pair.second} ({pair.second_split}){label}"


def _print_names(what: str, names: Sequence[str]) -> None:
    print(f"{what}: {len(names) or 'none'}")
    for name in names[:_SHOWN]:
        say(f"  {name}")
    if len(names) > _SHOWN:
        print(f"  ... and {len(names) - _SHOWN} more (all of them with --json)")
