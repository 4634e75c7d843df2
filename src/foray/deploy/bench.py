"""Times the exported network beside this file on this device: `python bench.py --device "Raspberry Pi 5"`.

It writes device.json, with which `foray compare --profiles device.json` decides by this device's numbers. foray copies
this file beside every artifact it exports and times with it itself, as foray.deploy.bench. It needs numpy, Pillow and
the one runtime of the artifact, and predict.py beside it.

How: in bursts that lie apart, each in a process of its own, because a machine changes slowly and because one process
may be a fifth slower than the next for its whole life (its place in memory; Kalibera & Jones 2013). In a burst: passes
until two successive medians agree; then turns, each one untimed pass and a few timed ones. Every timed pass counts.
Intervals run from the lowest burst to the highest. Between turns a fixed piece of work is timed, which tells a machine
that slows down from a network that is slow, and what other processes used of the processors is noted.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

if __package__:
    from foray.deploy import predict as reader
else:  # beside an artifact
    import predict as reader  # type: ignore[import-not-found,no-redef]

Times = npt.NDArray[np.float64]  # (turns, passes) milliseconds

TURNS = 30
BURSTS = 6
APART_SECONDS = 5.0  # from the start of a burst to that of the next
BATCH = 32  # of the throughput
PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}  # in full, as in device.json
DRIFT_LIMIT = 0.10  # of the calibration, from the first third of the turns to the last
TAIL_LIMIT = 2.0  # 95th over 50th percentile of the passes
WAVER_LIMIT = 1.3  # 90th over 10th percentile of the calibration
SPREAD_LIMIT = 1.5  # of the bursts' medians, the second highest over the second lowest
STOLEN_LIMIT = 0.02  # of the processors' time
BUSY_LIMIT = 0.10

_BURST = 5
_WARM_TOLERANCE = 0.05
_WARM_SECONDS = 3.0
_TURN_MS = 100.0
_MOST_PASSES = 10
_CALIBRATION_BYTES = bytes(2**20)
_INSTRUCTIONS = (  # that decide how fast few bits are, as in foray.records.Hardware
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "avx512_bf16", "amx_bf16", "avx512_fp16",
    "asimddp", "i8mm", "asimdhp", "bf16",
)  # fmt: skip
_PHOTOGRAPH = (500, 375)  # pixels: the median size of ImageNet's
_IDLE, _IOWAIT, _STEAL, _FIELDS = 3, 4, 7, 8  # proc(5); guests are in user and nice


@dataclass(frozen=True)
class Percentile:
    """A percentile of pass times in milliseconds, and the range of the bursts' own."""

    value: float
    low: float
    high: float


def percentile(times: Times, q: float, bursts: int = BURSTS) -> Percentile:
    """The `q`-th percentile (0 to 100) of all passes in `times` (turns, passes), the turns in order of `bursts`.

    `low`, `high`: of the lowest and the highest burst. For six bursts and q = 50 that is the sign test's interval: it
    misses the median over moments and processes in 1 of 32 cases. For one burst they are those of its turns.
    """
    found = _by_burst(times, q, bursts)
    value = float(np.percentile(times, q))
    return Percentile(value, min(value, *found), max(value, *found))


def _by_burst(times: Times, q: float, bursts: int) -> list[float]:
    blocks = np.array_split(times, bursts if 1 < bursts < len(times) else len(times))
    return [float(np.percentile(block, q)) for block in blocks]


@dataclass(frozen=True)
class ProcessorTime:
    """Ticks since the system started, of the processors that this process may use together."""

    total: int
    busy: int
    stolen: int

    @classmethod
    def now(cls, proc: Path = Path("/proc")) -> ProcessorTime | None:
        """None where the system does not say."""
        processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        try:
            return cls.parse((proc / "stat").read_text(encoding="ascii"), processors)
        except (OSError, ValueError):
            return None

    @classmethod
    def parse(cls, text: str, processors: Collection[int] = ()) -> ProcessorTime | None:
        """From /proc/stat, of `processors` (none: of all); None where it has no such numbers, as in some containers."""
        words = [line.split() for line in text.splitlines() if line.strip()]
        lines = {label: numbers[:_FIELDS] for label, *numbers in words}
        found = [lines[name] for name in (f"cpu{number}" for number in processors) if name in lines]
        found = [numbers for numbers in found or [lines.get("cpu", [])] if len(numbers) == _FIELDS]
        each = [sum(map(int, of_field)) for of_field in zip(*found, strict=True)]
        if not any(each):
            return None
        return cls(sum(each), sum(each) - each[_IDLE] - each[_IOWAIT] - each[_STEAL], each[_STEAL])

    def shares_since(self, before: ProcessorTime, own: float) -> tuple[float, float] | None:
        """Of the time since `before`: what others used and what went to other virtual machines; `own`: our ticks."""
        elapsed = self.total - before.total
        if elapsed <= 0:
            return None
        return max(0.0, (self.busy - before.busy - own) / elapsed), (self.stolen - before.stolen) / elapsed


def warm_up(run: Callable[[], object], seconds: float = _WARM_SECONDS) -> tuple[float, bool]:
    """Runs until the median of a burst is within 5 % of the burst before, or for `seconds`.

    Returns the last median, milliseconds, and whether it had become stable.
    """
    run()  # builds what is built once
    before, spent_ms, now = math.inf, 0.0, math.inf
    while spent_ms < seconds * 1e3:
        burst = time_passes(run, _BURST)
        now, spent_ms = statistics.median(burst), spent_ms + sum(burst)
        if abs(now - before) <= _WARM_TOLERANCE * now:
            return now, True
        before = now
    return now, False


def passes_a_turn(pass_ms: float) -> int:
    """Timed passes that fill about a tenth of a second: 1 to 10."""
    return max(1, min(_MOST_PASSES, int(_TURN_MS / max(pass_ms, 1e-3))))


def time_passes(run: Callable[[], object], passes: int) -> list[float]:
    """Milliseconds of each of `passes` calls."""
    spent = []
    for _ in range(passes):
        began = time.perf_counter_ns()
        run()
        spent.append((time.perf_counter_ns() - began) / 1e6)
    return spent


def turn(run: Callable[[], object], passes: int) -> list[float]:
    """One untimed pass, which brings the weights back into the caches, and `passes` timed ones, milliseconds."""
    run()
    return time_passes(run, passes)


def calibrate() -> float:
    """Milliseconds of a fixed piece of work on one core, the middle of three: it follows the clock and the load."""
    return statistics.median(time_passes(lambda: hashlib.sha256(_CALIBRATION_BYTES).digest(), 3))


def unsteadiness(calibrations: Sequence[float]) -> list[str]:
    """What the calibrations between turns say against the measurement, in sentences; none for a steady machine."""
    found = []
    change = drift(calibrations)
    if abs(change) > DRIFT_LIMIT:
        way = "slowed down" if change > 0 else "sped up"
        found.append(f"the machine {way} by {100 * abs(change):.0f} % during the measurement")
    low, high = np.percentile(calibrations, [10, 90])
    if high / low > WAVER_LIMIT:
        found.append(f"its speed varied by a factor of {high / low:.1f} between turns: other processes were running")
    return found


def load_warnings(busy: float | None, stolen: float | None) -> list[str]:
    """What the shares of the processors' time that others had say against the measurement; None: not known."""
    found = []
    if stolen is not None and stolen > STOLEN_LIMIT:
        found.append(f"{100 * stolen:.0f} % of the processors' time went to other virtual machines")
    if busy is not None and busy > BUSY_LIMIT:
        found.append(f"other processes used {100 * busy:.0f} % of the processors' time")
    return found


def spread_warnings(times: Times, bursts: int) -> list[str]:
    """What the passes in `times` (turns, passes) say against their own median.

    One burst that is apart from the others widens the interval; two on a side say that the latency is not one number.
    """
    p50, p95, found = float(np.percentile(times, 50)), float(np.percentile(times, 95)), []
    medians = sorted(_by_burst(times, 50, bursts))
    second, last_but_one = (medians[1], medians[-2]) if len(medians) > 3 else (medians[0], medians[-1])
    if bursts == 1:
        found.append("all passes are from one process at one time, so the variation between processes is not known")
    elif last_but_one > SPREAD_LIMIT * second:
        found.append(f"the medians of its bursts ran from {medians[0]:.3g} to {medians[-1]:.3g} ms")
    if p95 > TAIL_LIMIT * p50:
        found.append(f"p95 is {p95 / p50:.1f} x p50: other processes used the device")
    return found


def drift(calibrations: Sequence[float]) -> float:
    """Median calibration of the last third of the turns over that of the first third, less 1: 0.14 is 14 % slower."""
    third = max(1, len(calibrations) // 3)
    return statistics.median(calibrations[-third:]) / statistics.median(calibrations[:third]) - 1


def photograph() -> bytes:
    """A JPEG of a size and content that decode like a photograph's: smooth shapes below noise, the same every time."""
    random = np.random.default_rng(0)
    width, height = _PHOTOGRAPH
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.float32)
    pixels = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def images_for(artifact: reader.Artifact, batch: int) -> reader.Pixels:
    """`batch` random images as the network takes them, uint8 (N, H, W, 3).

    A network that resizes gets squares of its resize side, so that the resize is in the time, but no photograph.
    """
    description = artifact.description
    side = description["input"]["height"] or description["preprocessing"]["resize_side"]
    return np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)


def resident_bytes() -> int:
    """Memory this process holds now; where the system does not say, the most it has held."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return peak_bytes()


def peak_bytes() -> int:
    """The most memory this process has held; 0 where the system does not say."""
    try:  # getrusage of a process that was forked knows its parent's peak
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(
    artifact: reader.Artifact, threads: int | None = None, *, turns: int = TURNS, bursts: int = BURSTS
) -> dict[str, Any]:
    """The artifact's costs on this device: a profile of device.json. Raises ArtifactError.

    `unsteady` says what stands against the numbers.
    """
    taken: list[dict[str, Any]] = []
    for _ in range(bursts):
        began, passes = time.monotonic(), taken[0]["passes"] if taken else 0
        taken.append(_in_a_process(artifact.folder, threads or reader.cores(), math.ceil(turns / bursts), passes))
        if len(taken) < bursts:
            time.sleep(max(0.0, APART_SECONDS - (time.monotonic() - began)))
    network = np.array([row for one in taken for row in one["network"]])
    p50, p95 = percentile(network, 50, bursts), percentile(network, 95, bursts)
    shares = [one["shares"] for one in taken]
    busy, stolen = np.mean(shares, axis=0).tolist() if all(shares) else (None, None)
    notes = unsteadiness([ms for one in taken for ms in one["calibrations"]]) + load_warnings(busy, stolen)
    notes += [] if all(one["stable"] for one in taken) else ["passes had not become steady when timing began"]
    return description_of(artifact) | {
        "latency_p50_ms": p50.value,
        "latency_p50_low_ms": p50.low,
        "latency_p50_high_ms": p50.high,
        "latency_p95_ms": p95.value,
        "latency_n": network.size,
        "latency_bursts": bursts,
        "throughput_images_per_second": 1e3 * BATCH / float(np.median([one["batches"] for one in taken])),
        "decode_to_label_p50_ms": float(np.median([one["labels"] for one in taken])),
        "cold_start_ms": statistics.median(one["start_ms"] for one in taken),
        "resident_memory_bytes": max(one["memory"] for one in taken) or None,
        "threads": threads or reader.cores(),
        "busy_elsewhere": busy,
        "unsteady": notes + spread_warnings(network, bursts),
    }


def _in_a_process(folder: Path, threads: int, turns: int, passes: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--burst", str(folder), str(threads), str(turns), str(passes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"its process ended (status {done.returncode})"]
        raise reader.ArtifactError(said[-1].removeprefix("bench.py: "))
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _burst(artifact: reader.Artifact, threads: int, turns: int, passes: int) -> dict[str, Any]:
    """One burst in this process: `turns` at batch 1, of `passes` (0: as many as fill a turn), a third for the rest."""
    before, began = resident_bytes(), time.perf_counter()
    session = reader.open_session(artifact, threads)
    images, many, jpeg = images_for(artifact, 1), images_for(artifact, BATCH), photograph()
    session.run(images)
    start_ms = (time.perf_counter() - began) * 1e3
    processors, own = ProcessorTime.now(), sum(os.times()[:2])
    pass_ms, stable = warm_up(lambda: session.run(images))
    calibrations, network, passes = [], [], passes or passes_a_turn(pass_ms)
    for _ in range(turns):
        calibrations.append(calibrate())
        network.append(turn(lambda: session.run(images), passes))
    memory, fewer = peak_bytes() - before, math.ceil(turns / 3)
    labels = [turn(lambda: reader.classify(artifact, session, [jpeg]), 2) for _ in range(fewer)]
    batches = [turn(lambda: session.run(many), 1) for _ in range(math.ceil(turns / 10))]
    now, ticks = ProcessorTime.now(), (sum(os.times()[:2]) - own) * 100  # proc(5): USER_HZ is 100 everywhere
    shares = now.shares_since(processors, ticks) if now and processors else None
    return {
        "start_ms": start_ms, "memory": max(memory, 0), "stable": stable, "passes": passes, "network": network,
        "labels": labels, "batches": batches, "calibrations": calibrations, "shares": shares,
    }  # fmt: skip


def description_of(artifact: reader.Artifact) -> dict[str, Any]:
    """What is known of the artifact and the device without a clock."""
    about = artifact.description
    files = about["files"].items()
    return {
        "schema_version": 1,
        "model": about["model"],
        "resolution": about["resolution"],
        "params": about["params"],
        "macs": about["macs"],
        "file_bytes": sum(info["bytes"] for name, info in files if name != "labels.txt"),
        "runtime": about["runtime"],
        "precision": PRECISIONS[about["precision"]],
        "hardware": hardware(),
        "versions": versions(about["runtime"]),
    }


def hardware() -> dict[str, Any]:
    """This device, as foray.records.Hardware has it."""
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        memory = None
    features = reader.processor_features()
    return {
        "processor": _processor(),
        "instructions": [name for name in _INSTRUCTIONS if name in features],
        "cores": reader.cores(),
        "memory_bytes": memory,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _processor() -> str:
    for path, key in (("/proc/cpuinfo", "model name"), ("/proc/cpuinfo", "Model"), ("/proc/device-tree/model", "")):
        try:
            for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith(key):
                    return (line.partition(":")[2] if key else line).strip(" \t\0")
        except OSError:
            continue
    return platform.processor() or platform.machine()


def versions(runtime: str) -> dict[str, str]:
    """Versions of the packages that can change a number."""
    found = {}
    for name in (reader.RUNTIMES[runtime][0], "numpy", "pillow"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_device(path: Path, device: str, profile: Mapping[str, Any], *, append: bool) -> None:
    """Writes device.json atomically; `append` keeps the profiles of other artifacts that are in it.

    One of the same model, resolution, runtime, precision and threads is replaced. Raises ArtifactError for a file
    that cannot be written, is no device.json, or, with `append`, is another device's.
    """
    earlier = _earlier(path, device if append else None)
    kept = [other for other in earlier if _key(other) != _key(profile)] if append else []
    content = {"schema_version": 1, "device": device, "profiles": [*kept, dict(profile)]}
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent)
    except OSError as error:
        raise reader.ArtifactError(f"Cannot write {path}: {error.strerror or error}.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise reader.ArtifactError(f"Cannot write {path}: {error.strerror or error}.") from error
        raise


def _key(profile: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(profile.get(name) for name in ("model", "resolution", "runtime", "precision", "threads"))


def _earlier(path: Path, device: str | None) -> list[dict[str, Any]]:
    """The profiles in `path`, which has to be a device.json, of `device` where that is given. Raises ArtifactError."""
    try:
        content = json.loads(reader.regular(path).read_bytes())
        label, profiles = content["device"], content["profiles"]
        known = content["schema_version"] == 1 and all(isinstance(profile, dict) for profile in profiles)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise reader.ArtifactError(f"{path} is no device.json ({error!r}). Name another with --out.") from error
    if not known or (device is not None and label != device):
        raise reader.ArtifactError(f"{path} is of another version or device ({label}). Name another with --out.")
    return list(profiles)


def main(arguments: Sequence[str] | None = None, folder: Path = Path(__file__).parent) -> int:
    """The command. Returns the exit status: 2 for what cannot be read or written."""
    parser = reader.Arguments(description="Time the network beside this file on this device.")
    parser.add_argument("--device", metavar="NAME", help='its name in reports, as in --device "Raspberry Pi 5"')
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the runtime (default: one per core)")
    parser.add_argument("--out", type=Path, metavar="FILE", default=Path("device.json"), help="(default: device.json)")
    parser.add_argument("--bursts", type=int, metavar="N", default=BURSTS, help=f"number of bursts ({BURSTS})")
    parser.add_argument("--burst", nargs=4, help=argparse.SUPPRESS)  # what its own processes are started with
    parser.add_argument("--append", action="store_true", help="keep the entries of other artifacts in the file")
    options = parser.parse_args(arguments)
    if options.bursts < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--threads and --bursts must be at least 1")
    device = options.device or hardware()["processor"]
    try:
        if options.burst:
            numbers = map(int, options.burst[1:])
            print(json.dumps(_burst(reader.open_artifact(Path(options.burst[0])), *numbers)))
            return 0
        _earlier(options.out, device if options.append else None)  # before minutes are spent
        profile = measure(reader.open_artifact(folder), options.threads, bursts=options.bursts)
        write_device(options.out, device, profile, append=options.append)
    except reader.ArtifactError as error:
        print(reader.one_line(f"bench.py: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench.py: interrupted, nothing was written", file=sys.stderr)
        return 130
    print(reader.one_line(_sentence(profile)))
    for note in profile["unsteady"]:
        print(f"Not steady: {note}. Measure again when the device is idle.")
    print(reader.one_line(f"Written: {options.out}. Use it with: foray compare ... --profiles {options.out.name}"))
    return 0


def _sentence(profile: Mapping[str, Any]) -> str:
    threads = f"{profile['threads']} thread{'s' if profile['threads'] > 1 else ''}"
    return (
        f"{profile['model']}, {profile['resolution']} px, {profile['runtime']} {profile['precision']}, {threads}: "
        f"p50 {profile['latency_p50_ms']:.2f} ms ({profile['latency_p50_low_ms']:.2f} to "
        f"{profile['latency_p50_high_ms']:.2f} in {profile['latency_bursts']} bursts), "
        f"p95 {profile['latency_p95_ms']:.2f} ms, n = {profile['latency_n']}; "
        f"image file to label {profile['decode_to_label_p50_ms']:.2f} ms; "
        f"{profile['throughput_images_per_second']:.1f} images/s at batch {BATCH}; "
        f"{' '.join([profile['hardware']['processor'], *profile['hardware']['instructions']])}"
    )


if __name__ == "__main__":
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as OpenVINO, ONNX Runtime would report to its maker
    sys.exit(main())
