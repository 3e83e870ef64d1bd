"""What language models are worth: the masks of the main tables, decoded with and without.

    WORK/lm/LANG/          text and models (tools/results_lm.sh)

Weights are chosen on a part of dev for each mask, test is run once.  A record
(docs/results/lm.jsonl) is of one mask and one form of decoding.
"""

import hashlib
import json
import subprocess

from results.program import ROOT
from results.records import locked

FORMS = {
    "greedy": ("best label a frame", []),
    "search": ("search, no model", ["--beam", 50, "--word-score", 0]),
    "word": ("words, lexicon", ["--lm", "{lm}/word.s3l", "--lexicon", "lm"]),
    "char": ("characters, no lexicon", ["--lm", "{lm}/char.s3l"]),
}


def masks(study):
    """(language, minutes, seed, run) of the masks that are decoded."""
    for lang in study.recipe["study_languages"]:
        for minutes in (10, 60):
            table = study.table[f"main-{minutes}"]
            for seed, run in table.cells[lang, "mask ORI"].items():
                yield lang, minutes, seed, run


def options_of(form):
    return [str(word) for word in FORMS[form][1]]


def key_of(run, form):
    text = json.dumps([run.key(), form, options_of(form)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class LanguageModels:
    def __init__(self, program, corpus, backbone, say):
        self.program = program
        self.corpus = corpus
        self.backbone = backbone
        self.say = say
        self.version = program.version()

    def measure_all(self, study, runs, records):
        """Decodes what has a mask and no record; the number of masks that are not there."""
        absent = 0
        with locked(self.corpus.work / "lm" / "lock", "lm"):
            for lang, minutes, seed, run in masks(study):
                mask = run and self.corpus.work / "runs" / run.key() / "best.s3m"
                made = runs.of(run)
                if not made or made.get("diverged") or not mask.exists():
                    absent += 1
                    continue
                forms = [form for form in FORMS if key_of(run, form) not in records.by_key]
                folder = self._models(run, lang) if forms else None
                for form in forms:
                    self.say(f"{lang} {minutes}m seed {seed}: {FORMS[form][0]}")
                    records.add({"key": key_of(run, form), "run": run.key(), "lang": lang,
                                 "minutes": minutes, "seed": seed, "form": form,
                                 "options": options_of(form), "program": self.version,
                                 **self._measure(run, mask, folder, form)})
        return absent

    def _models(self, run, lang):
        """The folder of a language's models."""
        work = self.corpus.work / "lm"
        script = ["sh", ROOT / "tools/results_lm.sh", self.program.path, work, lang,
                  self.corpus.vocabulary(run)]
        subprocess.run([str(word) for word in script], check=True)
        return work / lang

    def _measure(self, run, mask, folder, form):
        options = [word.format(lm=folder) for word in options_of(form)]
        common = ["-q", "-m", self.backbone, "--mask", mask, *options]
        found = {}
        if "--lm" in options:
            best = self.program.json("tune-lm", *common, "--data",
                                     folder / "tune.jsonl")["best"]
            found["weights"] = {name: best[name] for name in ("lm_weight", "word_score")}
            common += ["--lm-weight", best["lm_weight"], "--word-score", best["word_score"]]
            found["text"] = facts_of(folder, form)
        found["test"] = self.program.json(
            "eval", *common, "--data", self.corpus.manifest(run, "test"))["metrics"]
        return found


def facts_of(folder, units):
    """Words of text, and order and dev perplexity of the model that was taken."""
    order = int((folder / f"{units}.s3l").resolve().name.split(".")[1])
    perplexity = next(float(value) for name, number, value in
                      map(str.split, (folder / "perplexity").read_text().splitlines())
                      if (name, int(number)) == (units, order))
    words = len((folder / "text.txt").read_text(encoding="utf-8").split())
    return {"words": words, "order": order, "perplexity": perplexity}
