#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the engine and its store spend on one job, in instructions: `instructions.py ENGINE_STEPS`. Unlike times these
are the same on every machine with the same compiler and libraries, so a step that has become 3 % dearer, or cheaper,
is seen. The right ones stand in instructions.json; `--write` puts the present ones there."""
import argparse
import json
import pathlib
import re
import subprocess
import sys

STEPS = ("submit", "claim", "finish")
JOBS = 300
TOLERANCE = 0.03
RIGHT = pathlib.Path(__file__).with_name("instructions.json")


def counted(program, step):
    """Instructions a job below the function of this step."""
    ran = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
                          f"--toggle-collect=step_{step}", program, str(JOBS)], capture_output=True, text=True)
    found = re.search(r"Collected\s*:\s*(\d+)", ran.stderr)
    if ran.returncode != 0 or not found or int(found[1]) == 0:
        sys.exit(f"callgrind counted nothing: {ran.stderr[-2000:]}")
    return round(int(found[1]) / JOBS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("program")
    arguments.add_argument("--write", action="store_true")
    options = arguments.parse_args()
    now = {step: counted(options.program, step) for step in STEPS}
    if options.write:
        RIGHT.write_text(json.dumps(now, indent=2) + "\n")
    right = json.loads(RIGHT.read_text())
    wrong = False
    for step in STEPS:
        change = now[step] / right[step] - 1
        far = abs(change) > TOLERANCE
        wrong |= far
        print(f"{step:8} {now[step]:>9,} instructions a job, {change:+.1%}{'   <-- more than 3 %' if far else ''}")
    if wrong:
        print(f"If that is meant: {sys.argv[0]} {options.program} --write, and say why in the commit.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
