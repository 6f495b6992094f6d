# SPDX-License-Identifier: Apache-2.0
"""Builds a TypeScript example as its user would, with what npm installed for clients/typescript."""
import os
import pathlib
import shutil
import subprocess

CLIENT = pathlib.Path(os.environ.get("GERES_TYPESCRIPT_CLIENT", "none"))
BUILT = (CLIENT / "dist").is_dir()


def build(example, directory):
    """A copy of the example's directory below `directory`, compiled; it is returned."""
    copy = pathlib.Path(shutil.copytree(example, directory / example.name, ignore=shutil.ignore_patterns("node_modules", "dist")))
    modules = copy / "node_modules"
    modules.mkdir()
    for module in (CLIENT / "node_modules").iterdir():
        if not module.name.startswith("."):
            (modules / module.name).symlink_to(module)
    (modules / "geres-client").symlink_to(CLIENT)
    done = subprocess.run([CLIENT / "node_modules/.bin/tsc", "-p", copy], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy
