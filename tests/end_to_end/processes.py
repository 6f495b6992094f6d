# SPDX-License-Identifier: Apache-2.0
"""Who started whom, and what a runner holds, read from /proc."""
import os


def parents():
    """pid → its parent, of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    found[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                pass
    return found


def children_of(pid):
    return [child for child, parent in parents().items() if parent == pid]


def tree_of(pid):
    """pid and all below it, parents first."""
    all_parents, tree = parents(), [pid]
    for above in tree:
        tree += [child for child, parent in all_parents.items() if parent == above]
    return tree


def cgroups_held_by(pid):
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if "/geres-" in target and "cgroup" in target and os.path.isdir(target):
                found.add(target)
    except OSError:
        pass
    return found
