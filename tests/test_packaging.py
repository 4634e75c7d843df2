"""What a fresh machine installs: pins for everything named, metadata that agrees."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

import foray

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): Version(version) for name, version in rows}


def test_every_named_requirement_has_a_pin_it_accepts() -> None:
    extras = PROJECT["optional-dependencies"]
    shipped = (name for extra in ("onnx", "openvino", "litert", "executorch") for name in extras[extra])
    named = [*PROJECT["dependencies"], *shipped, *extras["peers"], *extras["docs"], *extras["dev"]]
    pinned = pins()
    for text in named:
        requirement = Requirement(text)
        version = pinned.get(canonical(requirement.name))
        assert version is not None, f"{requirement.name} has no pin in constraints.txt"
        assert requirement.specifier.contains(version, prereleases=True), f"{text} does not accept the pin {version}"


def test_torch_pin_has_no_local_tag() -> None:
    """`2.13.0` takes the CPU wheel as well as the CUDA one; `2.13.0+cpu` exists on one index only."""
    assert all(version.local is None for version in pins().values())


def test_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\S+) - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert versions == re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert versions[0] == PROJECT["version"] == foray.__version__


def test_readme_commands_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = set(re.findall(r"^    make (\w+)", readme, re.MULTILINE))
    assert {"demo", "test", "docs"} <= used <= targets


def test_readme_names_every_verb() -> None:
    from foray.cli.main import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = [command.name for command in app.registered_commands] + ["data inspect"]
    assert len(verbs) == 14
    for verb in verbs:
        assert f"| `foray {verb}" in readme
