"""All claims, and selection of claims by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foray.errors import UnknownNameError
from foray.reproduce import section_analysis, section_comparison, section_mobilenet, section_related, section_table1
from foray.reproduce.claim import SECTIONS, Claim

_ALL = (
    *section_table1.CLAIMS,
    *section_mobilenet.CLAIMS,
    *section_comparison.CLAIMS,
    *section_analysis.CLAIMS,
    *section_related.CLAIMS,
)
CLAIMS: Mapping[str, Claim] = {claim.id: claim for claim in _ALL}
assert len(CLAIMS) == len(_ALL), "two claims of one name"


def claims_named(names: Sequence[str]) -> list[Claim]:
    """Claims of the named sections (`table1`) or with these names, or below them (`table1.rps`); all without names.

    Raises UnknownNameError for other names.
    """
    for name in names:
        if not any(_matches(claim, name) for claim in CLAIMS.values()):
            raise UnknownNameError("claim", name, [*SECTIONS, *CLAIMS], "`foray reproduce --list` lists them.")
    return [claim for claim in CLAIMS.values() if not names or any(_matches(claim, name) for name in names)]


def roles_of(claims: Sequence[Claim]) -> list[str]:
    """The experiments these claims need, each once."""
    return list(dict.fromkeys(role for claim in claims for role in claim.judge.roles))


def _matches(claim: Claim, name: str) -> bool:
    return name in (claim.section, claim.id) or claim.id.startswith(name + ".")
