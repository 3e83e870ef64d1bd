"""docs/results/runs.jsonl: one JSON object a line for each run that was made.

A record has what the run was told (study.Run.identity), its key, and either
`"diverged": true` or what was measured.  Records are only added; those of other recipes
or backbones stay and are not looked at.
"""

import fcntl
import json
import math
import os
import threading
from contextlib import contextmanager


class Records:
    def __init__(self, path):
        self.path = path
        self.by_key = {}
        self.lines = []
        self._lock = threading.Lock()
        if path.exists():
            for number, line in enumerate(path.read_text().splitlines(), 1):
                self.read(line, number)

    def read(self, line, number):
        """Takes a line of the file, without writing anything."""
        try:
            record = json.loads(line)
            key = record["key"]
        except (ValueError, KeyError, TypeError):
            raise SystemExit(f"{self.path}:{number}: no JSON object with a key") from None
        if key in self.by_key:
            raise SystemExit(f"{self.path}:{number}: the key {key} is there twice")
        self.by_key[key] = record
        self.lines.append(line)

    def of(self, run):
        """The record of a run, or None; None for None."""
        return self.by_key.get(run.key()) if run else None

    def dev_rate(self, run, metric):
        """study.Study's view of the records."""
        record = self.of(run)
        if record is None:
            return None
        return math.inf if record.get("diverged") else record["dev"][metric]["rate"]

    def add(self, record):
        """Adds a record; the file is replaced as a whole, so it is never half a line."""
        with self._lock:
            line = json.dumps(record, sort_keys=True, ensure_ascii=False)
            self.read(line, len(self.lines) + 1)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, "\n".join(self.lines) + "\n")


@contextmanager
def locked(path, verb):
    """Holds a lock file: records are written by one process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"{path.parent}: in use by another `{verb}`") from None
        yield


def replace_file(path, text):
    """Writes a text file under another name and renames it."""
    part = path.with_name(path.name + ".part")
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
