# SPDX-License-Identifier: Apache-2.0
"""docs/first_job.md, as its reader would go through it: the same job from curl, C++, TypeScript and Python, each with
the same words. The C++ program is $GERES_FIRST_JOB, so that one built in another project is tried the same way."""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import typescript
from fleet import Fleet

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples/first_job"
TOLD = "10 % looking for Ada Lovelace\n90 % found Ada Lovelace\nHello, Ada Lovelace\n"


class FirstJobTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.fleet.up()
        cls.fleet.cli("package", "push", "demo", EXAMPLES / "greet")

    def run_example(self, *words, **environment):
        return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120, check=False,
                              cwd=self.fleet.directory, env={**self.fleet.environment(), **environment})

    def goes_through(self, *words):
        done = self.run_example(*words, "Ada Lovelace")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, TOLD, ""))
        stranger = self.run_example(*words, "Ada Lovelace", GERES_TOKEN="wrong")
        self.assertNotEqual(stranger.returncode, 0)
        self.assertEqual(stranger.stdout.count("Hello"), 0)

    @unittest.skipUnless(shutil.which("curl") and shutil.which("jq"), "no curl or no jq: ./dev setup")
    def test_curl(self):
        self.goes_through(EXAMPLES / "curl/first_job.sh")

    def test_cpp(self):
        self.goes_through(os.environ["GERES_FIRST_JOB"])

    def test_python(self):
        self.goes_through(sys.executable, EXAMPLES / "python/first_job.py")

    @unittest.skipUnless(typescript.BUILT, "the TypeScript client is not built: ./dev setup")
    def test_typescript(self):
        built = typescript.build(EXAMPLES / "typescript", self.fleet.directory)
        self.goes_through("node", built / "dist/first_job.js")


if __name__ == "__main__":
    unittest.main()
