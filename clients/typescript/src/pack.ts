// SPDX-License-Identifier: Apache-2.0
// A directory as a package: a ZIP whose bytes depend on nothing but names, executable bits and contents, so that the hub
// keeps the same tree once. For Node: its file system is loaded when it is needed, so that browsers can have the rest.
import type { AsyncZippable } from "fflate";

const executable = 0o111;
const unix = 3; // of a ZIP's "made by"
const noTime = new Date(1980, 0, 1); // the first a ZIP can name, in the local time that it is written in

/** All that lies in the directory, packed. Links and special files are refused: a package has plain files only. */
export async function packDirectory(directory: string): Promise<Uint8Array> {
  const { zip } = await import("fflate");
  const files: AsyncZippable = {};
  const found = await filesBelow(directory);
  for (const { name, bytes, mode } of found) {
    const kind = name.endsWith("/") ? 0o040755 : 0o100000 | (mode & executable ? 0o755 : 0o644);
    files[name] = [bytes, { os: unix, attrs: (kind << 16) >>> 0, mtime: noTime }];
  }
  if (found.every(({ name }) => name.endsWith("/"))) throw new Error(`the directory '${directory}' is empty`);
  return new Promise((resolve, reject) => zip(files, (error, bytes) => (error ? reject(error) : resolve(bytes))));
}

/** Its files, and its empty directories, with a "/" behind. */
async function filesBelow(directory: string): Promise<{ name: string; bytes: Uint8Array; mode: number }[]> {
  const { readdir, readFile, stat } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const found: { name: string; bytes: Uint8Array; mode: number }[] = [];
  async function walk(prefix: string): Promise<void> {
    const entries = await readdir(join(directory, prefix), { withFileTypes: true });
    if (entries.length === 0 && prefix !== "") found.push({ name: prefix, bytes: new Uint8Array(0), mode: 0 });
    for (const entry of entries) {
      const name = prefix + entry.name;
      if (entry.isDirectory()) {
        await walk(`${name}/`);
      } else if (entry.isFile()) {
        const path = join(directory, name);
        found.push({ name, bytes: await readFile(path), mode: (await stat(path)).mode });
      } else {
        const what = entry.isSymbolicLink() ? "a symbolic link" : "a special file";
        throw new Error(`'${join(directory, name)}' is ${what}; a package has plain files only`);
      }
    }
  }
  await walk("");
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
