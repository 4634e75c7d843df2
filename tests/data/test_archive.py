"""Archives: read like the folder they hold, and refused when damaged or hostile."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from pictures import draw_classes

from foray.data import open_dataset
from foray.data.archive import Limits, unpack
from foray.errors import DataError, DiskFullError


@pytest.fixture
def weeds(tmp_path) -> Path:
    return draw_classes(tmp_path / "weeds", {"train/Wilde Möhre": 4, "train/b": 4, "test/Wilde Möhre": 2, "test/b": 2})


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as packed:
        for info, content in members:
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def tar_file(name: str, content: bytes = b"content") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def tar_special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def nothing_outside(cache: Path) -> bool:
    """No unpacked file, whole or partial, is left."""
    return not [
        path for path in cache.rglob("*") if path.is_file() and "unpacked" in path.parts and path.name != ".lock"
    ]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar"])
@pytest.mark.parametrize("inside", ["directly", "in a folder"])
def test_an_archive_is_the_folder_it_holds(tmp_path, weeds, kind, inside):
    source = {"root_dir": weeds} if inside == "directly" else {"root_dir": tmp_path, "base_dir": "weeds"}
    archive = shutil.make_archive(str(tmp_path / "packed"), kind, **source)
    packed, folder = open_dataset(archive), open_dataset(weeds)
    assert packed.fingerprint == folder.fingerprint
    assert [sample.id for sample in packed.samples] == [sample.id for sample in folder.samples]
    assert packed.name == "packed"


def test_unpacked_once_and_again_when_files_were_cleaned_away(tmp_path, weeds):
    archive, cache = Path(shutil.make_archive(str(tmp_path / "w"), "zip", weeds)), tmp_path / "cache"
    first = unpack(archive, cache_dir=cache)
    victim = first / "train" / "b" / "000.png"
    stamp = victim.stat().st_mtime_ns
    assert unpack(archive, cache_dir=cache) == first
    assert victim.stat().st_mtime_ns == stamp
    content = victim.read_bytes()
    victim.unlink()
    assert unpack(archive, cache_dir=cache) == first
    assert victim.read_bytes() == content


def test_the_target_follows_content_not_name(tmp_path, weeds):
    cache = tmp_path / "cache"
    archive = Path(shutil.make_archive(str(tmp_path / "w"), "zip", weeds))
    before = unpack(archive, cache_dir=cache)
    (weeds / "train" / "b" / "000.png").unlink()
    shutil.make_archive(str(tmp_path / "w"), "zip", weeds)
    after = unpack(archive, cache_dir=cache)
    assert after != before
    assert not (after / "train" / "b" / "000.png").exists()


def test_two_processes_at_once_and_one_killed_before(tmp_path, weeds):
    archive, cache = Path(shutil.make_archive(str(tmp_path / "w"), "gztar", weeds)), tmp_path / "cache"
    program = (
        "from pathlib import Path; from foray.data.archive import unpack\n"
        f"print(unpack(Path({str(archive)!r}), cache_dir=Path({str(cache)!r})))"
    )
    home = unpack(archive, cache_dir=cache).parent
    shutil.rmtree(home)
    (home / ".part-dead").mkdir(parents=True)  # what a killed process leaves
    (home / ".part-dead" / "half.png").write_bytes(b"half")
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    targets = {process.communicate(timeout=120)[0].strip() for process in both}
    assert targets == {str(home / "files")}
    assert sorted(path.name for path in home.iterdir()) == [".lock", "complete.json", "files"]
    assert len(list((home / "files").rglob("*.png"))) == 12


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_paths_that_leave_the_target_are_refused(tmp_path, name):
    cache = tmp_path / "cache"
    for archive in (
        tar(tmp_path / "t.tar", tar_file("a/ok.png"), tar_file(name)),
        zipped(tmp_path / "z.zip", {"a/ok.png": b"x", name: b"x"}),
    ):
        with pytest.raises(DataError, match="points outside of it; such archives are refused"):
            unpack(archive, cache_dir=cache)
    assert nothing_outside(cache)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.FIFOTYPE, "special file"),
        (tarfile.CHRTYPE, "special file"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, said):
    archive = tar(tmp_path / "t.tar", tar_file("a/ok.png"), tar_special("a/x.png", kind, "/etc/passwd"))
    with pytest.raises(DataError, match=f"holds .*{said}.*\\(a/x.png\\), which is not accepted"):
        unpack(archive, cache_dir=tmp_path / "cache")
    assert nothing_outside(tmp_path / "cache")


@pytest.mark.parametrize("to", ["/etc/passwd", "../../etc/passwd", "a/absent.png", "a"])
def test_hard_links_to_what_the_archive_does_not_hold_are_refused(tmp_path, to):
    archive = tar(tmp_path / "t.tar", tar_file("a/ok.png"), tar_special("a/x.png", tarfile.LNKTYPE, to))
    with pytest.raises(DataError, match=r"refused|Pack the files"):
        unpack(archive, cache_dir=tmp_path / "cache")


def test_hard_links_inside_a_tar_are_files(tmp_path):
    archive = tar(tmp_path / "t.tar", tar_file("a/ok.png"), tar_special("b/same.png", tarfile.LNKTYPE, "a/ok.png"))
    folder = unpack(archive, cache_dir=tmp_path / "cache")
    assert (folder / "b/same.png").read_bytes() == (folder / "a/ok.png").read_bytes() != b""
    assert not (folder / "b/same.png").is_symlink()


def test_a_zip_of_windows_with_backslashes_is_unpacked(tmp_path):
    archive = tmp_path / "weeds.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("photos\\", "photos\\maize\\", "photos\\maize\\1.png", "photos\\cleavers\\1.png"):
            packed.writestr(as_written(name), b"" if name.endswith("\\") else b"image")
    folder = unpack(archive, cache_dir=tmp_path / "cache")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.png")} == {
        "photos/maize/1.png", "photos/cleavers/1.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code_page", "name"), [("cp437", "Löwenzahn"), ("utf-8", "Löwenzahn"), ("utf-8", "雑草"), ("cp437", "Ñandú")]
)
def test_names_of_a_zip_in_utf8_or_the_western_code_page_are_read(tmp_path, code_page, name):
    archive = zip_in(tmp_path / "weeds.zip", code_page, f"{name}/1.png")
    assert [path.name for path in unpack(archive, cache_dir=tmp_path / "cache").iterdir()] == [name]


@pytest.mark.parametrize(
    ("code_page", "name"),
    [
        ("cp932", "雑草"),
        ("cp932", "イヌ"),
        ("cp932", "表示ソ"),
        ("gbk", "杂草"),
        ("cp949", "잡초"),
        ("cp866", "сорняк"),
    ],
)
def test_names_of_a_zip_in_another_code_page_are_refused_and_the_way_out_is_named(tmp_path, code_page, name):
    archive = zip_in(tmp_path / "weeds.zip", code_page, f"{name}/1.png")
    with pytest.raises(DataError, match=r"not in UTF-8, .*unzip -O CODE FILE") as refused:
        unpack(archive, cache_dir=tmp_path / "cache")
    assert f"{name}/1.png in {code_page}" in str(refused.value)


def as_written(name):
    """A member whose name stays as it is, backslashes included."""
    info = zipfile.ZipInfo("x")
    info.filename = name
    return info


def zip_in(path, code_page, name):
    """A zip with one file, its name in `code_page` and not marked as UTF-8."""
    raw = name.encode(code_page)
    stand_in = "x" * len(raw)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(stand_in, b"image")
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), raw))
    return path


def test_links_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("a/x.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="holds a link"):
        unpack(tmp_path / "z.zip", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("packing", ["zip", "tar.gz", "tar.xz"])
def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, packing):
    """64 MB of zeros pack to less than 100 kB: refused at the ratio, after no more than the bytes looked at."""
    zeros = bytes(64 << 20)
    if packing == "zip":
        archive = zipped(tmp_path / "bomb.zip", {"a/0.png": zeros}, zipfile.ZIP_DEFLATED)
    else:
        archive = tar(tmp_path / f"bomb.{packing}", tar_file("a/0.png", zeros), mode=f"w:{packing[-2:]}")
    assert archive.stat().st_size < 100_000
    limits = Limits(ratio_from_bytes=8 << 20)
    with pytest.raises(DataError, match=r"unpacks to more than .* MB, which is refused"):
        unpack(archive, cache_dir=tmp_path / "cache", limits=limits)
    assert nothing_outside(tmp_path / "cache")


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    archive = zipped(tmp_path / "z.zip", {"a/0.png": bytes(100_000)}, zipfile.ZIP_DEFLATED)
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack(archive, cache_dir=tmp_path / "cache")


def test_bounds_on_members_and_total_size(tmp_path):
    archive = zipped(tmp_path / "z.zip", {f"a/{i}.png": os.urandom(1000) for i in range(20)})
    with pytest.raises(DataError, match="more than 10 members"):
        unpack(archive, cache_dir=tmp_path / "cache", limits=Limits(members=10))
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(archive, cache_dir=tmp_path / "cache", limits=Limits(total_bytes=10_000))
    assert len(list(unpack(archive, cache_dir=tmp_path / "cache", limits=Limits(20, 20_000)).rglob("*.png"))) == 20


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_archive_is_refused(tmp_path, weeds, kind, kept):
    whole = Path(shutil.make_archive(str(tmp_path / "w"), kind, weeds))
    raw = whole.read_bytes()
    cut = len(raw) - 10241 if (kind, kept) == ("tar", 0.97) else int(len(raw) * kept)  # a tar ends with 10 kB of zeros
    whole.write_bytes(raw[:cut])
    with pytest.raises(DataError, match=r"damaged or cut short.*Copy or download it again"):
        unpack(whole, cache_dir=tmp_path / "cache")
    assert nothing_outside(tmp_path / "cache")


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    archive = tar(tmp_path / "t.tar", tar_file("a/0.png", b"x" * 512), tar_file("a/1.png", b"x" * 512))
    archive.write_bytes(archive.read_bytes()[:1024])  # header and data of the first member, whole
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack(archive, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_something_else_called_an_archive(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(DataError, match="damaged or cut short"):
        open_dataset(tmp_path / name)


def test_an_encrypted_zip_says_so(tmp_path):
    archive = zipped(tmp_path / "z.zip", {"a/0.png": b"content"})
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1  # general purpose bit 0 of the local header and of the central directory: encrypted
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)
    with pytest.raises(DataError, match=r"cannot be unpacked: .*encrypted, password required.*give the folder"):
        unpack(archive, cache_dir=tmp_path / "cache")


def test_a_name_twice_is_refused(tmp_path):
    archive = tar(tmp_path / "t.tar", tar_file("a/0.png"), tar_file("a/0.png"))
    with pytest.raises(DataError, match=r"holds the name a/0\.png twice"):
        unpack(archive, cache_dir=tmp_path / "cache")


def test_hidden_and_system_members_are_left_out(tmp_path):
    members = {"a/0.png": b"x", "__MACOSX/a/._0.png": b"x", "a/.DS_Store": b"x", ".git/config": b"x"}
    target = unpack(zipped(tmp_path / "z.zip", members), cache_dir=tmp_path / "cache")
    assert [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()] == ["a/0.png"]


def test_utf8_names_without_the_utf8_flag(tmp_path):
    """macOS writes UTF-8 names without saying so; zipfile reads them as code page 437."""
    name = "Möhre/0.png"
    info = zipfile.ZipInfo(name.encode().decode("cp437"))
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr(info, b"x")
    raw = (tmp_path / "z.zip").read_bytes()
    as_written = info.filename.encode()
    raw = raw.replace(as_written, name.encode().ljust(len(as_written), b"_"))  # same length keeps all offsets
    flags = bytearray(raw)
    flags[7] &= ~8 & 0xFF
    flags[raw.index(b"PK\x01\x02") + 9] &= ~8 & 0xFF
    (tmp_path / "z.zip").write_bytes(flags)
    target = unpack(tmp_path / "z.zip", cache_dir=tmp_path / "cache")
    assert (target / "Möhre").is_dir()


def test_too_little_room_is_said_before_unpacking(tmp_path, weeds, monkeypatch):
    archive = Path(shutil.make_archive(str(tmp_path / "w"), "zip", weeds))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(DiskFullError, match=r"Unpacking w\.zip needs .* Free some space"):
        unpack(archive, cache_dir=tmp_path / "cache")


def test_an_entry_without_a_name_is_refused(tmp_path):
    archive, entry = zipped(tmp_path / "x.zip", {"a/1.png": b"x"}), zipfile.ZipInfo("x")
    entry.filename = ""
    with zipfile.ZipFile(archive, "a") as packed, packed.open(entry, "w") as stream:
        stream.write(b"x")
    for nameless in (archive, tar(tmp_path / "x.tar", tar_file(""))):
        with pytest.raises(DataError, match="an entry without a name"):
            unpack(nameless, cache_dir=tmp_path / "cache")


def test_names_that_are_not_the_utf8_they_say_are_refused(tmp_path):
    archive = zipped(tmp_path / "x.zip", {"a/éé.png": b"x"})
    archive.write_bytes(archive.read_bytes().replace("éé".encode(), b"\xff\xfe\xc3\x28"))
    with pytest.raises(DataError, match="declares UTF-8 names but holds others"):
        unpack(archive, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("name", [f"a/{'n' * 300}.png", "/".join(["d" * 200] * 30), f"{'f' * 300}/x.png"])
def test_a_name_too_long_for_a_file_is_named_by_its_beginning(tmp_path, name):
    for archive in (zipped(tmp_path / "x.zip", {name: b"x"}), tar(tmp_path / "x.tar", tar_file(name))):
        with pytest.raises(DataError, match=rf"{name[:40]}.*characters\): File name too long"):
            unpack(archive, cache_dir=tmp_path / "cache")


def test_folders_nested_beyond_reason_are_refused(tmp_path):
    with pytest.raises(DataError, match="nested more than 64 deep"):
        unpack(zipped(tmp_path / "x.zip", {"/".join(["a"] * 2000): b"x"}), cache_dir=tmp_path / "cache")


def test_the_folder_that_everything_is_in_may_be_an_entry(tmp_path):
    folder = tarfile.TarInfo(".")
    folder.type = tarfile.DIRTYPE
    archive = tar(tmp_path / "x.tar", (folder, b""), tar_file("./a/1.png"), tar_file("."))
    assert [path.name for path in unpack(archive, cache_dir=tmp_path / "cache").rglob("*.png")] == ["1.png"]
