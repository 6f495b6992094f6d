# SPDX-License-Identifier: Apache-2.0
"""Packages through the real programs: what a hub refuses to keep, and which version a job runs."""
import io
import stat
import struct
import unittest
import zipfile
import zlib

from fleet import Fleet, wait_until

MANIFEST = '{"jobs": {"Hello": {"command": ["/bin/echo", "hello"]}}}'


def zip_with(*entries):
    """A ZIP of the manifest and these entries: (name, content, Unix mode)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("geres.json", MANIFEST)
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return file.getvalue()


def zip_that_announces(name, size):
    """One entry whose headers say that it unpacks to `size` bytes, by the fields for large files."""
    content = b"x" * 1000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    extra = struct.pack("<HHQQ", 1, 16, size, len(packed))
    shared = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 0x21, zlib.crc32(content), 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra))
    local = b"PK\3\4" + shared + name + extra + packed
    central = b"PK\1\2" + struct.pack("<H", 0x032D) + shared + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, 0) + name + extra
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.fleet.up("--slots", "2")

    def stored(self):
        return sorted(str(p) for p in (self.fleet.data / "blobs").rglob("*") if p.is_file() and p.name != "lock")

    def test_a_zip_that_is_none_or_lies_is_refused_and_nothing_is_kept(self):
        good = zip_with(("dir/tool", "x", 0o100755))
        cases = {
            "not a ZIP": (b"this is not a ZIP, but text\n" * 100, None),
            "empty body": (b"", None),
            "cut off": (good[: len(good) // 2], None),
            "out of the directory": (zip_with(("../x", "x", 0o100644)), "../x"),
            "absolute": (zip_with(("/etc/x", "x", 0o100644)), "/etc/x"),
            "backslash": (zip_with(("..\\x", "x", 0o100644)), "x"),
            "symbolic link": (zip_with(("link", "/etc/passwd", stat.S_IFLNK | 0o777)), "link"),
            "device": (zip_with(("tty", "", stat.S_IFCHR | 0o666)), "tty"),
            "announces 100 GB": (zip_that_announces(b"huge", 100 << 30), "huge"),
            "unpacks to 300 MB": (zip_with(("bomb", b"\0" * (300 << 20), 0o100644)), "bomb"),
            "two of a name": (zip_with(("one", "x", 0o100644), ("one", "y", 0o100644)), "one"),
            "one name but for case": (zip_with(("one", "x", 0o100644), ("ONE", "y", 0o100644)), "ONE"),
        }
        before = self.stored()
        for what, (bytes, entry) in cases.items():
            with self.subTest(what):
                status, headers, problem = self.fleet.call("PUT", "/v1/packages/demo/hostile", bytes,
                                                           headers={"Content-Type": "application/zip"})
                self.assertIn(status, (413, 422), problem)
                self.assertIn(problem["code"], ("badPackage", "tooLarge"), problem)
                self.assertEqual(headers["Content-Type"], "application/problem+json")
                self.assertTrue(problem["hint"], problem)
                if entry:
                    self.assertIn(entry, problem["detail"])
        self.assertEqual(self.fleet.call("GET", "/v1/packages/demo/hostile")[0], 404)
        self.assertEqual(self.stored(), before, "not a byte is left")

    def test_a_redrive_runs_the_version_that_the_job_was_submitted_with(self):
        fleet = self.fleet
        fleet.push("versions", {"Say": ["./say.sh"]}, {"say.sh": "#!/bin/sh\necho first; exit 60\n"})
        old = fleet.ended(fleet.submit(type="Say", package="versions"))
        self.assertEqual((old["state"], old["reason"]), ("failed", "aborted"))
        fleet.push("versions", {"Say": ["./say.sh"]}, {"say.sh": "#!/bin/sh\necho second\n"})
        again = fleet.ended(fleet.cli("job", "redrive", old["id"]).stdout.strip())
        self.assertEqual(again["packageSha256"], old["packageSha256"])
        self.assertEqual(fleet.api("GET", f"/v1/jobs/{again['id']}/log"), b"first\n")
        new = fleet.ended(fleet.submit(type="Say", package="versions"))
        self.assertEqual((new["state"], new["result"]), ("finished", "second\n"))
        self.assertNotEqual(new["packageSha256"], old["packageSha256"])
        pinned = fleet.ended(fleet.submit(type="Say", package=f"versions@{old['packageSha256']}"))
        self.assertEqual(pinned["reason"], "aborted")
        versions = fleet.api("GET", "/v1/packages?tenant=demo&name=versions")["items"]
        self.assertEqual([v["version"] for v in versions], [2, 1])

    def test_a_version_that_an_unfinished_job_needs_stays(self):
        fleet = self.fleet
        fleet.push("needed", {"Wait": ["/bin/sleep", "600"]})
        id = fleet.submit(type="Wait", package="needed")
        fleet.in_state(id, "running")
        refused = fleet.cli("package", "delete", "demo", "needed", check=False)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("needed", refused.stderr)
        fleet.cli("job", "cancel", id, "--grace", "0s")
        wait_until(lambda: fleet.job(id)["state"] == "cancelled", "it is cancelled")
        fleet.cli("package", "delete", "demo", "needed")
        self.assertEqual(fleet.api("GET", "/v1/packages?tenant=demo&name=needed")["items"], [])


if __name__ == "__main__":
    unittest.main()
