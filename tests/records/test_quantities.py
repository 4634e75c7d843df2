"""Amounts as typed and as printed."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.errors import QuantityError
from foray.records.quantities import (
    format_about,
    format_bytes,
    format_confidence,
    format_count,
    format_ms,
    format_percent,
    format_points,
    format_seconds,
    parse_bytes,
    parse_count,
    parse_duration_ms,
    parse_points,
)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_count, "6M", 6_000_000),
        (parse_count, "500M", 500_000_000),
        (parse_count, "1.5G", 1_500_000_000),
        (parse_count, "5.3M", 5_300_000),
        (parse_count, " 1 k ", 1_000),
        (parse_count, "4231976", 4_231_976),
        (parse_count, "4,231,976", 4_231_976),
        (parse_count, "4_231_976", 4_231_976),
        (parse_count, "5e8", 500_000_000),
        (parse_count, "1000", 1_000),
        (parse_duration_ms, "30ms", 30.0),
        (parse_duration_ms, "0.03s", 30.0),
        (parse_duration_ms, "900 us", 0.9),
        (parse_duration_ms, "900µs", 0.9),
        (parse_duration_ms, ".5ms", 0.5),
        (parse_bytes, "60MB", 60_000_000),
        (parse_bytes, "57MiB", 57 * 2**20),
        (parse_bytes, "1.5 GiB", 3 * 2**29),
        (parse_bytes, "512B", 512),
        (parse_points, "1pt", 0.01),
        (parse_points, "0.5pt", 0.005),
        (parse_points, "2 points", 0.02),
        (parse_points, "1 point", 0.01),
    ],
)
def test_what_people_write(parse, text, value) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "example"),
    [
        *(
            (parse_count, text, "6M")
            for text in ("6MB", "6m", "six", "", "-5M", "0M", "NaN", "inf", "1,5M", "M", "2.0.1M")
        ),
        (parse_count, "600", "did you mean 600M?"),
        (parse_count, "6.5", "did you mean 6.5M?"),
        (parse_count, "1e-9M", "less than one"),
        (parse_count, "1e999999999M", "6M"),
        *(
            (parse_duration_ms, text, "30ms")
            for text in ("30", "30MB", "0ms", "-1ms", "nanms", "infs", "30 m s", "1,5ms")
        ),
        *((parse_bytes, text, "60MB") for text in ("60", "60Mb", "60ms", "60M", "0MB", "nan", "-60MB", "0.2B")),
        *((parse_points, text, "1pt") for text in ("1", "1%", "0.01", "1ms", "0pt", "-1pt", "nanpt", "100pt", "inf")),
    ],
)
def test_mistakes_name_the_option_and_show_the_way_out(parse, text, example) -> None:
    with pytest.raises(QuantityError) as error:
        parse(text, "--option")
    assert str(error.value).startswith("--option: ")
    assert example in str(error.value)


def test_per_cent_is_refused_because_it_is_ambiguous() -> None:
    with pytest.raises(QuantityError, match="per cent of what"):
        parse_points("1%", "--tolerance")


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (format_count(5_288_548), "5.29 M"),
        (format_count(300_774_272), "301 M"),
        (format_count(1_500_000_000), "1.50 G"),
        (format_count(999), "999"),
        (format_count(999_999), "1.00 M"),
        (format_count(0), "0"),
        (format_bytes(512), "512 B"),
        (format_bytes(14_200_000), "14.2 MB"),
        (format_bytes(2**30), "1.07 GB"),
        (format_ms(16.52), "16.5 ms"),
        (format_ms(0.4123), "0.412 ms"),
        (format_ms(9.996), "10.0 ms"),
        (format_ms(1234.5), "1,234 ms"),
        (format_points(0.003), "0.3 points"),
        (format_points(0.01), "1 point"),
        (format_points(-0.0125), "-1.25 points"),
        (format_points(-0.00001), "0 points"),
        (format_percent(0.912), "91.2 %"),
        (format_percent(0.9996), "99.96 %"),
        (format_percent(0.00004), "0.004 %"),
        (format_percent(1.0), "100.0 %"),
        (format_percent(0.0), "0.0 %"),
        (format_seconds(192), "3 min 12 s"),
        (format_seconds(0.45), "0.45 s"),
        (format_seconds(9.97), "10 s"),
        (format_seconds(42.4), "42 s"),
        (format_seconds(59.8), "1 min"),
        (format_seconds(3840), "1 h 4 min"),
        (format_seconds(7200), "2 h"),
        (format_seconds(0), "0 s"),
    ],
)
def test_what_people_read(printed, expected) -> None:
    assert printed == expected


@given(st.integers(1000, 10**13))
def test_a_printed_count_reads_back_within_its_three_digits(count) -> None:
    text = format_count(count)
    if not text.endswith("T"):
        assert math.isclose(parse_count(text), count, rel_tol=0.005)


@given(st.integers(1, 10**12))
def test_every_count_written_out_reads_back_exactly(count) -> None:
    assert parse_bytes(f"{count}B") == count
    if count >= 1000:
        assert parse_count(str(count)) == parse_count(f"{count:,}") == count


@given(st.integers(1, 10**14))
def test_a_printed_size_reads_back_within_its_three_digits(size) -> None:
    text = format_bytes(size)
    if not text.endswith("TB"):
        assert math.isclose(parse_bytes(text), size, rel_tol=0.005)


@given(st.floats(1e-3, 999.0))
def test_a_printed_duration_reads_back_within_its_three_digits(duration_ms) -> None:
    assert math.isclose(parse_duration_ms(format_ms(duration_ms)), duration_ms, rel_tol=0.006)


@given(st.integers(1, 9999))
def test_printed_points_read_back(hundredths) -> None:
    tolerance = hundredths / 10_000
    assert math.isclose(parse_points(format_points(tolerance)), tolerance, rel_tol=1e-12)


@given(st.text(max_size=12))
def test_no_text_does_anything_but_parse_or_explain(text) -> None:
    for parse in (parse_count, parse_duration_ms, parse_bytes, parse_points):
        with contextlib.suppress(QuantityError):
            assert 0 < parse(text, "--option") < math.inf


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7"), (99, "99"), (101, "110"), (12_345, "13,000"), (13_000, "13,000"), (999_001, "1,000,000")],
)
def test_about_rounds_up_to_two_digits(count, text) -> None:
    assert format_about(count) == text


@pytest.mark.parametrize(
    ("confidence", "text"), [(0.95, "95 %"), (1 - 0.05 / 3, "98.3 %"), (0.99957, "99.96 %"), (0.999996, "99.9996 %")]
)
def test_a_confidence_never_reads_as_certainty(confidence, text) -> None:
    assert format_confidence(confidence) == text
