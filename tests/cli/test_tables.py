"""Tables on stdout: nothing is cut off, whatever the names."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.cli.tables import print_rows, print_table
from foray.cli.verdict import print_comparison
from foray.records import COSTS, Comparison, Preference
from tests.report.example import write_comparison


@pytest.mark.parametrize("name", ["resnet", "mobilenet_v2_x0.25", "tf_efficientnet_v2_b0", "an image " * 12])
def test_every_word_and_number_is_there_in_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    numbers = ["100.0", "99.25", "97.3-99.8", "312.4", "7.84 M", "700 k"]
    print_table(["model", *"abcdef", "standing"], [[name, *numbers, "on the front"]] * 2, words=["standing"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert not any(line.endswith(" ") for line in text.splitlines())
    for number in numbers:
        assert text.count(number) == 2
    for word in [*name.split(), "on", "the", "front"]:
        assert text.count(word) >= 2


def test_markup_in_names_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["class"], [["[red]x[/red]"]])
    print_rows([("[b]what[/b]", "[i]value[/i]")])
    text = capsys.readouterr().out
    assert "[red]x[/red]" in text
    assert "[b]what[/b]" in text
    assert "[i]value[/i]" in text


@pytest.mark.parametrize("prefer", ["latency", "macs", "params", "memory", "file"])
def test_a_comparison_of_long_names_fits_80_columns_with_every_unit(
    prefer: Preference, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    comparison = Comparison.load(write_comparison(tmp_path) / "comparison.json")
    rows = [
        row.model_copy(update={"model": f"tf_efficientnet_v2_of_a_long_name_{i}"})
        for i, row in enumerate(comparison.candidates)
    ]
    decision = comparison.decision.model_copy(update={"prefer": prefer})
    print_comparison(comparison.model_copy(update={"candidates": rows, "decision": decision}))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    shown = "macs" if prefer == "latency" else prefer
    written = [COSTS[shown].write(cost) for row in rows if (cost := row.cost.cost(shown)) is not None]
    assert len(written) >= 3
    for amount in written:
        assert amount in text
