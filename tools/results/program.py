"""The program s3r, called, and what a record says of it and of the machine."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ProgramError(Exception):
    """s3r ended with another code than 0."""


def git(*arguments):
    """What git says of the checkout; None without one."""
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


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
        """As in "s3r 0.1.0, 1a2b3c4": of the checkout, from which it should be built; "+"
        when sources were changed."""
        found = self.output("--version").strip()
        commit = git("rev-parse", "--short", "HEAD")
        if commit is None:
            return found
        changed = git("status", "--porcelain", "-uno", "--", "src", "include", "cli",
                      "CMakeLists.txt")
        return f"{found}, {commit}" + ("+" if changed else "")

    def machine(self):
        """Processor and level of the kernels, as in "AMD EPYC 9R14 (avx512bf16)"."""
        level = self.json("doctor")["cpu_level"]
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        return f"{found.group(1) if found else 'unknown processor'} ({level})"
