# SPDX-License-Identifier: Apache-2.0
"""Whose the hub's files and its admin token are."""
import http.server
import os
import stat
import threading
import unittest

from fleet import Fleet


class Listener:
    """Somebody else's server: notes what is sent to it."""

    def __enter__(self):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(dict(self.headers))
                self.send_response(404)
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def modes(directory):
    return {str(path.relative_to(directory)): stat.S_IMODE(path.lstat().st_mode) for path in directory.iterdir()}


class Secrets(unittest.TestCase):
    def test_the_admin_token_goes_to_its_own_hub_and_to_no_other(self):
        with Fleet() as fleet, Listener() as other:
            fleet.hub()
            own = {"GERES_TOKEN": "", "GERES_DATA": str(fleet.data)}
            self.assertEqual(fleet.cli("job", "list", env=own).returncode, 0)
            done = fleet.cli("job", "list", "--hub", other.url, check=False, env=own)
            self.assertNotEqual(done.returncode, 0)
            self.assertTrue(other.seen, "the command did call")
            self.assertNotIn("Authorization", other.seen[0])
            host = fleet.cli("host", "--hub", other.url, "--data", fleet.directory / "h", check=False, env=own)
            self.assertIn("none was left here for " + other.url, " ".join(host.stderr.split()))
            self.assertFalse([headers for headers in other.seen if "Authorization" in headers])

    def test_a_data_directory_that_was_open_is_closed_to_others(self):
        with Fleet() as fleet:
            os.umask(0o022)
            fleet.data.mkdir(mode=0o755)
            hub = fleet.hub()
            fleet.push_shell()
            hub.terminate()
            (fleet.data / "geres.db").chmod(0o644)  # as 0.1.0 left it
            (fleet.data / "blobs").chmod(0o755)
            fleet.data.chmod(0o755)
            hub = fleet.hub()
            self.assertEqual(stat.S_IMODE(fleet.data.stat().st_mode), 0o711)
            for name, mode in modes(fleet.data).items():
                self.assertEqual(mode & 0o077, 0, f"{name} is open to others: {mode:o}")
            self.assertIn("was open to other users", hub.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
