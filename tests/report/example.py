"""A comparison as `foray compare` leaves it: four candidates, one over the budget, one failed, three seeds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from foray.records import (
    ArchitectureInfo,
    BrokenBound,
    Budget,
    CandidateResult,
    ClassMetrics,
    Comparison,
    CostProfile,
    DatasetInfo,
    Decision,
    EpochRow,
    Estimate,
    Hardware,
    Metrics,
    Mistake,
    PairedLoss,
    RunRecord,
    WeightsInfo,
)
from foray.specs.preprocessing import Preprocessing

HOSTILE = "<script>alert('x')</script>"
CLASSES = (
    "Black-grass", "Charlock", "Cleavers", "Common Chickweed", "Common wheat", HOSTILE, "Loose Silky-bent",
    "Maïs & blé", "Scentless Mayweed", "荠菜", "Small-flowered Cranesbill of the field", "$ugar$ beet",
)  # fmt: skip
N_TEST, N_SELECTION, EPOCHS, SEEDS = 720, 4020, 10, (0, 1, 2)

HARDWARE = Hardware(processor="AMD EPYC 7763", cores=2, memory_bytes=8 * 2**30, system="Linux x86_64, Python 3.11.2")
VERSIONS = {"foray": "0.1.0", "torch": "2.13.0", "numpy": "2.3.1"}


def _estimate(value: float, n: int) -> Estimate:
    half = 1.96 * math.sqrt(value * (1 - value) / n)
    return Estimate(value=value, low=value - half, high=min(1.0, value + half), n=n, method="over images and 3 seeds")


def _cost(model: str, params: int, macs: int, latency: float | None) -> CostProfile:
    return CostProfile(
        model=model,
        resolution=224,
        params=params,
        macs=macs,
        peak_memory_bytes=params * 4 + 9_600_000,
        file_bytes=params * 4 + 40_000,
        latency_p50_ms=latency,
        latency_p95_ms=None if latency is None else latency * 1.22,
        latency_n=None if latency is None else 100,
        throughput_images_per_second=None if latency is None else 1500 / latency,
        threads=2,
    )


def _metrics(accuracy: float, seed: int, classes: tuple[str, ...]) -> Metrics:
    rng = np.random.default_rng(seed)
    k, each = len(classes), N_TEST // len(classes)
    confusion = np.zeros((k, k), dtype=int)
    for i in range(k):
        right = rng.binomial(each, min(0.99, accuracy + 0.06 * math.sin(i)))
        confusion[i, i] = right
        for j in rng.choice([j for j in range(k) if j != i], size=each - right):
            confusion[i, (j if rng.random() < 0.4 else (i + 6) % k)] += 1
    hits = confusion.diagonal()
    recall, precision = hits / each, hits / np.maximum(confusion.sum(0), 1)
    f1 = 2 * recall * precision / np.maximum(recall + precision, 1e-9)
    per_class = [
        ClassMetrics(name=name, n=each, precision=float(p), recall=_estimate(float(r), each), f1=float(f))
        for name, p, r, f in zip(classes, precision, recall, f1, strict=True)
    ]
    return Metrics(
        split="test",
        n=N_TEST,
        top1=_estimate(float(hits.sum() / N_TEST), N_TEST),
        top5=_estimate(0.99, N_TEST),
        macro_f1=float(f1.mean()),
        loss=0.34,
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def _history(accuracy: float, seed: int) -> list[EpochRow]:
    rng = np.random.default_rng(100 + seed)
    rows = []
    for epoch in range(1, EPOCHS + 1):
        reached = 1 - math.exp(-epoch / 2.2)
        noise = 0.006 * rng.standard_normal(2)
        rows.append(
            EpochRow(
                epoch=epoch,
                learning_rate=1e-3,
                train_loss=float(2.1 * (1 - reached) + 0.22 + noise[0]),
                train_top1=float(min(1.0, (accuracy + 0.05) * reached)),
                val_loss=float(2.0 * (1 - reached) + 0.36 + noise[1]),
                val_top1=float(accuracy * reached + noise[0]),
                seconds=1.4,
            )
        )
    return rows


def _weights(model: str) -> WeightsInfo:
    return WeightsInfo(
        source=f"{model}.in1k", variant=f"tf_{model}", sha256="9f2c" * 16, licence="Apache-2.0", origin=None,
        head="replaced",
    )  # fmt: skip


def _architecture(model: str, params: int, num_classes: int = len(CLASSES)) -> ArchitectureInfo:
    return ArchitectureInfo(name=f"tf_{model}", requested=model, num_classes=num_classes, resolution=224, params=params)


def _write_run(folder: Path, model: str, seed: int, accuracy: float, dataset: DatasetInfo, recipe: dict) -> str:
    run_id = f"{model}-linear-seed{seed}"
    run = folder / "runs" / run_id
    RunRecord(
        run_id=run_id,
        status="done",
        created="2026-01-05T10:00:00Z",
        architecture=_architecture(model, 4_000_000, len(dataset.classes)),
        weights=_weights(model),
        preprocessing=Preprocessing(),
        dataset=dataset,
        recipe=recipe,
        seed=seed,
        device="cpu",
        threads=2,
        train_precision="float32",
        feature_engine="openvino float32",
        best_epoch=9,
        metrics={"test": _metrics(accuracy, 1000 * seed + len(model), tuple(dataset.classes))},
        seconds_per_epoch=[1.4] * EPOCHS,
        total_seconds=41.0,
        notes=["features extracted once and kept"],
        hardware=HARDWARE,
        versions=VERSIONS,
    ).save(run / "record.json")
    lines = [row.model_dump_json() for row in _history(accuracy, seed)]
    (run / "history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run_id


def _write_mistakes(folder: Path, model: str, classes: tuple[str, ...]) -> list[Mistake]:
    mistakes = []
    for number in range(6):
        rng = np.random.default_rng(number)
        coarse = rng.integers(40, 200, (5, 5, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((150, 150), Image.Resampling.BICUBIC)
        path = Path("mistakes") / f"{model}-{number}.jpg"
        (folder / path).parent.mkdir(exist_ok=True)
        picture.save(folder / path)
        mistakes.append(
            Mistake(
                image_id=f"test/{classes[number]}/{number}.png",
                label=classes[number],
                predicted=classes[(number + 5) % len(classes)],
                probability=0.998 - 0.01 * number,
                picture=path.as_posix(),
            )
        )
    return mistakes


def _pair(split: str, loss: float, half: float, n: int) -> PairedLoss:
    lower, upper = loss - half, loss + half
    status = "not_worse" if upper < 0.01 else "worse" if lower > 0.01 else "unresolved"
    return PairedLoss(
        reference="efficientnet_v2_b0", candidate="efficientnet_b0" if half > 0.006 else "mobilenet_v2", split=split,
        n=n, seeds=3, loss=loss, lower=lower, upper=upper, tolerance=0.01, status=status,
        images_needed=11_200 if status == "unresolved" else None, p_value=0.41 if status == "unresolved" else 1.3e-9,
    )  # fmt: skip


def write_comparison(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """Writes comparison.json, the runs and the pictures of mistakes into `folder`."""
    dataset = DatasetInfo(
        name="plant_seedlings", source="plant_seedlings.zip", fingerprint="c0ffee" * 10, classes=list(classes),
        counts={"train": 3312, "val": 708, "test": N_TEST}, split_origin="given", licence="CC BY-SA 4.0",
    )  # fmt: skip
    recipe = {
        "protocol": "linear", "epochs": EPOCHS, "batch_size": 32, "dropout": None,
        "optimizer": {"name": "rmsprop", "learning_rate": 1e-3, "rho": 0.9},
    }  # fmt: skip
    models = {
        "efficientnet_v2_b0": (0.899, 0.897, 5_934_000, 725_000_000, 14.2),
        "efficientnet_b0": (0.895, 0.898, 4_023_000, 386_000_000, 11.9),
        "mobilenet_v2": (0.842, 0.834, 2_239_000, 301_000_000, 6.4),
    }
    candidates = []
    for model, (selection, test, params, macs, latency) in models.items():
        run_ids = [_write_run(folder, model, seed, test, dataset, recipe) for seed in SEEDS]
        candidates.append(
            CandidateResult(
                model=model,
                architecture=_architecture(model, params),
                weights=_weights(model),
                cost=_cost(model, params, macs, latency),
                run_ids=run_ids,
                selection=_estimate(selection, N_SELECTION),
                selection_sd=0.0011,
                test=_estimate(test, N_TEST),
                test_sd=0.0024,
                test_top5=0.99,
                test_macro_f1=test - 0.004,
                seconds_per_epoch=1.4,
                train_seconds=41.0,
                mistakes=_write_mistakes(folder, model, classes),
            )
        )
    candidates.append(
        CandidateResult(
            model="efficientnet_b4",
            architecture=_architecture("efficientnet_b4", 17_570_000),
            weights=None,
            cost=_cost("efficientnet_b4", 17_570_000, 4_490_000_000, 94.0),
            broken_bounds=[BrokenBound(bound="latency", limit=30.0, actual=94.0)],
        )
    )
    candidates.append(
        CandidateResult(
            model="mobilenet_v1",
            architecture=_architecture("mobilenet_v1", 3_220_000),
            weights=None,
            cost=_cost("mobilenet_v1", 3_220_000, 569_000_000, None),
            failure="the loss became NaN in epoch 3 (seed 0)",
        )
    )
    Comparison(
        id="3f1c9a",
        created="2026-01-05T10:00:00Z",
        command="foray compare plant_seedlings.zip --models efficientnet_v2_b0,efficientnet_b0,mobilenet_v2 --seeds 3",
        dataset=dataset,
        protocol="linear",
        recipe=recipe,
        seeds=list(SEEDS),
        budget=Budget(max_latency_ms=30.0, max_params=20_000_000),
        candidates=candidates,
        decision=Decision(
            prefer="latency",
            tolerance=0.01,
            selection_split="out_of_fold",
            best="efficientnet_v2_b0",
            pick="efficientnet_v2_b0",
            outcome="unresolved",
            sentence=(
                "Ship efficientnet_v2_b0 (89.9 % on train and val, out of fold): efficientnet_b0 is cheaper, and 4,020 "
                "images cannot tell whether it loses more than 1.0 point; about 11,200 would."
            ),
            pairs=[_pair("out_of_fold", 0.004, 0.0065, N_SELECTION), _pair("out_of_fold", 0.057, 0.0059, N_SELECTION)],
            pareto=["mobilenet_v2", "efficientnet_b0", "efficientnet_v2_b0"],
        ),
        confirmation=[_pair("test", -0.001, 0.016, N_TEST)],
        total_seconds=388.0,
        cautions=["Latency wavered: <measure> it again."],
        notes=["2 unreadable images were left out: a.png, b.png"],
        hardware=HARDWARE,
        versions=VERSIONS,
        commit="0123456789abcdef",
    ).save(folder / "comparison.json")
    return folder
