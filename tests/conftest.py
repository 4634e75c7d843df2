"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

from foray.process_state import send_no_telemetry
from tests.caches import new_cache, remove_shared_libraries, share_compiled_libraries
from tools.peers import import_peer

# Examples have no time limit: how fast a shared machine happens to be is no fact about the code.
hypothesis.settings.register_profile("foray", deadline=None)
hypothesis.settings.load_profile("foray")

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Test modules ask for the kernels when they are imported; where several processes do, they are built before."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells do for what they run in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    send_no_telemetry()
    if not hasattr(config, "workerinput"):
        share_compiled_libraries(builds=bool(getattr(config.option, "numprocesses", None)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leaves nothing behind."""
    if not hasattr(config, "workerinput"):
        remove_shared_libraries()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real images and real ImageNet weights (`FORAY_TEST_DATA`, default ../shared), or a skip."""
    folder = Path(os.environ.get("FORAY_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "weights").is_dir() or not (folder / "data").is_dir():
        pytest.skip(f"real images and weights are not at {folder} (set FORAY_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests write their caches into one temporary folder, never into the user's."""
    monkeypatch.setenv("FORAY_CACHE", str(new_cache(tmp_path_factory.getbasetemp() / "cache")))


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """The peer, or a skip."""
    return _peer("torchvision")


@pytest.fixture(scope="session")
def timm() -> ModuleType:
    """The peer, or a skip."""
    return _peer("timm")


def _peer(name: str) -> ModuleType:
    module = import_peer(name)
    if module is None:
        pytest.skip(f"{name} is not installed (extra: peers)")
    return module
