"""The program s3r, called, and what a record says of it and of the machine."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ProgramError(Exception):
    """s3r ended with another code than 0."""


class Program:
    def __init__(self, path):
        self.path = path

    def output(self, *arguments):
        """Standard output of a call that is short."""
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            words = " ".join(map(str, arguments))
            raise ProgramError(f"s3r {words}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.output(*arguments, "--json"))

    def version(self):
        """As in "s3r 0.1.0, 1a2b3c4"; "+" when the sources were changed."""
        found = self.output("--version").strip()
        commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty=+",
                                 "--exclude=*"], capture_output=True, text=True)
        return f"{found}, {commit.stdout.strip()}" if commit.returncode == 0 else found

    def machine(self):
        """Processor and level of the kernels, as in "AMD EPYC 9R14 (avx512bf16)"."""
        level = self.json("doctor")["cpu_level"]
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        return f"{found.group(1) if found else 'unknown processor'} ({level})"
