#!/usr/bin/env python3
"""Transcribes audio files, with the times of words: example.py MODEL [MASK.s3m] FILE...

MODEL may be "default", the backbone that is shipped, which needs a mask.

PYTHONPATH has the folder of s3r.py; beside it, as here, nothing is needed.
"""

import sys

import s3r


def show(result):
    if result.status != s3r.Status.OK:
        print(f"{result.path}: {result.message}", file=sys.stderr)
        return
    print(result.path, result.text, sep="\t")
    for word in result.words:
        print(f"\t{word.start:.2f}\t{word.end:.2f}\t{word.confidence:.2f}\t{word.text}")


def main(arguments):
    if len(arguments) < 2 or arguments[-1].endswith(".s3m"):
        print("usage: example.py MODEL [MASK.s3m] FILE...", file=sys.stderr)
        return s3r.Status.USAGE
    model, *files = arguments
    mask = files.pop(0) if files[0].endswith(".s3m") else None
    has_failed = False
    try:
        with s3r.Model(model, mask=mask) as opened:
            for result in opened.transcribe(files):
                show(result)
                has_failed = has_failed or result.status != s3r.Status.OK
    except s3r.Error as error:
        print(f"example.py: {error}", file=sys.stderr)
        return error.status
    return s3r.Status.PARTIAL if has_failed else s3r.Status.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
