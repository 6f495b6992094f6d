# SPDX-License-Identifier: Apache-2.0
"""What `./dev` rests on: a test's programs are known before it runs, and what `./dev build` makes can be installed."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import needed_targets

BUILD = pathlib.Path(os.environ["BUILD"])


def words_of_commands(target):
    listed = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", target], capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


class Needed(unittest.TestCase):
    def of(self, *names):
        return needed_targets.needed(BUILD, needed_targets.chosen(BUILD, names))

    def test_a_tests_own_program(self):
        self.assertEqual(self.of("^base_test$"), ["tests/base_test"])
        self.assertEqual(self.of("^runner_client_test_1$"), ["tests/runner_client_test"])
        self.assertEqual(self.of("^quotes_test$"), [])

    def test_what_ships_and_what_a_variable_names(self):
        self.assertEqual(self.of("^end_to_end_jobs$"), ["example_packages", "installable"])
        self.assertIn("tests/libplatter.so", self.of("^end_to_end_power$"))
        self.assertIn("installable", self.of("^install_test$"))

    def test_the_programs_of_fixtures(self):
        self.assertIn("tests/hub_test", self.of("^contract_test$"))

    def test_no_program_of_a_test_is_missing(self):
        known, entries = needed_targets.known_targets(BUILD), needed_targets.entries(BUILD)
        self.assertGreater(len(entries), 40)
        for name, line in entries.items():
            program = re.match(r' "([^"]*)"', line).group(1)
            if program.startswith(str(BUILD)):
                self.assertIn(str(pathlib.Path(program).relative_to(BUILD)), known, name)
                self.assertIn(str(pathlib.Path(program).relative_to(BUILD)), needed_targets.needed(BUILD, [name]))


class Installing(unittest.TestCase):
    def test_all_that_is_installed_is_made_by_one_target(self):
        made = words_of_commands("installable")
        installed = set()
        for script in BUILD.rglob("cmake_install.cmake"):
            for names in re.findall(r"file\(INSTALL .*?\bFILES\b(.*?)\)\n", script.read_text(), re.S):
                installed |= {pathlib.Path(n) for n in re.findall(r'"([^"]*)"', names)}
        ninja = needed_targets.known_targets(BUILD)
        built = {str(f.relative_to(BUILD)) for f in installed if f.is_relative_to(BUILD)} & ninja
        self.assertGreaterEqual(len(built), 5, built)
        self.assertEqual(built - made, set())


if __name__ == "__main__":
    unittest.main()
