// SPDX-License-Identifier: Apache-2.0
// What jobs run: packages with their versions.
import { all, enc, type Package, send } from '../api';
import { useData } from '../data';
import { gap } from '../live';
import { ask } from '../parts/ask';
import { Ago, Command, Empty, Head, Part, useTitle } from '../parts/basic';
import { type Column, Table } from '../parts/table';
import { query } from '../route';
import { word } from '../search';
import { can } from '../session';
import { many, size } from '../time';

const columns = (remove: (one: Package) => void): (Column<Package> | false)[] => [
  { name: 'Version', label: 'Version', of: (one) => one.version },
  { name: 'Size', right: true, of: (one) => size(one.size) },
  { name: 'SHA-256', of: (one) => <code title={one.sha256}>{one.sha256.slice(0, 16)}</code> },
  { name: 'Pushed', right: true, kind: 'dim', of: (one) => <Ago of={one.createdAt} /> },
  can('submitter') && {
    name: 'Actions',
    kind: 'buttons',
    of: (one) => (
      <button type="button" class="small" aria-label={`Delete version ${one.version} of ${one.name}`} onClick={() => remove(one)}>
        Delete…
      </button>
    ),
  },
];

export default function Packages() {
  useTitle('Packages');
  const data = useData('packages' + gap.value, (signal) => all<Package>('v1/packages', 5000, signal), 15e3),
    commands = query.value.get('commands') === 'true';
  const groups = new Map<string, Package[]>();
  for (const one of data.value?.items ?? [])
    if (commands || !one.name.startsWith('cmd-'))
      groups.set(one.tenant + '/' + one.name, [...(groups.get(one.tenant + '/' + one.name) ?? []), one]);
  const hidden = (data.value?.items ?? []).filter((one) => one.name.startsWith('cmd-')).length;
  const remove = (one: Package): void =>
    ask({
      title: `Delete version ${one.version} of ${one.name}?`,
      verb: 'Delete',
      danger: true,
      command: `geres package delete ${word(one.tenant)} ${word(one.name)} --version ${one.version}`,
      done: data.again,
      text: <p>Refused while a job that has not ended needs it.</p>,
      act: async () => {
        await send('DELETE', `v1/packages/${enc(one.tenant)}/${enc(one.name)}?version=${one.version}`);
        return undefined;
      },
    });
  return (
    <section>
      <Head title="Packages" note={data.value && `${many(groups.size, 'package')}${data.value.more ? ', the first 5,000 versions' : ''}`} />
      {hidden > 0 && (
        <p>
          {commands ? (
            <a href="packages">Leave out what was packed for single commands</a>
          ) : (
            <>
              <span class="dim">
                {many(hidden, 'package')} made for single commands {hidden === 1 ? 'is' : 'are'} left out.
              </span>{' '}
              <a href="packages?commands=true">Show</a>
            </>
          )}
        </p>
      )}
      <Part data={data}>
        {() =>
          groups.size === 0 ? (
            <Empty>
              No packages. <Command line="geres package push TENANT DIRECTORY" />
            </Empty>
          ) : (
            [...groups.values()].map((versions) => {
              const [newest] = [...versions].sort((a, b) => b.version - a.version);
              return (
                <section class="card" key={newest.tenant + newest.name} aria-labelledby={`p-${newest.tenant}-${newest.name}`}>
                  <h2 id={`p-${newest.tenant}-${newest.name}`}>
                    {newest.name} <span class="dim">of {newest.tenant}</span>
                  </h2>
                  <p class="dim">
                    Types:{' '}
                    {newest.types.length
                      ? newest.types.map((type, i) => (
                          <>
                            {i > 0 && ', '}
                            <a href={'jobs?q=' + enc(`type:${type} tenant:${newest.tenant}`)}>{type}</a>
                          </>
                        ))
                      : 'known to its library'}
                    {newest.open && newest.types.length > 0 ? ', and others' : ''}
                  </p>
                  <Table rows={versions.sort((a, b) => b.version - a.version)} keyOf={(one) => one.version} columns={columns(remove)} />
                </section>
              );
            })
          )
        }
      </Part>
      <Command line="geres package list" />
    </section>
  );
}
