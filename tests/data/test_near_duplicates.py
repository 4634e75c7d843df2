"""Near-duplicates: they stay on one side, chains of them empty nothing, and given splits that share them are named."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pictures import draw
from PIL import Image

from foray.data import open_dataset
from foray.data.appearance import appearances_of, near_pairs
from foray.data.dataset import Dataset
from foray.data.near_duplicates import find_leaks, ties_of
from foray.data.perceptual_hash import Fingerprints, all_pairs, nearest

SIDE = 48


def scene(number: int) -> np.ndarray:
    """(48, 48, 3) of coarse random patches: like no other scene, and still itself when it is shrunk or compressed."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def frame(path: Path, number: int, shift: float = 0.0, seed: int = 0) -> Path:
    """A frame of scene `number`, on its way to the next one by `shift`, with a little noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (1 - shift) * scene(number) + shift * scene(number + 1)
    noisy = pixels + np.random.default_rng((seed, number)).normal(0, 2, pixels.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path)
    return path


def films(root: Path, *, films_a_class: int, frames: int) -> Path:
    """Two classes of films, each of frames that are all near-duplicates of each other."""
    for label, name in enumerate("ab"):
        for film in range(films_a_class):
            for i in range(frames):
                frame(root / name / f"{film:02}-{i}.png", 1000 * label + film, seed=i)
    return root


def split_of(dataset: Dataset) -> dict[str, str]:
    return {sample.id: str(sample.split) for sample in dataset.samples}


def test_near_duplicates_are_carved_to_one_side(tmp_path):
    dataset = open_dataset(films(tmp_path, films_a_class=20, frames=3))
    sides = {}
    for id_, split in split_of(dataset).items():
        sides.setdefault(id_.rpartition("-")[0], set()).add(split)
    assert all(len(splits) == 1 for splits in sides.values())
    counts = Counter((s.split, s.label) for s in dataset.samples)
    assert all(counts[split, label] == 9 for split in ("val", "test") for label in (0, 1))
    assert not find_leaks(dataset)


def test_a_chain_over_a_whole_class_does_not_empty_test(tmp_path):
    """Class a is one film in small steps: each frame is near the next, and the ends are other pictures."""
    for i in range(100):
        frame(tmp_path / "a" / f"{i:03}.png", i // 20, shift=i % 20 / 20)
        frame(tmp_path / "b" / f"{i:03}.png", 2000 + 3 * i)
    dataset = open_dataset(tmp_path)
    linked = {frozenset((tie.first, tie.second)) for tie in ties_of(dataset.samples, dataset.near)}
    assert len(linked) == 99
    counts = Counter((s.split, s.label) for s in dataset.samples)
    for split in ("val", "test"):
        for label in (0, 1):
            assert 8 <= counts[split, label] <= 30  # of 15


def test_images_that_are_all_alike_are_split_as_if_they_were_not_and_a_note_says_so(tmp_path):
    """One camera over one belt: both classes show the same scene, and what tells them apart is small."""
    for i in range(40):
        frame(tmp_path / "ab"[i % 2] / f"{i:02}.png", 7, seed=i)
    dataset = open_dataset(tmp_path)
    assert Counter(split_of(dataset).values()) == {"train": 28, "val": 6, "test": 6}
    assert not find_leaks(dataset)
    assert any("only exact duplicates are looked for" in note for note in dataset.notes)


def test_near_duplicates_across_given_splits_are_counted(tmp_path):
    for i in range(30):
        name = "ab"[i % 2]
        frame(tmp_path / "train" / name / f"{i}.png", i)
        frame(tmp_path / "test" / name / f"{i}.png", i if i < 8 else 100 + i, seed=1)
        frame(tmp_path / "val" / name / f"{i}.png", i if i < 5 else 200 + i, seed=2)
    dataset = open_dataset(tmp_path)
    leaks = find_leaks(dataset)
    assert leaks.val == {f"val/{'ab'[i % 2]}/{i}.png" for i in range(5)}
    assert leaks.test == {f"test/{'ab'[i % 2]}/{i}.png" for i in range(8)}
    assert (
        "5 of 30 val images are duplicates or near-duplicates of train images and 8 of 30 test images are duplicates "
        "or near-duplicates of train or val images"
    ) in dataset.notes


def test_images_smaller_than_the_thumbnail_are_not_compared():
    """Different digits of 8 x 8 pixels are as alike as frames of one film."""
    dataset = open_dataset("digits")
    assert len(dataset.near) == 0
    assert not find_leaks(dataset)


def test_all_pairs_are_those_of_a_comparison_one_by_one_in_blocks_and_when_dense(monkeypatch):
    random = np.random.default_rng(0)
    groups = random.integers(0, 12, 120)
    base = random.integers(0, 256, (12, 24, 24))
    thumbnails = np.clip(base[groups] + random.normal(0, 12, (120, 24, 24)), 0, 255).astype(np.uint8)
    hashes = (random.random((12, 64)) < 0.5)[groups]
    known = Fingerprints(thumbnails, hashes)
    vectors = thumbnails.reshape(120, -1).astype(np.float64)
    correlation = np.corrcoef(vectors)
    expected = {
        (i, j)
        for i in range(120)
        for j in range(i + 1, 120)
        if correlation[i, j] > 0.97 and (hashes[i] != hashes[j]).sum() <= 10
    }
    assert len(expected) > 100
    for block_bytes, dense in ((64 << 20, 0.0), (64 << 20, 1.0), (2000, 0.0), (2000, 1.0)):
        monkeypatch.setattr("foray.data.perceptual_hash._BLOCK_BYTES", block_bytes)
        monkeypatch.setattr("foray.data.perceptual_hash._DENSE", dense)
        first, second, _ = all_pairs(known)
        assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected
    found = nearest(known, known)
    assert all(column == row for row, (column, _) in found.items())
    assert len(found) == 120


def test_of_too_many_pairs_the_closest_are_kept(monkeypatch):
    thumbnails = np.random.default_rng(0).integers(0, 256, (1, 24, 24)).repeat(30, axis=0)
    noise = np.random.default_rng(1).normal(0, 5, (30, 24, 24))
    known = Fingerprints(np.clip(thumbnails + noise, 0, 255).astype(np.uint8), np.zeros((30, 64), bool))
    _, _, whole = all_pairs(known)
    monkeypatch.setattr("foray.data.perceptual_hash.MAX_PAIRS", 40)
    monkeypatch.setattr("foray.data.perceptual_hash._BLOCK_BYTES", 400)
    _, _, kept = all_pairs(known)
    assert len(whole) == 435
    assert sorted(kept.tolist()) == pytest.approx(sorted(whole.tolist())[-40:])


def test_looks_are_taken_once_for_the_same_contents_and_again_when_the_file_is_damaged(tmp_path):
    dataset = open_dataset(films(tmp_path / "films", films_a_class=4, frames=2), cache_dir=tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "looks").iterdir()
    before = kept.stat().st_mtime_ns
    renamed = tmp_path / "renamed"
    for i, sample in enumerate(dataset.samples):
        target = renamed / dataset.classes[sample.label] / f"x{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(sample.image.path.read_bytes())
    again = open_dataset(renamed, cache_dir=tmp_path / "cache")
    assert kept.stat().st_mtime_ns == before
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 255
    kept.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile), np.load(kept) as damaged:
        [damaged[name] for name in damaged.files]
    healed = appearances_of(again.samples, cache_dir=tmp_path / "cache")
    assert np.array_equal(healed.fingerprints.thumbnails, dataset.appearances.fingerprints.thumbnails)
    pairs = near_pairs(healed, cache_dir=tmp_path / "other cache")
    assert np.array_equal(pairs.first, dataset.near.first)


def test_unreadable_and_flat_images_are_near_nothing(tmp_path):
    for i in range(12):
        name = "ab"[i % 2]
        (tmp_path / name).mkdir(exist_ok=True)
        if i < 4:
            (tmp_path / name / f"{i}.png").write_text(f"nothing {i}")
        elif i < 8:
            Image.new("RGB", (64, 64), (20 * i, 0, 0)).save(tmp_path / name / f"{i}.png")
        else:
            draw(tmp_path / name / f"{i}.png", i, side=64)
    assert len(open_dataset(tmp_path).near) == 0


# --- real images -----------------------------------------------------------------------------------------------------


def test_photographs_of_one_clip_are_found_across_given_splits(shared_data):
    archive = shared_data / "data" / "rock_paper_scissors_photos" / "rps_real_photos.zip"
    dataset = open_dataset(archive)
    leaks = find_leaks(dataset)
    assert len(leaks.test) == 47
    assert not leaks.val  # carved by foray
    by_name = open_dataset("rock_paper_scissors", data_dir=archive)
    assert any("groups in more than one given split: photograph paper.0095" in note for note in by_name.notes)


def test_plant_seedlings_are_not_flagged_wholesale(shared_data):
    seedlings = open_dataset(shared_data / "data" / "plant_seedlings" / "plant_seedlings.zip")
    leaks = find_leaks(seedlings)
    assert (len(leaks.val), len(leaks.test)) == (11, 11)


def test_flowers_are_not_flagged_at_all(shared_data):
    flowers = open_dataset(shared_data / "data" / "flowers" / "flowers.zip")
    assert not find_leaks(flowers)
