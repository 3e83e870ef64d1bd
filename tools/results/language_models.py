"""What language models are worth: the masks of the main tables, decoded with and without.

    WORK/lm/LANG/          text and models (tools/results_lm.sh)

Weights are chosen on a part of dev for each mask, test is run once.  A record
(docs/results/lm.jsonl) is of one mask and one form of decoding.
"""

import subprocess

from results.program import ROOT

FORMS = {
    "greedy": ("best label of each frame", []),
    "search": ("search, no language model", ["--beam", 50, "--word-score", 0]),
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


def key_of(run, form):
    return f"{run.key()}-{form}"


class LanguageModels:
    def __init__(self, program, corpus, backbone, say):
        self.program = program
        self.corpus = corpus
        self.backbone = backbone
        self.say = say

    def measure_all(self, study, runs, records):
        """Decodes what has a mask and no record; the number of masks without a file."""
        absent = 0
        for lang, minutes, seed, run in masks(study):
            forms = [form for form in FORMS if run and key_of(run, form) not in records.by_key]
            if not forms:
                absent += run is None
                continue
            mask = self.corpus.work / "runs" / run.key() / "best.s3m"
            if not runs.of(run) or not mask.exists():
                absent += 1
                continue
            folder = self._models(run, lang)
            for form in forms:
                self.say(f"{lang} {minutes}m seed {seed}: {FORMS[form][0]}")
                found = self._measure(run, mask, folder, form)
                records.add({"key": key_of(run, form), "lang": lang, "minutes": minutes,
                             "seed": seed, "form": form, **found,
                             "program": self.program.version()})
        return absent

    def _models(self, run, lang):
        """The folder of a language's models."""
        work = self.corpus.work / "lm"
        script = ["sh", ROOT / "tools/results_lm.sh", self.program.path, work, lang,
                  self.corpus.vocabulary(run)]
        subprocess.run([str(word) for word in script], check=True)
        return work / lang

    def _measure(self, run, mask, folder, form):
        options = [str(word).format(lm=folder) for word in FORMS[form][1]]
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
    best = min((float(perplexity), int(order)) for name, order, perplexity in
               map(str.split, (folder / "perplexity").read_text().splitlines())
               if name == units)
    words = len((folder / "text.txt").read_text(encoding="utf-8").split())
    return {"words": words, "order": best[1], "perplexity": best[0]}
