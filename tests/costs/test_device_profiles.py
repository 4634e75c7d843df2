"""device.json: what was measured elsewhere comes back as it was written, or an error says what is missing."""

from __future__ import annotations

import json

import pytest

from foray.costs import load_profiles, save_profiles
from foray.errors import ForayError, RunError
from foray.records import CostProfile, Hardware

PI = Hardware(processor="Cortex-A76", cores=4, memory_bytes=8 * 2**30, system="Linux aarch64, Python 3.11.2")


def profile(model: str, resolution: int = 224, **costs) -> CostProfile:
    return CostProfile(model=model, resolution=resolution, params=10, macs=20, hardware=PI, threads=4, **costs)


def test_round_trip_with_the_devices_label(tmp_path):
    written = [profile("a", latency_p50_ms=41.5), profile("b", runtime="onnxruntime")]
    save_profiles(tmp_path / "device.json", "Raspberry Pi 5", written)
    read = load_profiles(tmp_path / "device.json")
    assert list(read) == ["a", "b"]
    for before in written:
        assert read[before.model] == before.model_copy(update={"device": "Raspberry Pi 5"})
    assert read["b"].latency_p50_ms is None


def test_a_bare_profile_is_labelled_by_its_hardware(tmp_path):
    path = tmp_path / "profile.json"
    profile("a").save(path)
    assert load_profiles(path)["a"].device == "Cortex-A76, 4 cores, 8 GiB"
    profile("a", device="Pi in the greenhouse").save(path)
    assert load_profiles(path)["a"].device == "Pi in the greenhouse"


def test_wanted_models_are_matched_by_name_and_resolution(tmp_path):
    path = tmp_path / "device.json"
    save_profiles(
        path, "Pi", [profile("a", 192, latency_p50_ms=1.0), profile("a", 224, latency_p50_ms=2.0), profile("b")]
    )
    assert load_profiles(path, {"a": 192})["a"].latency_p50_ms == 1.0
    assert load_profiles(path, {"a": 224})["a"].latency_p50_ms == 2.0
    assert list(load_profiles(path, {"b": 224, "a": 224})) == ["b", "a"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"c": 224}, r"has no profile of c; it has a, b\. Measure the model on the device too"),
        ({"a": 256}, r"has a at 192 and 224 px, but it is compared at 256 px"),
        ({"b": 224}, r"has 2 profiles of b \(224 px, torch, float32, 4 threads; 224 px, onnxruntime, .*Keep the one"),
        (None, r"has 2 profiles of a"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(tmp_path, wanted, message):
    path = tmp_path / "device.json"
    save_profiles(path, "Pi", [profile("a", 192), profile("a", 224), profile("b"), profile("b", runtime="onnxruntime")])
    with pytest.raises(RunError, match=message) as error:
        load_profiles(path, wanted)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read"),
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[1, 2]", "is damaged"),
        ('{"device": "Pi"}', "profiles"),
        ('{"device": "Pi", "profiles": []}', "profiles"),
        ('{"device": "", "profiles": [{"model": "a", "resolution": 1, "params": 1, "macs": 1}]}', "device"),
        ('{"schema_version": 2, "device": "Pi", "profiles": [{"model": "a"}]}', "schema_version"),
        ('{"device": "Pi", "profiles": [{"model": "a", "resolution": 224, "params": 1}]}', "macs"),
        ('{"model": "a", "resolution": 224, "params": 1, "macs": 1, "latency": 3}', "latency"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "device.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ForayError, match=message) as error:
        load_profiles(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "device.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ForayError, match=r"device\.json"):
        load_profiles(path)


def test_the_file_is_what_the_documentation_says(tmp_path):
    save_profiles(tmp_path / "device.json", "Pi", [profile("a")])
    content = json.loads((tmp_path / "device.json").read_text(encoding="utf-8"))
    assert content["schema_version"] == 1
    assert content["device"] == "Pi"
    assert content["profiles"][0]["model"] == "a"
