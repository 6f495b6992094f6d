# SPDX-License-Identifier: Apache-2.0
"""What must be built for some tests: `needed_targets.py BUILD NAME…` prints ninja's targets for the ctest entries whose
names match. It follows from what their commands and environments name below the build directory."""
import json
import pathlib
import re
import subprocess
import sys

# Directories that stand for what ships and what is installed.
STAND_FOR = {"": ["installable"], "bin": ["installable"], "examples": ["example_packages"]}


def entries(build):
    """Lines of the files that ctest reads, by entry; they name programs that are not built yet, which ctest does not."""
    found = {}
    for file in pathlib.Path(build).rglob("CTestTestfile.cmake"):
        for name, line in re.findall(r"^(?:add_test|set_tests_properties)\(\[=\[(.*?)\]=\] (.*)$", file.read_text(), re.M):
            found[name] = found.get(name, "") + " " + line
    return found


def chosen(build, names):
    """As ctest sees it: what matches, and the fixtures that it needs."""
    shown = subprocess.run(["ctest", "--show-only=json-v1", "-R", "|".join(names)], cwd=build, capture_output=True,
                           text=True, check=True)
    return [test["name"] for test in json.loads(shown.stdout)["tests"]]


def targets_of(build, line):
    below = re.findall(re.escape(str(build)) + r'(?:/([^";: ]*))?(?=[";: ])', line)
    return sorted({target for path in below for target in STAND_FOR.get(path, [path])})


def known_targets(build):
    listed = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], capture_output=True, text=True, check=True)
    return {line.split(":")[0] for line in listed.stdout.splitlines()}


def needed(build, names):
    known, of = known_targets(build), entries(build)
    return sorted({t for name in names for t in targets_of(build, of[name])} & known)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    names = chosen(build, sys.argv[2:])
    if not names:
        sys.exit(f"error: no test's name matches {' or '.join(sys.argv[2:])}: (cd {build.name} && ctest -N) lists them")
    print("\n".join(needed(build, names)))


if __name__ == "__main__":
    main()
