"""The experiments behind docs/results.md; tools/results.py is the front door.

study     what is measured: recipe, methods, tables of runs
records   docs/results/runs.jsonl, one line a run that was made
corpus    manifests and vocabularies of the runs, and models with random weights
runner    makes the runs that are missing
summary   means, deviations and paired differences
claims    what of the paper holds here, by rules
plot      SVG
report    docs/results.md
"""
