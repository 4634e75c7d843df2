"""Faults that exports are known for, in two families: none gets a certificate that says pass; clean files all do.

The reference is the network in PyTorch, the split 156 real pictures (textures where the real ones are absent), the
tolerance four points, which no clean file comes near.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.data import Dataset
from foray.deploy import predict as reader
from foray.errors import ForayError
from foray.export import onnx_prepare
from foray.export.agreement import LARGEST_LOGIT_ERROR
from foray.export.certify import certify
from foray.export.onnx import add_prepare
from foray.export.reference import Reference
from foray.models import Network, fold_batch_norm
from foray.records import Certificate
from foray.requests import Machine
from foray.runs.held_out import without_run
from foray.specs import HALF, IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from made_artifacts import FAMILIES, Trained, describe, pictures, sha256, trained, write_onnx
from tests.asking import reference_of_network
from tests.full import FULL

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
parser = pytest.importorskip("onnx.parser", reason="onnx is not installed (extra: onnx)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")

TOLERANCE = 0.04
Arrays = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Exported:
    """One family: what was trained, its float32 predictions, and its clean ONNX model."""

    trained: Trained
    reference: Reference
    model: bytes

    def certify(self, folder: Path) -> Certificate:
        return certify(folder, without_run(self.trained.dataset), self.reference, tolerance=TOLERANCE, threads=1)

    def artifact(self, folder: Path, changes: Arrays = (), **description: object) -> Path:
        """The clean artifact, or one some of whose weights were exchanged."""
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(exchanged(self.model, changes))
        return describe(folder, self.trained, **description)


def exchanged(model: bytes, changes: Arrays) -> bytes:
    """The model with each array of weights that equals an old one replaced by the new one."""
    if not changes:
        return model
    graph = onnx.load_from_string(model)
    stored = {tensor.name: tensor for tensor in graph.graph.initializer}
    arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in stored.items()}
    for old, new in changes:
        replaced = False
        for name, array in arrays.items():
            for turned in (False, True) if old.ndim == 2 else (False,):  # exporters store matrices either way
                if np.array_equal(array, old.T if turned else old):
                    right = np.ascontiguousarray(new.T if turned else new, array.dtype)
                    stored[name].CopyFrom(onnx.numpy_helper.from_array(right, name))
                    replaced = True
        assert replaced, f"no weights of shape {old.shape} are as they were"
    return graph.SerializeToString()


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest) -> Path | None:
    try:
        return request.getfixturevalue("shared_data")
    except pytest.skip.Exception:
        return None


@pytest.fixture(scope="session")
def images(real: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return pictures(tmp_path_factory.mktemp("pictures"), real, train=14, test=13)


@pytest.fixture(scope="session", params=FAMILIES)
def exported(
    request: pytest.FixtureRequest, real: Path | None, images: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    learnt = trained(request.param, images, real, folder)
    return Exported(learnt, reference_for(learnt, folder), write_onnx(learnt, folder).read_bytes())


def reference_for(learnt: Trained, cache: Path) -> Reference:
    return reference_of_network(
        learnt.network, learnt.preprocessing, list(learnt.dataset.classes), learnt.dataset,
        machine=Machine(cache_dir=cache, workers=1),
    )  # fmt: skip


# How the pixels are scaled: the model computes x * gain + shift.


def scaling(learnt: Trained, mean: tuple[float, ...], std: tuple[float, ...], largest: float = 255.0) -> Arrays:
    def arrays(mean: tuple[float, ...], std: tuple[float, ...], largest: float) -> tuple[np.ndarray, np.ndarray]:
        deviation = np.array(std, np.float64)
        gain = (1 / (largest * deviation)).astype(np.float32).reshape(3, 1, 1, 1)  # a convolution of each plane
        return gain, (-np.array(mean) / deviation).astype(np.float32)

    shown = learnt.preprocessing
    return list(zip(arrays(shown.mean, shown.std, 255.0), arrays(mean, std, largest), strict=True))


def wrong_mean(exported: Exported) -> Arrays:
    shown = exported.trained.preprocessing
    other = (IMAGENET_MEAN, IMAGENET_STD) if shown.mean == HALF else (HALF, HALF)
    return scaling(exported.trained, *other)


def missing_division(exported: Exported) -> Arrays:
    shown = exported.trained.preprocessing
    return scaling(exported.trained, shown.mean, shown.std, largest=1.0)


def blue_green_red(exported: Exported) -> Arrays:
    """Channels swapped after scaling, which is alike for all three in one family and nearly so in the other."""
    stem = folded(exported.trained.network)["stem.conv.weight"]
    return [(stem, stem[:, ::-1])]


# The weights.


def folded(network: Network) -> dict[str, np.ndarray]:
    return {key: tensor.numpy() for key, tensor in fold_batch_norm(network).state_dict().items()}


def stale_batch_norm(exported: Exported) -> Arrays:
    """Running statistics that lag behind: three parts in ten are still those of initialisation."""
    network = exported.trained.network
    fresh = folded(network)
    kept = {key: buffer.clone() for key, buffer in network.named_buffers()}
    for key, buffer in network.named_buffers():
        if key.endswith("running_mean"):
            buffer.mul_(0.7)
        elif key.endswith("running_var"):
            buffer.mul_(0.7).add_(0.3)
    stale = folded(network)
    for key, buffer in network.named_buffers():
        buffer.copy_(kept[key])
    return differing(fresh, stale)


def another_head(exported: Exported) -> Arrays:
    weight = folded(exported.trained.network)["classifier.weight"]
    return [(weight, np.roll(weight, 1, axis=0))]


def one_scale_a_tensor(exported: Exported) -> Arrays:
    """Weights rounded to int8 with one scale a tensor, depthwise layers too."""
    weights = {key: array for key, array in folded(exported.trained.network).items() if array.ndim == 4}
    scales = {key: np.abs(array).max() / 127 for key, array in weights.items()}
    return [(array, np.round(array / scales[key]) * scales[key]) for key, array in weights.items()]


def not_a_number(exported: Exported) -> Arrays:
    bias = folded(exported.trained.network)["classifier.bias"]
    return [(bias, np.where(np.arange(len(bias)) == 3, np.nan, bias))]


def differing(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> Arrays:
    return [(old[key], new[key]) for key in old if not np.array_equal(old[key], new[key])]


@pytest.mark.parametrize(
    "fault",
    [blue_green_red, wrong_mean, missing_division, stale_batch_norm, another_head, not_a_number],
)
def test_no_fault_in_the_model_passes(exported: Exported, fault: Callable[[Exported], Arrays], tmp_path: Path) -> None:
    certificate = exported.certify(exported.artifact(tmp_path / "faulty", fault(exported)))
    assert certificate.verdict == "fail", certificate.sentence


def test_one_scale_a_tensor_does_not_pass_as_int8(exported: Exported, real: Path | None, tmp_path: Path) -> None:
    if real is None and "efficientnet" in exported.trained.network.spec.name:
        pytest.skip("random weights are much alike in all channels, and lose little: the real ones are not here")
    folder = exported.artifact(tmp_path / "faulty", one_scale_a_tensor(exported), precision="int8")
    certificate = exported.certify(folder)
    assert certificate.verdict != "pass", certificate.sentence


def test_permuted_labels_do_not_pass(exported: Exported, tmp_path: Path) -> None:
    classes = exported.trained.dataset.classes
    certificate = exported.certify(exported.artifact(tmp_path / "faulty", labels=[*classes[1:], classes[0]]))
    assert certificate.verdict == "fail"
    other = exported.artifact(tmp_path / "other", labels=["dandelion", *classes[1:]])
    with pytest.raises(ForayError, match="are not the classes of"):
        exported.certify(other)


def test_a_wrong_crop_and_a_wrong_resize_do_not_pass(exported: Exported, tmp_path: Path) -> None:
    shown = exported.trained.preprocessing
    no_crop = replace(shown, crop_pct=1.0)
    tight = replace(shown, crop_pct=0.75)
    for name, preprocessing in {"none": no_crop, "tight": tight}.items():
        certificate = exported.certify(exported.artifact(tmp_path / name, preprocessing=preprocessing))
        assert certificate.verdict == "fail", certificate.sentence


def without_antialias(preprocessing: Preprocessing, opset: int, ir_version: int) -> onnx.ModelProto:
    """Interpolates between the nearest pixels only, however much the image shrinks, as most resize operators do.

    And it makes a square of the picture, which those of the seedlings are.
    """
    side, resized = preprocessing.resolution, preprocessing.resize_side
    first = (resized - side) // 2
    mode = {"bilinear": "linear", "bicubic": "cubic"}[preprocessing.interpolation]
    return parser.parse_model(f"""
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
prepare (uint8[batch, height, width, 3] images) => (uint8[batch, {side}, {side}, 3] squares)
<int64[2] size = {{{resized}, {resized}}}, int64[2] first = {{{first}, {first}}},
 int64[2] last = {{{first + side}, {first + side}}}, int64[2] axes = {{2, 3}},
 float black = {{0}}, float white = {{255}}>
{{
  planes_uint8 = Transpose <perm = [0, 3, 1, 2]> (images)
  planes = Cast <to = 1> (planes_uint8)
  large = Resize <mode = "{mode}", axes = [2, 3]> (planes, , , size)
  square = Slice (large, first, last, axes)
  rounded = Round (square)
  clipped = Clip (rounded, black, white)
  square_uint8 = Cast <to = 2> (clipped)
  squares = Transpose <perm = [0, 2, 3, 1]> (square_uint8)
}}""")


def squashed(image: Image.Image, *, resolution: int, resize_side: int, interpolation: str, how: str) -> np.ndarray:
    """All of the picture in the square."""
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BILINEAR))


def nearest(image: Image.Image, *, resolution: int, resize_side: int, interpolation: str, how: str) -> np.ndarray:
    """Pixels picked, not averaged."""
    size = tuple(resize_side * side // min(image.size) for side in image.size)
    left, top = (round((side - resolution) / 2) for side in size)
    return np.asarray(
        image.resize(size, Image.Resampling.NEAREST).crop((left, top, left + resolution, top + resolution))
    )


@pytest.mark.parametrize("fault", [squashed, nearest])
def test_no_other_way_to_resize_in_the_reader_passes(
    exported: Exported, fault: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "resize_and_crop", fault)
    certificate = exported.certify(exported.artifact(tmp_path / "faulty"))
    assert certificate.verdict == "fail", certificate.sentence
    assert "log-probabilities" in " ".join(certificate.failures)


def test_another_filter_does_not_pass(exported: Exported, tmp_path: Path) -> None:
    shown = exported.trained.preprocessing
    other = replace(shown, interpolation="bicubic" if shown.interpolation == "bilinear" else "bilinear")
    certificate = exported.certify(exported.artifact(tmp_path / "faulty", preprocessing=other))
    assert certificate.verdict == "fail", certificate.sentence


@pytest.mark.parametrize("exported", ["mobilenet_v2"], indirect=True)
def test_a_resize_in_the_graph_passes_if_it_is_antialiased(
    exported: Exported, real: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean files stay far from the limit, though a grey level may differ here and there: more of them in textures."""
    certificates = []
    for name, prepare in {"clean": onnx_prepare.prepare_model, "faulty": without_antialias}.items():
        monkeypatch.setattr(onnx_prepare, "prepare_model", prepare)
        folder = exported.artifact(tmp_path / name)
        add_prepare(folder / "model.onnx", exported.trained.preprocessing)
        certificates.append(exported.certify(describe(folder, exported.trained, any_size=True)))
    clean, faulty = certificates
    assert clean.verdict == "pass", clean.sentence
    assert clean.logit_error < LARGEST_LOGIT_ERROR / (4 if real else 2)
    assert faulty.verdict == "fail", faulty.sentence


def test_a_reader_that_ignores_exif_or_transparency_fails_though_no_picture_has_either(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = exported.artifact(tmp_path / "faulty")
    with monkeypatch.context() as patched:
        patched.setattr(reader, "_orientation", lambda image: 1)
        certificate = exported.certify(folder)
    assert certificate.verdict == "fail"
    assert certificate.label_agreement.value == 1.0
    assert "EXIF orientation 6" in " ".join(certificate.failures)
    with monkeypatch.context() as patched:
        patched.setattr(reader, "_as_rgb", lambda image, samples: image.convert("RGB"))
        assert "transparency" in " ".join(exported.certify(folder).failures)


def test_another_reader_beside_the_model_does_not_pass(exported: Exported, tmp_path: Path) -> None:
    folder = exported.artifact(tmp_path / "faulty")
    script = folder / "predict.py"
    script.write_text(script.read_text("utf-8").replace("upright is None", "True"), "utf-8")
    certificate = exported.certify(folder)
    assert certificate.verdict == "inconclusive"
    assert "predict.py" in " ".join(certificate.doubts)


def test_a_truncated_model_is_refused_whether_or_not_its_hash_was_written_anew(
    exported: Exported, tmp_path: Path
) -> None:
    folder = exported.artifact(tmp_path / "faulty")
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[: -len(exported.model) // 3])
    with pytest.raises(ForayError, match=r"model\.onnx is damaged or was changed"):
        exported.certify(folder)
    description = json.loads((folder / "artifact.json").read_text())
    description["files"]["model.onnx"] = {"sha256": sha256(model), "bytes": model.stat().st_size}
    (folder / "artifact.json").write_text(json.dumps(description))
    with pytest.raises(ForayError, match="cannot be loaded by onnxruntime"):
        exported.certify(folder)
    assert json.loads((folder / "artifact.json").read_text())["certificate"] is None


def test_clean_exports_raise_no_alarm(exported: Exported, images: Dataset, real: Path | None, tmp_path: Path) -> None:
    """Each head for ONNX Runtime and for OpenVINO."""
    openvino = pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")
    family = next(key for key, (name, _) in FAMILIES.items() if name in exported.trained.network.spec.name)
    first = folded(exported.trained.network)
    for seed in range(5 if FULL else 2):
        learnt = exported.trained if seed == 0 else trained(family, images, real, tmp_path / "cache", seed=seed)
        again = replace(exported, trained=learnt, reference=reference_for(learnt, tmp_path / "cache"))
        heads = differing(
            {key: array for key, array in first.items() if key.startswith("classifier")},
            {key: array for key, array in folded(learnt.network).items() if key.startswith("classifier")},
        )
        folder = again.artifact(tmp_path / f"onnx-{seed}", heads)
        other = tmp_path / f"openvino-{seed}"
        other.mkdir()
        converted = openvino.convert_model(folder / "model.onnx")
        openvino.save_model(converted, other / "model.xml", compress_to_fp16=False)
        describe(other, learnt, runtime="openvino")
        for certificate in (again.certify(folder), again.certify(other)):
            assert certificate.verdict == "pass", certificate.sentence
            assert certificate.logit_error < 1e-3
            assert certificate.failures == certificate.doubts == certificate.warnings == []
