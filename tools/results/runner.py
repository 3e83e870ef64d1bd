"""Makes the runs that are missing, in the order of the plan, some at a time.

    WORK/runs/KEY/          the run folder of s3r train; what is large is removed at the end
    WORK/runs/KEY.log       all that the run said
    WORK/runs/KEY.seconds   time spent by earlier parts of the run

A run that was stopped goes on from its checkpoint when it is its turn again, and its
record is written when training and both evaluations are done: there is no other state.
"""

import json
import signal
import subprocess
import threading
import time

from results.records import locked
from results.study import Study

DIVERGED = 7  # exit code of s3r train


class RunFailed(Exception):
    pass


class Stopped(Exception):
    """The program was told to end."""


class Runner:
    def __init__(self, program, corpus, records, recipe, backbone, say):
        self.program = program
        self.corpus = corpus
        self.records = records
        self.recipe = recipe
        self.backbone = backbone
        self.say = say
        self.folder = corpus.work / "runs"
        self.version = program.version()
        self.machine = program.machine()
        self.failed = {}   # run -> message
        self.no_data = set()
        self._lock = threading.RLock()  # a second signal may come in _on_signal
        self._random = threading.Lock()
        self._begun = set()
        self._children = set()
        self._signal = 0

    # Which run is next.

    def run_all(self, jobs, deadline, only=None):
        """Makes runs until none is left or the deadline is over; returns the signal that
        ended it, or 0."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.corpus.work / "lock", "run"):
            old = {number: signal.signal(number, self._on_signal)
                   for number in (signal.SIGINT, signal.SIGTERM)}
            threads = [threading.Thread(target=self._work, args=(deadline, only))
                       for _ in range(jobs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():  # a signal just before a wait would not end it
                    thread.join(0.2)
            for number, handler in old.items():
                signal.signal(number, handler)
        return self._signal

    def _work(self, deadline, only):
        while not self._signal and time.monotonic() < deadline:
            run = self._next(only)
            if run is None:
                return
            try:
                self._make(run)
            except Stopped:
                return
            except Exception as error:  # the next run must not suffer
                self.failed[run] = str(error)
                self.say(f"failed: {run}: {error}; see {self.folder / run.key()}.log")

    def _next(self, only):
        """The first run of the plan that nobody made or began."""
        with self._lock:
            # The plan changes as tuning comes to its end.
            for experiment, run in Study(self.recipe, self.records.dev_rate).plan():
                if run is None or run in self._begun or self.records.of(run):
                    continue
                if only and experiment not in only:
                    continue
                if not self.corpus.has(run):
                    self.no_data.add(run)
                    continue
                self._begun.add(run)
                return run
        return None

    # One run.

    def _make(self, run):
        self.say(f"begins: {run}")
        record = {"key": run.key(), **run.identity(), "program": self.version,
                  "machine": self.machine}
        folder = self.folder / run.key()
        code = self._train(run, folder)
        record["seconds"] = round(self._seconds(run), 1)
        if code == DIVERGED:
            record["diverged"] = True
        else:
            record.update(self._measure(run, folder / "best.s3m"))
        self.records.add(record)
        self._tidy(run, folder)
        self.say(f"done: {run}: " + outcome(record))

    def _model(self, run):
        if run.start == "pretrained":
            return self.backbone
        with self._random:
            return self.corpus.random_model(self.backbone, run.seed)

    def _train(self, run, folder):
        began = time.monotonic()
        try:
            labels = (["--task", "lid"] if run.unit == "lid"
                      else ["--vocab", self.corpus.vocabulary(run)])
            code, _ = self._call(
                run, "train", "-m", self._model(run), *labels,
                "--train", self.corpus.manifest(run, f"train-{run.minutes}"),
                "--dev", self.corpus.manifest(run, "dev-short"), "-o", folder, "--resume", "auto",
                "-t", "1", *(f"{key}={value}" for key, value in run.settings))
        finally:
            spent = self._seconds(run) + time.monotonic() - began
            self._seconds_path(run).write_text(f"{spent}\n")
        if code not in (0, DIVERGED):
            raise RunFailed(f"s3r train ended with {code}")
        return code

    def _measure(self, run, mask):
        began = time.monotonic()
        facts = self.program.json("mask", "info", mask)["facts"]
        found = {"step": facts["step"], "model": facts["backbone"]["hash"],
                 "data": facts["data"], "mask_bytes": mask.stat().st_size}
        for split in ("dev", "test"):
            if run.unit == "lid":
                found.update(self._identify(run, mask, split))
            else:
                found[split] = self._evaluate(run, mask, self.corpus.manifest(run, split))
        found["eval_seconds"] = round(time.monotonic() - began, 1)
        return found

    def _evaluate(self, run, mask, manifest):
        metrics = "per" if run.unit == "phone" else "wer,cer"
        return self._judge(run, "eval", mask, "--data", manifest, "--metrics",
                           metrics)["metrics"]

    def _identify(self, run, mask, split):
        """Rates of clips that are named wrong, of all and as the mean over languages; and
        what was counted of each language."""
        found = self._judge(run, "identify", mask, "--manifest",
                            self.corpus.manifest(run, split))
        return {split: {"error": {"rate": 1 - found["accuracy"]},
                        "mean_error": {"rate": 1 - found["mean_accuracy"]}},
                f"{split}_languages": {one["language"]: [one["utterances"], one["right"]]
                                       for one in found["languages"]}}

    def _judge(self, run, verb, mask, *arguments):
        """The JSON object that a verb says of a mask."""
        code, text = self._call(run, verb, "-m", self._model(run), "--mask", mask, *arguments,
                                "--json", "-t", "1")
        if code != 0:
            raise RunFailed(f"s3r {verb} ended with {code}")
        return json.loads(text)

    def _seconds_path(self, run):
        return self.folder / (run.key() + ".seconds")

    def _seconds(self, run):
        path = self._seconds_path(run)
        return float(path.read_text()) if path.exists() else 0.0

    def _tidy(self, run, folder):
        """Leaves settings, metrics and mask file; a whole model's are not kept."""
        for path in folder.glob("*"):
            small = path.name in ("config.yaml", "metrics.jsonl")
            if not small and not (path.name == "best.s3m" and path.stat().st_size < 4 << 20):
                path.unlink()
        self._seconds_path(run).unlink()

    # Processes.

    def _call(self, run, *arguments):
        """Runs s3r with its messages in the run's log; its exit code and output."""
        with open(self.folder / (run.key() + ".log"), "a", encoding="utf-8") as log:
            print("$ s3r", *arguments, file=log, flush=True)
            # Its own session: Ctrl-C in a terminal reaches this process only, which then
            # tells its children once.
            with self._lock:
                if self._signal:
                    raise Stopped
                child = subprocess.Popen([self.program.path, *map(str, arguments)],
                                         stdout=subprocess.PIPE, stderr=log, text=True,
                                         start_new_session=True)
                self._children.add(child)
            text, _ = child.communicate()
            with self._lock:
                self._children.discard(child)
            log.write(text)
        if self._signal and child.returncode != 0:
            raise Stopped
        return child.returncode, text

    def _on_signal(self, number, _frame):
        # Runs in the main thread, which holds the lock nowhere else; a second signal is
        # passed on too, and ends s3r at once.
        self._signal = number
        with self._lock:
            for child in self._children:
                child.terminate()


def outcome(record):
    if record.get("diverged"):
        return "diverged"
    rates = ", ".join(f"{name} {100 * found['rate']:.1f} %"
                      for name, found in sorted(record["dev"].items()))
    return f"dev {rates}, {record['seconds']:.0f} s"
