# SPDX-License-Identifier: Apache-2.0
"""What a job leaves: every file that can be kept is kept, whatever it is called, and what cannot be is named."""
import json
import os
import pathlib
import subprocess
import unittest

from fleet import BIN, Fleet, nobody, wait_until
from gate import Gate

# One script for all: leaves what is asked for, beside one good file.
MAKE = r'''
import os, socket, sys
os.chdir(os.environ["GERES_OUTPUT_DIR"])
def write(name, content=b"x"):
    with open(name, "wb") as file: file.write(content)
def deep(levels, part):
    for i in range(levels): os.mkdir(part); os.chdir(part)
    write("deep")
write("good.txt", b"good")
exec(os.environ["GERES_PARAM_make"])
'''


class Artifacts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.fleet.up("--slots", "4")
        cls.fleet.push("leave", {"Leave": ["python3", "{GERES_PACKAGE_DIR}/make.py"]}, {"make.py": MAKE})

    def leave(self, make, fleet=None, **spec):
        """Runs a job that does this in its output directory: the job, and its files by path."""
        fleet = fleet or self.fleet
        id = fleet.submit(type="Leave", package="leave", parameters={"make": make}, maxAttempts=1, **spec)
        job = fleet.ended(id)
        self.assertEqual(job["state"], "finished", job)
        files = {file["path"]: file for file in fleet.api("GET", f"/v1/jobs/{id}/files")["items"]}
        self.assertIn("good.txt", files, "one odd thing costs the others nothing")
        return job, files

    def content(self, job, path, fleet=None):
        from urllib.parse import quote
        return (fleet or self.fleet).api("GET", f"/v1/jobs/{job['id']}/files/{quote(path)}")

    def assert_kept(self, make, path, content=b"x"):
        job, files = self.leave(make)
        self.assertEqual(set(files), {"good.txt", path})
        self.assertEqual(self.content(job, path), content)
        self.assertNotIn("filesLeftOut", job)
        self.assertNotIn("filesLeftOutCount", job)

    def assert_left_out(self, make, path, why):
        job, files = self.leave(make)
        self.assertEqual(set(files), {"good.txt"})
        self.assertEqual(len(job["filesLeftOut"]), 1, job["filesLeftOut"])
        self.assertEqual(job["filesLeftOutCount"], 1)
        self.assertEqual(job["filesLeftOut"][0]["path"], path)
        self.assertIn(why, job["filesLeftOut"][0]["why"])
        return job

    def test_any_name_is_kept(self):
        names = ["new\nline", "tab\there", "\x1b[31mred", "back\\slash", "-rf", " lead trail ", "%2e%2e%2f", "a%b c+d#e&f=g;h", ".hidden",
                 "rtl-\u202etxt.exe", "a\u2028b", "a\u0085b", "...", "a..b", "CON", "it's \"q\" `x` $(y)", "x" * 255, "\u00e9" * 127]
        job, files = self.leave(f"for name in {names!r}: write(name)")
        self.assertEqual(set(files), {"good.txt", *names})
        for name in names:
            self.assertEqual(self.content(job, name), b"x", name)
        self.assertNotIn("filesLeftOut", job)

    def test_any_depth_that_a_path_can_have_is_kept(self):
        self.assert_kept("deep(100, 'd')", "d/" * 100 + "deep")
        self.assert_kept("deep(15, 'p' * 255)", ("p" * 255 + "/") * 15 + "deep")
        job, files = self.leave("deep(16, 'p' * 255)")
        self.assertEqual(set(files), {"good.txt"})
        self.assertEqual(job["filesLeftOutCount"], 1)
        self.assertIn("longer than 4,095 bytes", job["filesLeftOut"][0]["why"])
        self.assertTrue(job["filesLeftOut"][0]["path"].startswith("p" * 255 + "/p"))
        self.assertLess(len(job["filesLeftOut"][0]["path"]), 600)

    def test_a_link_to_a_file_within_is_kept_as_that_file(self):
        self.assert_kept("os.symlink('good.txt', 'link')", "link", b"good")
        self.assert_kept("os.symlink(os.path.realpath('good.txt'), 'absolute')", "absolute", b"good")
        self.assert_kept("os.link('good.txt', 'hard')", "hard", b"good")
        job, files = self.leave("os.mkdir('sub'); os.symlink('../good.txt', 'sub/up'); os.symlink('sub/up', 'twice')")
        self.assertEqual(set(files), {"good.txt", "sub/up", "twice"})
        self.assertEqual(self.content(job, "twice"), b"good")

    def test_what_cannot_be_kept_is_named(self):
        self.assert_left_out("write(b'latin1-\\xe9.txt')", "latin1-\\xE9.txt", "not UTF-8")
        self.assert_left_out("os.mkfifo('fifo')", "fifo", "a pipe (FIFO)")
        self.assert_left_out("socket.socket(socket.AF_UNIX).bind('sock')", "sock", "a socket")
        self.assert_left_out("os.symlink('nowhere', 'broken')", "broken", "a link to what is not there")
        self.assert_left_out("os.symlink('circle', 'circle')", "circle", "in a circle")
        self.assert_left_out("os.symlink('/etc/hostname', 'link')", "link", "a link to outside of GERES_OUTPUT_DIR")
        self.assert_left_out("os.symlink('../work', 'link')", "link", "a link to outside of GERES_OUTPUT_DIR")
        self.assert_left_out("os.symlink('../out/good.txt', 'link')", "link", "a link to outside of GERES_OUTPUT_DIR")
        self.assert_left_out("os.makedirs('in/empty')", "in/empty", "an empty directory")
        job, files = self.leave("os.mkdir('real'); write('real/in'); os.symlink('real', 'linkdir')")
        self.assertEqual(set(files), {"good.txt", "real/in"})
        self.assertEqual(job["filesLeftOut"], [{"path": "linkdir", "why": "a link to a directory"}])

    def test_the_first_hundred_are_named_and_all_are_counted(self):
        job, _ = self.leave("for i in range(1234): os.symlink('nowhere', f'broken-{i}')")
        self.assertEqual(len(job["filesLeftOut"]), 100)
        self.assertEqual(job["filesLeftOutCount"], 1234)

    def test_they_are_told_wherever_one_looks(self):
        job = self.assert_left_out("os.symlink('nowhere', 'bro\\x1bken')", "bro\x1bken", "not there")
        id = job["id"]
        events = self.fleet.api("GET", f"/v1/jobs/{id}/events")["items"]
        self.assertEqual(events[-1]["data"]["filesLeftOut"], job["filesLeftOut"])
        self.assertEqual(events[-1]["data"]["filesLeftOutCount"], 1)
        self.assertNotIn("filesLeftOut", events[0]["data"], "not before it has ended")
        answer = self.fleet.api("GET", f"/v1/jobs/{id}/files")
        self.assertEqual((answer["filesLeftOut"], answer["filesLeftOutCount"]), (job["filesLeftOut"], 1))
        shown = self.fleet.cli("job", "show", id).stdout
        self.assertIn("bro\\x1bken: a link to what is not there", shown)
        listed = self.fleet.cli("job", "files", id)
        self.assertIn("bro\\x1bken: a link to what is not there", listed.stderr)
        self.assertIn("bro\\x1bken: a link to what is not there", self.fleet.cli("watch", id).stdout)
        self.assertEqual(json.loads(self.fleet.cli("job", "files", id, "--output", "json").stdout)["filesLeftOutCount"], 1)
        for text in (shown, listed.stderr):
            self.assertNotIn("\x1b", text)

    def test_what_may_not_be_read_is_named(self):
        with Fleet() as fleet:
            user = nobody()
            if user is None and os.geteuid() == 0:
                self.skipTest("root may read everything")
            fleet.hub()
            fleet.push("leave", {"Leave": ["python3", "{GERES_PACKAGE_DIR}/make.py"]}, {"make.py": MAKE})
            fleet.host("plain", "--slots", "1", user=user)
            job, files = self.leave("write('zero'); os.chmod('zero', 0); os.mkdir('locked'); write('locked/f'); os.chmod('locked', 0)", fleet)
            self.assertEqual(set(files), {"good.txt"})
            told = {file["path"]: file["why"] for file in job["filesLeftOut"]}
            self.assertEqual(set(told), {"zero", "locked"})
            for why in told.values():
                self.assertIn("Permission denied", why)

    # ---- fetched again

    def place(self, name):
        place = self.fleet.directory / name
        place.mkdir()
        return place

    def test_the_longest_name_can_be_fetched(self):
        job, _ = self.leave("write('n' * 255); write('back\\\\slash')")
        place = self.place("longest")
        self.fleet.cli("job", "files", job["id"], "--out", place)
        self.assertEqual(sorted(os.listdir(place)), sorted(["back\\slash", "good.txt", "n" * 255]))
        self.fleet.cli("job", "files", job["id"], "back\\slash", "--out", place / "new" / "directory")
        self.assertEqual(os.listdir(place / "new" / "directory"), ["back\\slash"])

    def test_what_lies_there_is_not_overwritten_unless_told(self):
        job, _ = self.leave("os.mkdir('sub'); write('sub/a', b'theirs'); write('z')")
        id, place = job["id"], self.place("mine")
        (place / "sub").mkdir()
        (place / "sub" / "a").write_text("mine")
        refused = self.fleet.cli("job", "files", id, "--out", place, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("1 file would be overwritten: sub/a", refused.stderr)
        self.assertIn("--force", refused.stderr)
        self.assertEqual(sorted(os.listdir(place)), ["sub"], "nothing was written")
        self.assertEqual((place / "sub" / "a").read_text(), "mine")
        self.fleet.cli("job", "files", id, "--out", place, "--force")
        self.assertEqual((place / "sub" / "a").read_text(), "theirs")
        self.fleet.cli("job", "files", id, "--out", place)  # what is there is what would be written

    def test_nothing_is_written_through_links(self):
        job, _ = self.leave("os.mkdir('sub'); write('sub/a', b'theirs')")
        id, place, outside = job["id"], self.place("through"), self.place("outside")
        (place / "sub").symlink_to(outside)
        for force in ([], ["--force"]):
            refused = self.fleet.cli("job", "files", id, "--out", place, *force, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("is a link", refused.stderr)
        self.assertEqual(os.listdir(outside), [])
        self.assertEqual(os.listdir(place), ["sub"], "not even the good one")
        (outside / "kept").write_text("kept")
        (place / "sub").unlink()
        (place / "good.txt").symlink_to(outside / "kept")
        self.assertIn("would be overwritten: good.txt", self.fleet.cli("job", "files", id, "--out", place, check=False).stderr)
        self.fleet.cli("job", "files", id, "--out", place, "--force")
        self.assertEqual((outside / "kept").read_text(), "kept")
        self.assertEqual((place / "good.txt").read_text(), "good")
        self.assertFalse((place / "good.txt").is_symlink())

    def test_a_full_disk_names_the_file_and_leaves_no_part_of_it(self):
        import resource
        job, _ = self.leave("write('large', b'x' * 1_000_000)")
        place = self.place("full")
        done = subprocess.run([str(BIN / "geres"), "job", "files", job["id"], "--out", str(place)], capture_output=True, text=True,
                              env=self.fleet.environment(), restore_signals=False,  # Python ignores SIGXFSZ: so does it
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("large' cannot be written", done.stderr)
        self.assertEqual(os.listdir(place), ["good.txt"])

    # ---- taken along

    def test_files_that_lie_about_their_size_arrive_whole(self):
        def lines(*words):
            return self.fleet.cli("submit", "--tenant", "demo", "--wait", "--max-attempts", "1", *words).stdout
        version = pathlib.Path("/proc/version").read_text()
        self.assertEqual(os.stat("/proc/version").st_size, 0)
        self.assertEqual(lines("--", "cat", "/proc/version"), version)
        self.assertEqual(lines("--input", "/proc/version", "--", "cat", "version"), version)
        sizes = [path for path in ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/class/net/lo/address") if os.path.exists(path)]
        for path in sizes:
            self.assertEqual(lines("--input", f"it={path}", "--", "cat", "it"), pathlib.Path(path).read_text())

    def test_an_empty_directory_of_a_package_is_there(self):
        package = self.place("package")
        (package / "in" / "empty").mkdir(parents=True)
        (package / "List").write_text('#!/bin/sh\nfind "$GERES_PACKAGE_DIR/in"\n')
        (package / "List").chmod(0o755)
        self.fleet.cli("package", "push", "demo", package, "--name", "directories")
        job = self.fleet.ended(self.fleet.submit(type="List", package="directories", maxAttempts=1))
        self.assertTrue(job["result"].endswith("/in/empty\n"), job)


class Broken(unittest.TestCase):
    def test_an_upload_that_breaks_goes_on_where_it_was(self):
        with Fleet() as fleet:
            fleet.hub()
            gate = Gate(int(fleet.url.rsplit(":", 1)[1]))
            fleet.host("h", url=f"http://127.0.0.1:{gate.port}")
            fleet.push_shell()
            gate.shut_when_sent(gate.sent + 40_000_000)
            job = fleet.shell("head -c 60000000 /dev/urandom > $GERES_OUTPUT_DIR/large.bin; sha256sum < $GERES_OUTPUT_DIR/large.bin")
            wait_until(lambda: not gate.open, "the connection breaks")
            gate.reopen()
            self.assertEqual(fleet.ended(job)["state"], "finished", fleet.job(job))
            file = fleet.api("GET", f"/v1/jobs/{job}/files")["items"][0]
            said = fleet.call("GET", f"/v1/jobs/{job}/log")[2].decode().split()[0]
            self.assertEqual((file["size"], file["sha256"]), (60_000_000, said))
            self.assertLess(gate.sent, 75_000_000, "not from the beginning")
            self.assertEqual(len(fleet.api("GET", f"/v1/jobs/{job}/attempts")["items"]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
