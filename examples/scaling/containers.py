#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pool's machines as containers of this machine: a hook for the provider `command`.

    "provider": {"name": "command", "command": ["/etc/geres/containers.py", "nspawn"]}     systemd-nspawn
    "provider": {"name": "command", "command": ["/etc/geres/containers.py", "lxc"]}        LXC (lxc-execute)

The scaler must run as root. Each container has this machine's files read-only, or those below ROOTFS, and a directory of
its own below MACHINES. Settings, by the provider's "env":

    MACHINES  where the containers' directories are (default /var/lib/geres/containers)
    ROOTFS    the root directory that containers see (default /)
    GERES     the program, as containers see it (default /usr/bin/geres)
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid

MACHINES = os.environ.get('MACHINES', '/var/lib/geres/containers')
ROOTFS = os.environ.get('ROOTFS', '/')
GERES = os.environ.get('GERES', '/usr/bin/geres')
POOL = os.environ['GERES_POOL']
PASSED = ('GERES_TOKEN', 'GERES_POOL', 'GERES_INSTANCE')  # by name: a value would be for all to read


def start_time(pid):
    """With the pid it names a process. None: there is none, or it has ended."""
    try:
        with open(f'/proc/{pid}/stat') as stat:
            fields = stat.read().rpartition(')')[2].split()
        return None if fields[0] in 'ZX' else int(fields[19])
    except OSError:
        return None


def nspawn(name, data, host):
    return ['systemd-nspawn', '--quiet', '--register=no', '--keep-unit', '--as-pid2', f'--machine={name}',
            # Of this machine's own root it takes /usr alone, and the rest new and empty.
            f'--directory={ROOTFS}', '--volatile=yes' if ROOTFS == '/' else '--read-only',
            f'--bind-ro={os.path.dirname(GERES)}', f'--bind={data}', '--tmpfs=/tmp',
            *(f'--setenv={variable}' for variable in PASSED), *host]


def lxc(name, data, host):
    config = os.path.join(data, 'lxc.conf')
    with open(config, 'w') as file:
        file.write(f'lxc.rootfs.path = dir:{ROOTFS}\nlxc.rootfs.options = ro\nlxc.net.0.type = none\n'
                   f'lxc.mount.entry = {data} {data.lstrip("/")} none bind,rw 0 0\n'
                   'lxc.mount.entry = tmpfs tmp tmpfs rw 0 0\nlxc.mount.auto = proc:mixed sys:ro cgroup:mixed\n'
                   + ''.join(f'lxc.environment = {variable}\n' for variable in PASSED))
    return ['lxc-execute', '--name', name, '--rcfile', config, '--lxcpath', data, '--', *host]


RUNTIMES = {'nspawn': nspawn, 'lxc': lxc}


def machines():
    found = {}
    for name in os.listdir(MACHINES) if os.path.isdir(MACHINES) else []:
        try:
            with open(os.path.join(MACHINES, name, 'machine.json')) as file:
                machine = json.load(file)
        except (OSError, ValueError):
            continue
        if machine['pool'] == POOL:
            found[name] = machine
    return found


def write(name, machine):
    place = os.path.join(MACHINES, name, 'machine.json')
    with open(place + '.new', 'w') as file:
        json.dump(machine, file)
    os.replace(place + '.new', place)


def lives(machine):
    return machine['pid'] is not None and start_time(machine['pid']) == machine['started']


def list_all():
    return {'machines': [{'instance': name, 'request': machine['request'], 'createdAt': machine['createdAt'],
                          **({'state': 'running'} if lives(machine) else {'state': 'failed', 'reason': 'it has ended'})}
                         for name, machine in machines().items()]}


def order(runtime, asked):
    names = [name for name, machine in machines().items() if machine['request'] == asked['request']]  # it is a repeat
    while len(names) < asked['count']:
        name = f'{POOL}-{uuid.uuid4().hex[:8]}'
        data = os.path.join(MACHINES, name)
        os.makedirs(data, mode=0o700)
        machine = {'pool': POOL, 'request': asked['request'], 'pid': None, 'started': None,
                   'createdAt': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}
        write(name, machine)  # before there is a container, so that none is ever forgotten
        template = asked['template']
        host = [GERES, 'host', '--hub', asked['hub'], '--data', data, '--name', name, '--slots', str(template['slots'])]
        if 'memory' in template:
            host += ['--memory', str(template['memory'])]
        for label in template['labels'].items():
            host += ['--label', '='.join(label)]
        for tenant in template['tenants']:
            host += ['--tenant', tenant]
        with open(os.path.join(data, 'log'), 'a') as log:
            process = subprocess.Popen(RUNTIMES[runtime](name, data, host), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True,
                                       env=os.environ | {'GERES_TOKEN': asked['joinToken'], 'GERES_INSTANCE': name})
        machine['pid'], machine['started'] = process.pid, start_time(process.pid)
        write(name, machine)
        names.append(name)
    return {'instances': names}


def remove(asked):
    known = machines()
    answers = []
    for name in asked['instances']:
        machine = known.get(name)
        if machine is None:
            answers.append({'instance': name, 'outcome': 'notFound'})
            continue
        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            if lives(machine):
                os.killpg(machine['pid'], number)
            until = time.monotonic() + patience
            while lives(machine) and time.monotonic() < until:
                time.sleep(0.05)
        if lives(machine):
            answers.append({'instance': name, 'outcome': 'failed', 'text': 'it does not end'})
            continue
        shutil.rmtree(os.path.join(MACHINES, name))
        answers.append({'instance': name, 'outcome': 'removed'})
    return {'instances': answers}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in RUNTIMES:
        sys.exit('usage: containers.py nspawn|lxc list|order|remove')
    runtime, verb = sys.argv[1:]
    asked = json.load(sys.stdin)
    if verb == 'list':
        answer = list_all()
    elif verb == 'order':
        answer = order(runtime, asked)
    elif verb == 'remove':
        answer = remove(asked)
    else:
        sys.exit(f'{verb}: containers cannot do that')
    json.dump(answer, sys.stdout)


main()
