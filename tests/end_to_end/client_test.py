# SPDX-License-Identifier: Apache-2.0
"""The example of the client SDK, run as its user would: files in, lists of words out, progress told, trouble named.

The program is $GERES_COUNT_WORDS, so that one built in another project is tried the same way."""
import os
import subprocess
import unittest

from fleet import EXAMPLES, Fleet

PROGRAM = os.environ["GERES_COUNT_WORDS"]


class ClientExampleTest(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.__exit__, None, None, None)
        self.fleet.up()

    def run_example(self, *words, **environment):
        return subprocess.run(
            [PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "GERES_HUB": self.fleet.url, "GERES_TOKEN": self.fleet.environment()["GERES_TOKEN"],
                 **environment})

    def write(self, name, text):
        path = self.fleet.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def test_counts_words_and_tells_how_it_goes(self):
        sea = self.write("sea.txt", "the sea the sea the open sea")
        hill = self.write("hill.txt", "a hill")
        done = self.run_example("demo", EXAMPLES / "word_count.zip", sea, hill)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("sea.txt: started on", done.stdout)
        self.assertIn("sea.txt: finished", done.stdout)
        self.assertIn('"words": 7', done.stdout)
        self.assertEqual((self.fleet.directory / "sea.txt.words.csv").read_text().split(),
                         ["word,count", "sea,3", "the,3", "open,1"])
        self.assertTrue((self.fleet.directory / "hill.txt.words.csv").exists())

    def test_packs_a_directory(self):
        done = self.run_example("demo", EXAMPLES / "word_count", self.write("sea.txt", "the sea"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        pushed, = self.fleet.api("GET", "/v1/packages?name=word_count")["items"]
        self.fleet.cli("package", "push", "demo", EXAMPLES / "word_count", "--name", "by_command")
        other, = self.fleet.api("GET", "/v1/packages?name=by_command")["items"]
        self.assertEqual(pushed["sha256"], other["sha256"], "as the command packs it")

    def test_says_what_is_wrong(self):
        sea = self.write("sea.txt", "the sea")
        refused = self.run_example("demo", sea, sea)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("try:", refused.stderr)
        stranger = self.run_example("demo", EXAMPLES / "word_count.zip", sea, GERES_TOKEN="wrong")
        self.assertEqual(stranger.returncode, 1, stranger.stderr)
        self.assertIn("[unauthenticated]", stranger.stderr)
        nowhere = self.run_example("demo", EXAMPLES / "word_count.zip", sea, GERES_HUB="there")
        self.assertNotEqual(nowhere.returncode, 0)


if __name__ == "__main__":
    unittest.main()
