"""OUT/settle/plan.json and settlement.json: what labels of new images are asked for, and what they decided."""

from __future__ import annotations

from foray.records.record import Record


class PanelLeftOut(Record):
    """New images that do not count: they cannot be read; the runs have seen them, or they are near copies of images
    that the runs have seen; they are near copies of another new image (bursts count once)."""

    unreadable: int = 0
    near_copies: int = 0
    bursts: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.unreadable + self.near_copies + self.bursts

    @property
    def sentence(self) -> str:
        """How many and why, as a sentence; empty where there are none."""
        reasons = {
            "unreadable": self.unreadable,
            "the comparison has used already, near copies included": self.near_copies,
            "near copies of another new image": self.bursts,
        }
        told = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items() if n)
        return f"Left out: {told}." if told else ""
