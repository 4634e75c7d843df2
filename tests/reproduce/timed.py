"""Times as a machine could have given them, for tests."""

from __future__ import annotations

from foray.records import Steadiness
from foray.records.environment import Hardware
from foray.records.side_by_side import SideBySideTimes, TimedNetwork
from foray.reproduce.claim import Timed

B0, MOBILE, HEAD = Timed("efficientnet_b0", 224), Timed("mobilenet_v2", 224), Timed("mobilenet_v2", 224, "head")
HARDWARE = Hardware(processor="A Processor", cores=2, memory_bytes=None, system="Linux")


def training_times(*warnings: str, **seconds: list[float]) -> SideBySideTimes:
    """Of `b0`, `mobile` and `head`, as given."""
    known = {"b0": B0, "mobile": MOBILE, "head": HEAD}
    networks = [TimedNetwork(**known[name]._asdict(), seconds=rounds) for name, rounds in seconds.items()]
    return SideBySideTimes(
        created="2026-11-29T12:00:00+00:00", timed="training step", batch_size=32, steps=3, runtime="torch",
        precision="float32", threads=2, networks=networks, steadiness=Steadiness(drift=0.0, warnings=list(warnings)),
        hardware=HARDWARE, versions={"foray": "0.2.0"},
    )  # fmt: skip


def latencies(**milliseconds: list[float]) -> SideBySideTimes:
    """Of `b0` and `mobile`, as given."""
    known = {"b0": B0, "mobile": MOBILE}
    networks = [
        TimedNetwork(model=known[name].model, resolution=224, trains=None, seconds=[ms / 1e3 for ms in rounds])
        for name, rounds in milliseconds.items()
    ]
    return SideBySideTimes(
        created="2026-11-29T12:00:00+00:00", timed="inference", batch_size=1, steps=None, runtime="onnx",
        precision="float32", threads=1, networks=networks, steadiness=Steadiness(drift=0.0), hardware=HARDWARE,
        versions={},
    )  # fmt: skip
