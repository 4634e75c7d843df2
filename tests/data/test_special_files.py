"""Named pipes, sockets and devices are no images, tables or archives: nothing waits for them, and each is named."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from foray import regular_files
from foray.costs import load_profiles
from foray.data import decode_for_evaluation, inspect_dataset, open_dataset
from foray.data.encoded_images import encoded_files, images_in_tar
from foray.data.images import ImageReadError, UnreadableImagesError, load_image
from foray.deploy import predict as reader
from foray.errors import DataError, ForayError
from foray.recipes import read_recipe
from foray.records import RunRecord
from foray.regular_files import open_regular, read_regular, require_regular
from foray.specs import Preprocessing
from foray.weights.pretrained import find_weights

KINDS = {
    "pipe": "it is a named pipe (FIFO), not a regular file",
    "socket": "it is a socket, not a regular file",
    "device": "it is a device, not a regular file",
}
LIMIT = 60  # seconds, after which a reader is said to hang


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    """A signal ends what waits for a pipe, where a test would wait for ever."""

    def end(*_: object) -> None:
        raise TimeoutError("something waits for a file that is none")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make(kind: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket may be a hundred characters long
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
        finally:
            os.chdir(here)
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for label, level in {"dark": 20, "light": 220}.items():
        (folder / label).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (16, 16), (level, 9 * i, 90)).save(folder / label / f"{i}.png")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_helper_and_the_copied_reader_refuse_alike(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / "x.jpg")
    for refuse in (require_regular, open_regular, read_regular, reader.regular):
        with pytest.raises(OSError, match="regular file") as refusal:
            refuse(path)
        assert (refusal.value.strerror, refusal.value.filename) == (KINDS[kind], str(path))


def test_a_folder_and_nothing_are_said_to_be_that(tmp_path: Path) -> None:
    for refuse in (require_regular, open_regular, read_regular, reader.regular):
        with pytest.raises(IsADirectoryError, match="it is a directory, not a file"):
            refuse(tmp_path)
        with pytest.raises(FileNotFoundError):
            refuse(tmp_path / "nothing")


def test_regular_files_are_read_whole_also_through_links(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link") == content
    with open_regular(str(tmp_path / "file")) as stream:
        stream.seek(255)
        assert stream.read(2) == b"\xff\x00"


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_folder_they_are_unreadable_images(kind: str, images: Path, tmp_path: Path) -> None:
    make(kind, images / "dark" / "odd.jpg")
    dataset = open_dataset(images, cache_dir=tmp_path / "cache")
    (unreadable,) = inspect_dataset(dataset).unreadable
    assert (unreadable.id, unreadable.reason) == ("dark/odd.jpg", KINDS[kind])
    with pytest.raises(UnreadableImagesError) as stopped:
        decode_for_evaluation(dataset, Preprocessing(16), cache_dir=tmp_path / "cache", workers=1)
    assert stopped.value.reasons == {"dark/odd.jpg": KINDS[kind]}
    kept = dataset.without(stopped.value.ids)
    assert len(decode_for_evaluation(kept, Preprocessing(16), cache_dir=tmp_path / "cache", workers=1)) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_rows_of_a_csv_as_well(kind: str, images: Path, tmp_path: Path) -> None:
    make(kind, images / "odd.jpg")
    rows = [f"{path.relative_to(images)},{path.parent.name}" for path in sorted(images.rglob("*.png"))]
    (images / "table.csv").write_text("\n".join(["path,label", *rows, "odd.jpg,dark"]))
    audit = inspect_dataset(open_dataset(images / "table.csv", cache_dir=tmp_path / "cache"))
    assert [(image.id, image.reason) for image in audit.unreadable] == [("odd.jpg", KINDS[kind])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["data", "data.csv", "data.zip", "data.tar.gz"])
def test_as_data_they_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / name)
    with pytest.raises(DataError) as refusal:
        open_dataset(path, cache_dir=tmp_path / "cache")
    assert str(refusal.value) == f"Cannot read {path}: {KINDS[kind]}."


READERS: dict[str, Callable[[Path], object]] = {
    "recipe.toml": read_recipe,
    "record.json": RunRecord.load,
    "device.json": load_profiles,
    "weights.pth": lambda path: find_weights(path, "mobilenet_v2"),
    "weights.h5": lambda path: find_weights(path, "mobilenet_v2"),
    "model.safetensors": lambda path: find_weights(path, "mobilenet_v2"),
    "config.json": lambda path: find_weights(path.parent, "mobilenet_v2"),
    "image.jpg": load_image,
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", READERS)
def test_every_file_that_a_user_names_is_a_regular_one(kind: str, name: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / "folder" / name)
    with pytest.raises(ForayError, match=r"not a regular file") as refusal:
        READERS[name](path)
    assert KINDS[kind] in str(refusal.value)


def test_images_to_evaluate_weights_on_are_regular_files(tmp_path: Path) -> None:
    path = make("pipe", tmp_path / "images" / "a.jpg")
    (image,) = encoded_files(tmp_path / "images", [path])
    with pytest.raises(OSError, match="named pipe"):
        image.read()
    with pytest.raises(OSError, match="named pipe"):
        images_in_tar(make("pipe", tmp_path / "images.tar"))


def test_a_pipe_that_takes_the_place_of_a_file_is_noticed_after_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check before the opening sees the file, the one after it the pipe; neither the opening nor reading waits."""
    pipe = make("pipe", tmp_path / "x.jpg")
    monkeypatch.setattr(regular_files, "require_regular", lambda path: None)
    with pytest.raises(OSError, match="named pipe"):
        open_regular(pipe)


def test_a_reason_is_not_named_twice() -> None:
    with pytest.raises(ImageReadError) as refusal:
        load_image("/dev/zero")
    assert str(refusal.value) == "Cannot read the image /dev/zero: it is a device, not a regular file."
