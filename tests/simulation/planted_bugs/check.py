#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the simulation bites: compiles one source file at a time with a bug planted in it, links it before the
library it belongs to, and demands that a checker finds it within so many seeds. The tree itself is never changed.

    check.py BUILD [--seeds N] [--jobs P] [NAME...]
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

from bugs import BUGS

SOURCE = pathlib.Path(__file__).resolve().parents[3]
TARGET = "tests/geres_sim"
FOUND = re.compile(r"seed (\d+) violated (\S+?): (.*)")


class Outdated(Exception):
    pass


def plant(bug, directory):
    """The file with the bug in it; written only when it is new, so that ccache and make times stay true."""
    text = (SOURCE / "src" / bug.file).read_text()
    count = text.count(bug.before)
    if count != 1:
        raise Outdated(f"{bug.name}: its text occurs {count} times in src/{bug.file}, not once: bring it up to date")
    planted = directory / pathlib.Path(bug.file).name
    mutated = text.replace(bug.before, bug.after)
    if not planted.exists() or planted.read_text() != mutated:
        planted.write_text(mutated)
    return planted


def commands(build):
    """How each file is compiled, and how the program is linked."""
    compiles = {entry["file"]: entry for entry in json.loads((build / "compile_commands.json").read_text())}
    ninja = subprocess.run(["ninja", "-C", str(build), "-t", "commands", TARGET], check=True, capture_output=True, text=True)
    link = [line for line in ninja.stdout.splitlines() if f"-o {TARGET}" in line][-1]
    return compiles, link


def compile_planted(bug, planted, build, compiles):
    entry = compiles[str(SOURCE / "src" / bug.file)]
    words = shlex.split(entry["command"])
    words = ["-O0" if word == "-O2" else word for word in words]  # compiled once, run for seconds
    target = planted.with_suffix(".o")
    words[words.index("-o") + 1] = str(target)
    words[words.index("-c") + 1] = str(planted)
    environment = dict(os.environ, CCACHE_BASEDIR=os.environ.get("CCACHE_BASEDIR", str(SOURCE)), CCACHE_NOHASHDIR="1")
    done = subprocess.run(words, cwd=entry["directory"], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Outdated(f"{bug.name} does not compile any more:\n{done.stderr[-2000:]}")
    return target


def link_planted(bug, target, build, link):
    program = target.parent / "sim"
    # The program's own objects first, then the planted one, so that the library's is not asked for.
    words = shlex.split(link.split("&&")[1])
    words[words.index("-o") + 1] = str(program)
    first_library = next(i for i, word in enumerate(words) if word.endswith(".a"))
    words.insert(first_library, str(target))
    done = subprocess.run(words, cwd=build, capture_output=True, text=True)
    if done.returncode != 0:
        raise Outdated(f"{bug.name} does not link any more:\n{done.stderr[-2000:]}")
    return program


def hunt(bug, build, compiles, link, seeds):
    directory = build / "planted_bugs" / bug.name
    directory.mkdir(parents=True, exist_ok=True)
    planted = plant(bug, directory)
    program = link_planted(bug, compile_planted(bug, planted, build, compiles), build, link)
    # What users would see must be found by what users were promised, not by the check of each pass.
    asked = [program, "--seeds", str(seeds), "--jobs", "1", "--lines", "0", "--stop"]
    if "pass" not in bug.expected.split():
        asked.append("--unchecked-passes")
    done = subprocess.run(asked, capture_output=True, text=True)
    program.unlink()
    found = FOUND.search(done.stdout)
    if done.returncode == 0 or not found:
        return bug, None, "not found", done.stdout[-300:] + done.stderr[-300:]
    return bug, int(found[1]), found[2], found[3]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("--seeds", type=int, default=25_000)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("names", nargs="*")
    asked = arguments.parse_args()
    build = asked.build.resolve()
    bugs = [bug for bug in BUGS if not asked.names or bug.name in asked.names]
    compiles, link = commands(build)
    began = time.monotonic()
    missed = []
    print(f"{'planted bug':44} {'seeds':>5}  violated")
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        for job in [pool.submit(hunt, bug, build, compiles, link, asked.seeds) for bug in bugs]:
            try:
                bug, seed, invariant, text = job.result()
            except Outdated as trouble:
                print(f"error: {trouble}")
                missed.append(str(trouble).split(":")[0])
                continue
            # A crash proves nothing: it may as well be the way the bug was planted.
            expected = bug.expected.split()
            found = invariant in expected or ("any" in expected and invariant != "crash")
            other = "" if found else f"  (expected {bug.expected})"
            print(f"{bug.name:44} {seed or '-':>5}  {invariant}{other}: {text[:90]}", flush=True)
            if seed is None or other:
                missed.append(bug.name)
    print(f"{len(bugs)} bugs in {time.monotonic() - began:.0f} s, {len(missed)} not found as expected")
    if missed:
        print("not found as expected: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
