"""A program called `gs` that tells when it is started, and a picture in PostScript that would start it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@dataclass(frozen=True)
class Ghostscript:
    """`picture`: PostScript text named x.jpg; `path`: PATH on which `gs` is found first."""

    picture: Path
    path: str
    trace: Path

    @property
    def ran(self) -> bool:
        """Whether `gs` was started since it was last asked."""
        ran = self.trace.exists()
        self.trace.unlink(missing_ok=True)
        return ran


def install(folder: Path) -> Ghostscript:
    """Puts both below `folder`, and sees that Pillow left to itself does start it."""
    programs = folder / "bin"
    programs.mkdir()
    trace = folder / "gs-was-here"
    (programs / "gs").write_text(f'#!/bin/sh\n: > "{trace}"\nexit 1\n')
    (programs / "gs").chmod(0o755)
    picture = folder / "x.jpg"
    picture.write_bytes(EPS)
    found = Ghostscript(picture, os.pathsep.join([str(programs), os.environ["PATH"]]), trace)
    script = f"from PIL import Image\nImage.open({str(picture)!r}).load()"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PATH": found.path}, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert found.ran, "the trap does not work"
    return found
