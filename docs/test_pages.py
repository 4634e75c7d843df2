"""The pages say what is so: tutorials and the notebook run as written, commands and files that are named exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from docs.command_pages import leaf_commands
from foray.records import ArtifactRecord

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts)]
pytestmark = pytest.mark.timeout(1800)  # a tutorial takes a minute on a machine that does nothing else
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ {4,}(?:torchrun --\S+ \d+ -m )?foray ((?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real images and weights (`FORAY_TEST_DATA`, default ../shared), or a skip."""
    folder = Path(os.environ.get("FORAY_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "weights").is_dir() or not (folder / "data/flowers").is_dir():
        pytest.skip(f"real images and weights are not at {folder} (set FORAY_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the tutorials: the `foray` and `python` of this environment, and one cache, that of nobody else."""
    cache = str(tmp_path_factory.mktemp("cache"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PATH": path, "PYTHONPATH": source, "FORAY_CACHE": cache}


@pytest.fixture
def photographs(tmp_path: Path, shared_data: Path) -> Path:
    """A folder in which `photos` are 1,500 photographs of five flowers."""
    with zipfile.ZipFile(shared_data / "data/flowers/flowers.zip") as archive:
        archive.extractall(tmp_path / "photos")
    return tmp_path


def run_tutorial(name: str, folder: Path, environment: dict[str, str], weights: str = "hub") -> str:
    """Runs every ```bash block of a tutorial, one after the other in one shell, and returns what it prints."""
    page = (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
    script = "\n".join(BLOCK.findall(page))
    script = re.sub(r"^WEIGHTS=hub\b", f"WEIGHTS={weights}", script, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_choose(photographs: Path, environment: dict[str, str], shared_data: Path) -> None:
    printed = run_tutorial("choose", photographs, environment, f"'{shared_data / 'weights'}'")
    assert (photographs / "out" / "report.html").is_file()
    assert "out: parameters" in printed


def test_ship(photographs: Path, environment: dict[str, str], shared_data: Path) -> None:
    run_tutorial("ship", photographs, environment, f"'{shared_data / 'weights'}'")
    for name in ("onnx-fp32", "onnx-int8"):
        certificate = ArtifactRecord.load(photographs / "artifacts" / name / "artifact.json").certificate
        assert certificate is not None
        assert certificate.verdict == "pass"


def test_reproduce(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "results").symlink_to(ROOT / "results")
    printed = run_tutorial("reproduce", tmp_path, environment).splitlines()
    page = (DOCS / "tutorials" / "reproduce.md").read_text(encoding="utf-8")
    shown = [line for block in PRINTED.findall(page) for line in block.splitlines() if line != "..."]
    assert [line for line in shown if line not in printed] == []
    for out in ("reproduction", "arithmetic", "mini"):
        assert (tmp_path / out / "reproduction.html").is_file()


def test_notebook(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "FORAY_CACHE"):
        monkeypatch.setenv(name, environment[name])
    notebook = nbformat.read(DOCS / "tutorials" / "digits.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "MACs" in printed


def named_commands() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = ("    " + line for block in BLOCK.findall(text) for line in block.splitlines())
        for match in COMMAND.finditer("\n".join([text, *blocks])):
            yield page, match[1].replace("\\\n", " ")


def test_commands_that_pages_show_exist_with_their_options() -> None:
    known: dict[str, set[str]] = {
        path.removeprefix("foray "): {option for parameter in command.params for option in parameter.opts}
        for path, command, _ in leaf_commands()
    }
    shown = list(named_commands())
    assert len(shown) > 30
    for page, text in shown:
        verb = "data inspect" if text.startswith("data inspect") else text.split()[0]
        assert verb in known, f"{page.name}: foray {text}"
        unknown = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", text.partition("#")[0])) - known[verb] - {"--help"}
        assert not unknown, f"{page.name}: foray {text}: {unknown}"


def test_files_that_pages_link_to_exist() -> None:
    """In the repository, where pages are read too; the build checks them in the site."""
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"
