"""`python -m tools.parity_table` prints what it says."""

from __future__ import annotations

import sys

import pytest

from tools import parity_table


def test_a_row_holds_the_figures_of_both_sides(timm, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["parity_table", "mobilenet_v1_x0.25"])
    parity_table.main()
    header, _, row = ([cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines())
    assert tuple(header) == parity_table.COLUMNS
    assert row[:6] == [
        "mobilenet_v1_x0.25", "470,072", "470,072", "41,030,272", "41,030,272", "41,000,000 (+0.07 %)"
    ]  # fmt: skip
    assert all(float(difference) < 1e-4 for difference in row[6:8])
    assert row[8] == "timm mobilenetv1_100 (channel_multiplier 0.25)"


@pytest.mark.parametrize(("macs", "side"), [(5e9, 224), (20e9, 96)])
def test_costly_networks_are_compared_on_smaller_images(macs: int, side: int) -> None:
    """At half the side an image takes a quarter: 112 pixels, of which 96 are a multiple of 32."""
    assert parity_table._compared_side(macs, 224) == side
