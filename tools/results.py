#!/usr/bin/env python3
"""Makes the experiments behind docs/results.md, and the page from their records.

    results.py data [PACKAGES]    manifests, vocabularies and small training sets
    results.py list               what there is, what is missing, and the time it will take
    results.py run --backbone M   makes the missing runs, in the order of their worth
    results.py lm --backbone M    decodes masks of the runs with and without language models
    results.py report             writes docs/results.md and docs/results/*.svg
    results.py check              fails when report would change something

The study itself is tools/results/study.py.  Python 3.9 or later, nothing beside it.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import mean

from results.corpus import Corpus
from results.language_models import LanguageModels
from results.program import ROOT, Program, ProgramError
from results.records import Records, replace_file
from results.report import Report
from results.runner import Runner
from results.study import RECIPE, Study


def say(text):
    print(f"results: {text}", file=sys.stderr, flush=True)


def load_recipe(path):
    """The recipe, with single keys replaced by those of a JSON file."""
    recipe = json.loads(json.dumps(RECIPE))
    changes = json.loads(path.read_text()) if path else {}
    for key, value in changes.items():
        if key not in recipe:
            raise SystemExit(f"{path}: the recipe has no {key!r}")
        if isinstance(recipe[key], dict):
            recipe[key].update(value)
        else:
            recipe[key] = value
    return recipe


def do_data(options, recipe):
    Corpus(Program(options.s3r), options.work, recipe).prepare(options.packages, say)


def seconds_of_a_run(records, runs):
    """A function of a run: the mean of those made with as much data, else of all; None
    when none was made."""
    by_minutes = {}
    for record in filter(None, map(records.of, runs)):
        spent = record["seconds"] + record.get("eval_seconds", 0)
        by_minutes.setdefault(record["minutes"], []).append(spent)
    every = [spent for found in by_minutes.values() for spent in found]
    return lambda run: mean(by_minutes.get(run.minutes if run else 10, every) or [math.nan])


def do_list(options, recipe):
    records = Records(options.records)
    plan = list(Study(recipe, records.dev_rate).plan())
    expected = seconds_of_a_run(records, {run for _, run in plan if run})
    table = {name: Counter() for name, _ in plan}
    seen = set()
    for experiment, run in plan:
        if run in seen:  # a run that two tables need counts for the first
            continue
        if run:
            seen.add(run)
        state = "waiting" if run is None else "made" if records.of(run) else "missing"
        table[experiment][state] += 1
        if state != "made":
            table[experiment]["seconds"] += expected(run)
        if options.runs and state == "missing":
            print(f"{experiment}: {run}")
    print(f"{'experiment':<14}{'made':>8}{'missing':>9}{'waiting':>9}{'hours':>8}")
    for name, found in table.items():
        hours = found["seconds"] / 3600 / options.jobs
        shown = "?" if math.isnan(hours) else f"{hours:.1f}"
        print(f"{name:<14}{found['made']:>8}{found['missing']:>9}{found['waiting']:>9}{shown:>8}")
    say(f"waiting: for the tuning of their method.  hours: with {options.jobs} at a time, from "
        "the time of the runs that were made")


def open_study(options, recipe):
    """(Program, Records, Corpus) of a verb that needs the recipe's backbone."""
    program = Program(options.s3r)
    found = program.json("inspect", options.backbone)["hash"]
    if found != recipe["backbone"]:
        raise SystemExit(f"{options.backbone}: the recipe's backbone has the hash "
                         f"{recipe['backbone'] or '(none chosen)'}, this one {found}")
    records = Records(options.records)
    corpus = Corpus(program, options.work, recipe)
    corpus.check()
    return program, records, corpus


def decoding_records(options):
    return Records(options.records.with_name("lm.jsonl"))


def do_lm(options, recipe):
    program, runs, corpus = open_study(options, recipe)
    absent = LanguageModels(program, corpus, options.backbone, say).measure_all(
        Study(recipe, runs.dev_rate), runs, decoding_records(options))
    if absent:
        say(f"{absent} masks are not there: `results.py run` first")


def do_run(options, recipe):
    program, records, corpus = open_study(options, recipe)
    runner = Runner(program, corpus, records, recipe, options.backbone, say)
    deadline = time.monotonic() + 3600 * options.hours
    number = runner.run_all(options.jobs, deadline, options.only)
    if runner.no_data:
        say(f"{len(runner.no_data)} runs have no data: `results.py data` first "
            "(phones need espeak-ng)")
    if runner.failed:
        say(f"{len(runner.failed)} runs failed")
    if number:
        return 128 + number
    return 1 if runner.failed else 0


def outputs(options, recipe):
    """Path -> text of the page and its plots; None for a plot that should not be there."""
    report = Report(recipe, Records(options.records), decoding_records(options),
                    options.out.stem)
    files = {options.out: report.text()}
    folder = options.out.with_suffix("")
    files.update({path: None for path in folder.glob("*.svg")})
    files.update({folder / name: svg for name, svg in report.plots.items()})
    return files


def do_report(options, recipe):
    for path, text in outputs(options, recipe).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            replace_file(path, text)


def do_check(options, recipe):
    bad = [path for path, text in outputs(options, recipe).items()
           if text != (path.read_text(encoding="utf-8") if path.exists() else None)]
    for path in bad:
        print(f"{path}: not what the records give; tools/results.py report writes it")
    return 1 if bad else 0


def parse(arguments):
    docs = ROOT / "docs"
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build/results",
                        help="work folder (build/results)")
    parser.add_argument("--s3r", type=Path, default=ROOT / "build/release/s3r", help="the program")
    parser.add_argument("--records", type=Path, default=docs / "results/runs.jsonl",
                        help="the records (docs/results/runs.jsonl)")
    parser.add_argument("--out", type=Path, default=docs / "results.md", help="the page")
    parser.add_argument("--recipe", type=Path,
                        help="JSON object with other values for keys of the recipe, for trials")
    verbs = parser.add_subparsers(dest="verb", required=True)
    data = verbs.add_parser("data")
    data.add_argument("packages", nargs="?", type=Path,
                      help="folder of Debian's packages or of their content")
    listing = verbs.add_parser("list")
    listing.add_argument("--runs", action="store_true", help="every missing run")
    listing.add_argument("--jobs", type=int, default=2)
    run, lm = verbs.add_parser("run"), verbs.add_parser("lm")
    for verb in (run, lm):
        verb.add_argument("--backbone", type=Path, required=True, help="a Hugging Face folder")
    run.add_argument("--only", action="append", metavar="EXPERIMENT",
                     help="runs of this experiment; may be repeated")
    run.add_argument("--hours", type=float, default=1e6, help="start no run later than this")
    run.add_argument("--jobs", type=int, default=2, help="runs at a time, a thread each (2)")
    verbs.add_parser("report")
    verbs.add_parser("check")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    verb = {"data": do_data, "list": do_list, "run": do_run, "lm": do_lm, "report": do_report,
            "check": do_check}[options.verb]
    try:
        return verb(options, load_recipe(options.recipe))
    except (ProgramError, OSError) as error:
        raise SystemExit(f"results: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
