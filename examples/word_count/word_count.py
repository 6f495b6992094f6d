# SPDX-License-Identifier: Apache-2.0
"""Counts the words of all inputs: words.csv among the job's files, a summary as the result.

Parameters: top (how many words to list, default 20), ignore (list of words to leave out)."""
import collections
import csv
import json
import os
import pathlib
import re
import signal
import sys


def give_up(reason):
    """Exit code 60: another try would not help. The last line on standard error is the job's error."""
    print(reason, file=sys.stderr)
    sys.exit(60)


def stopped(_signal, _frame):
    """Cancel and timeout arrive as SIGTERM; a while later the process is killed."""
    print("stopped before the end", file=sys.stderr)
    sys.exit(1)


def main():
    signal.signal(signal.SIGTERM, stopped)
    parameters = json.loads(os.environ["GERES_PARAMETERS"] or "{}")
    top = parameters.get("top", 20)
    if not isinstance(top, int) or isinstance(top, bool) or top < 1:
        give_up(f"top must be a whole number above 0, not {top!r}")
    ignore = {word.lower() for word in parameters.get("ignore", [])}

    texts = sorted(path for path in pathlib.Path(".").rglob("*") if path.is_file())
    if not texts:
        give_up("there is no input to count words in")

    counts = collections.Counter()
    with open(os.environ["GERES_PROGRESS"], "a", buffering=1, encoding="utf-8") as progress:
        for number, path in enumerate(texts):
            progress.write(f"{100 * number // len(texts)} {path}\n")
            text = path.read_text(encoding="utf-8", errors="replace")
            counts.update(word for word in re.findall(r"\w+", text.lower()) if word not in ignore)
        progress.write("100 writing\n")

    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
    output = pathlib.Path(os.environ["GERES_OUTPUT_DIR"]) / "words.csv"
    with open(output, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("word", "count"), *most])
    summary = {"files": len(texts), "words": sum(counts.values()), "different": len(counts)}
    pathlib.Path(os.environ["GERES_RESULT"]).write_text(json.dumps(summary), encoding="utf-8")


main()
