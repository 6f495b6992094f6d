#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sample hook examples/scaling/containers.py with the container runtimes that this machine has."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

HOOK = pathlib.Path(__file__).parents[2] / 'examples/scaling/containers.py'
RUNTIMES = {'nspawn': 'systemd-nspawn', 'lxc': 'lxc-execute'}

# In place of the program: says what it was started with, and whether it may write where it should.
GERES = '''#!/bin/sh
echo "$GERES_TOKEN $GERES_POOL $GERES_INSTANCE"
echo "$@"
touch "$5/written" && exec sleep 1000
'''


def comes_true(fact):
    until = time.monotonic() + 30
    while not fact():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@unittest.skipIf(os.geteuid() != 0, 'containers need root')
class ContainersTest(unittest.TestCase):
    def setUp(self):
        # Not in /tmp, which containers have for themselves.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='geres-containers-', dir='/var/tmp'))
        self.addCleanup(shutil.rmtree, self.directory)
        program = self.directory / 'bin/geres'
        program.parent.mkdir()
        program.write_text(GERES)
        program.chmod(0o755)
        self.environment = os.environ | {'MACHINES': str(self.directory / 'machines'), 'GERES': str(program),
                                         'GERES_POOL': 'cpu'}

    def call(self, runtime, verb, **asked):
        ran = subprocess.run([HOOK, runtime, verb], input=json.dumps(asked), capture_output=True, text=True, timeout=60,
                             env=self.environment, check=True)
        return json.loads(ran.stdout)

    def try_runtime(self, runtime):
        if shutil.which(RUNTIMES[runtime]) is None:
            self.skipTest(f'{RUNTIMES[runtime]} is not here')
        self.assertEqual(self.call(runtime, 'list'), {'machines': []})
        order = {'request': 'r1', 'count': 2, 'hub': 'http://hub:8080', 'joinToken': 'token-of-this-order',
                 'template': {'slots': 3, 'labels': {'zone': 'a'}, 'types': [], 'tenants': ['acme']}}
        names = self.call(runtime, 'order', **order)['instances']
        self.addCleanup(self.call, runtime, 'remove', instances=names, request='cleanup')
        self.assertEqual(len(set(names)), 2)
        self.assertCountEqual(self.call(runtime, 'order', **order)['instances'], names, 'a repeat')
        for name in names:
            data = self.directory / 'machines' / name
            self.assertTrue(comes_true((data / 'written').exists), (data / 'log').read_text())
            self.assertEqual((data / 'log').read_text().splitlines()[-2:],
                             [f'token-of-this-order cpu {name}', f'host --hub http://hub:8080 --data {data} --name {name} --slots 3'
                                                    ' --label zone=a --tenant acme'])
        listed = {machine['instance']: machine for machine in self.call(runtime, 'list')['machines']}
        self.assertEqual({name: (machine['state'], machine['request']) for name, machine in listed.items()},
                         {name: ('running', 'r1') for name in names})
        for arguments in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
            try:
                self.assertNotIn(b'token-of-this-order', arguments.read_bytes())
            except OSError:
                pass  # it has just ended
        removed = self.call(runtime, 'remove', instances=[names[0], 'nobody'], request='r2')['instances']
        self.assertEqual([answer['outcome'] for answer in removed], ['removed', 'notFound'])
        self.assertEqual([machine['instance'] for machine in self.call(runtime, 'list')['machines']], [names[1]])

    def test_nspawn(self):
        self.try_runtime('nspawn')

    def test_lxc(self):
        self.try_runtime('lxc')


if __name__ == '__main__':
    unittest.main()
