"""What each verdict means, and how several of one kind are counted in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from foray.records.reproduction import Verdict


class VerdictWords(NamedTuple):
    """`one` and `several`: the verb of "1 holds" and "2 hold"; `meaning`: a sentence for readers."""

    one: str
    several: str
    meaning: str


VERDICT_WORDS: Mapping[Verdict, VerdictWords] = {
    "reproduced": VerdictWords(
        "holds", "hold",
        "The statement holds, or the figure is met: by the study's protocol, by arithmetic, or by timing. Questions of "
        "our own have their own protocols.",
    ),
    "exceeded": VerdictWords("is exceeded", "are exceeded", "By the study's protocol ours is higher than the figure."),
    "exceeded by another protocol": VerdictWords(
        "is exceeded by another protocol", "are exceeded by another protocol",
        "On the study's images ours is higher than the figure, by a protocol of our own.",
    ),
    "not reproduced": VerdictWords(
        "does not hold", "do not hold",
        "Our measurement or count shows the contrary, by the study's protocol. Times are those of one machine, named "
        "under Experiments; the study names none.",
    ),
    "error in the study": VerdictWords(
        "is an error in the study", "are errors in the study",
        "The study contradicts the paper that it cites, or itself. Nothing has to be run to see it.",
    ),
    "undecided": VerdictWords(
        "is undecided", "are undecided",
        "What was run does not decide it: too few images, seeds, epochs or rounds, or a part is missing.",
    ),
    "differs in protocol": VerdictWords(
        "was tried with another protocol only", "were tried with another protocol only",
        "It was run on other images, by another protocol than the study's, or by an older recipe. That says little "
        "about the figure.",
    ),
    "no result": VerdictWords(
        "has no result yet", "have no result yet", "It was not run here, or its parts were not run alike."
    ),
}  # fmt: skip
