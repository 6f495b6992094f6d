// SPDX-License-Identifier: Apache-2.0
// The files that a job left. Images and text can be looked at; nothing of a job is ever shown as a page.
import { useState } from 'preact/hooks';
import { call, enc, type File, type FilesOfJob, get, type Job, type Problem } from '../api';
import { problemFrom, useData } from '../data';
import { many, num, size } from '../time';
import { Command, Empty, Part, Skeleton, Trouble } from './basic';

const IMAGE = /\.(png|jpe?g|gif|webp)$/i,
  TEXT = /\.(txt|log|csv|tsv|json|md|ya?ml|xml|html?|svg|ini|conf|sh|py|js|ts|c|h|cpp|sql)$/i;
const MOST = 64 * 1024;

export function Files({ job }: { job: Job }) {
  const data = useData(`files${job.id}/${job.version}`, (signal) => get<FilesOfJob>(`v1/jobs/${enc(job.id)}/files`, signal));
  const left = data.value?.filesLeftOut ?? [];
  if (data.value && !data.value.items.length && !left.length) return null;
  return (
    <section class="card" aria-labelledby="files">
      <h2 id="files">Files</h2>
      <Part data={data} rows={2}>
        {(page) => (
          <>
            {page.items.length ? (
              <ul class="files">
                {page.items.map((file) => (
                  <One key={file.path} job={job} file={file} />
                ))}
              </ul>
            ) : (
              <Empty>It left no files that were kept.</Empty>
            )}
            {page.next && <p class="dim">There are more than these; the command has them all.</p>}
            {left.length > 0 && (
              <>
                <h3>{many(data.value?.filesLeftOutCount ?? left.length, 'file')} left out</h3>
                <ul class="plain">
                  {left.map((one) => (
                    <li key={one.path}>
                      <code>{one.path}</code> <span class="dim">{one.why}</span>
                    </li>
                  ))}
                </ul>
              </>
            )}
            <Command line={`geres job files ${job.id} --out .`} />
          </>
        )}
      </Part>
    </section>
  );
}

function One({ job, file }: { job: Job; file: File }) {
  const [open, setOpen] = useState(false),
    kind = IMAGE.test(file.path) ? 'image' : TEXT.test(file.path) ? 'text' : '';
  const url = `v1/jobs/${enc(job.id)}/files/${file.path.split('/').map(enc).join('/')}`;
  return (
    <li>
      <div class="file">
        <code>{file.path}</code>
        <span class="dim" title={`${num(file.size)} bytes, SHA-256 ${file.sha256}`}>
          {size(file.size)}
        </span>
        {kind && (
          <button type="button" class="small" aria-expanded={open} aria-label={`Preview ${file.path}`} onClick={() => setOpen(!open)}>
            Preview
          </button>
        )}
        <a class="button small" download={file.path.split('/').at(-1)} aria-label={`Download ${file.path}`} href={url}>
          Download
        </a>
      </div>
      {open && (kind === 'image' ? <img class="preview" src={url} alt={file.path} loading="lazy" /> : <Text url={url} file={file} />)}
    </li>
  );
}

function Text({ url, file }: { url: string; file: File }) {
  const [state, setState] = useState<{ text?: string; problem?: Problem }>();
  if (!state) {
    setState({});
    call(url, { headers: file.size > MOST ? { range: `bytes=0-${MOST - 1}` } : {} }).then(
      async (answer) => setState({ text: new TextDecoder().decode((await answer.arrayBuffer()).slice(0, MOST)) }),
      (error) => setState({ problem: problemFrom(error) }),
    );
  }
  if (state?.problem) return <Trouble problem={state.problem} />;
  if (state?.text === undefined) return <Skeleton rows={3} />;
  return (
    <>
      <pre class="text" tabIndex={0} aria-label={file.path}>
        {state.text}
      </pre>
      {file.size > MOST && <p class="dim">The first {size(MOST)}.</p>}
    </>
  );
}
