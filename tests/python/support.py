"""What the tests of python/s3r.py share.  ctest gives S3R (the program), S3R_TOOLS (the build
folder), S3R_LIBRARY and CC."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
CLIPS = [ROOT / "tests/data/audio/vm-pls-try-again.g722",
         ROOT / "tests/data/audio/number-not-answering.g722",
         ROOT / "tests/data/speech/conf-full.g722"]


def program(*arguments, tool=None, code=0):
    """Standard output of s3r, or of a tool beside it."""
    path = Path(os.environ["S3R_TOOLS"]) / tool if tool else os.environ["S3R"]
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, f"{path}: exit code {done.returncode}: {done.stderr}"
    return done.stdout


class WithModels(unittest.TestCase):
    """cls.tiny and cls.other are models, cls.masks a folder with bias, lora and mask of
    cls.tiny, cls.work a folder."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.work = Path(folder.name)
        cls.tiny, cls.other = cls.work / "tiny", cls.work / "other"
        cls.masks = cls.work / "masks"
        cls.masks.mkdir()
        program(cls.tiny, 3, tool="make_tiny_model")
        program(cls.other, 4, tool="make_tiny_model")
        for method in ("bias", "lora", "mask"):
            program(cls.tiny, cls.masks / f"{method}.s3m", method, 5, tool="make_tiny_mask")
