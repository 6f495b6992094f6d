// SPDX-License-Identifier: Apache-2.0
// Rows of jobs of which only those in view are in the document. The focus stays on the grid; keys move the row.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Job } from '../api';
import { lettersOn } from '../keys';
import { go } from '../route';
import { shortId } from './basic';
import { type JobColumn, tracks } from './job_columns';

export interface GridProps {
  rows: Job[];
  more: boolean;
  busy: boolean;
  columns: JobColumn[];
  picked: Set<string>;
  selectable: boolean;
  onPick: (ids: string[], on: boolean) => void;
  onView: (first: number, last: number) => void;
}
const narrowQuery = matchMedia('(max-width: 760px)');

export function useNarrow(): boolean {
  const [narrow, set] = useState(narrowQuery.matches);
  useEffect(() => {
    const change = (): void => set(narrowQuery.matches);
    narrowQuery.addEventListener('change', change);
    return () => narrowQuery.removeEventListener('change', change);
  }, []);
  return narrow;
}

export function Grid(props: GridProps) {
  const { rows, picked } = props,
    narrow = useNarrow(),
    height = narrow ? 64 : 36,
    above = narrow ? 0 : 36;
  const box = useRef<HTMLDivElement>(null),
    last = useRef<number>(-1);
  const [top, setTop] = useState(0),
    [tall, setTall] = useState(600),
    [current, setCurrent] = useState(0);
  const from = Math.max(0, Math.floor(top / height) - 6),
    to = Math.min(rows.length, Math.ceil((top + tall) / height) + 6);
  useEffect(() => {
    const el = box.current!,
      see = new ResizeObserver(() => setTall(el.clientHeight - above));
    see.observe(el);
    return () => see.disconnect();
  }, [above]);
  useEffect(() => props.onView(Math.floor(top / height), to), [from, to, rows.length]);
  const moveTo = (row: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, row)),
      el = box.current!;
    setCurrent(next);
    if (next * height < el.scrollTop) el.scrollTop = next * height;
    else if ((next + 1) * height > el.scrollTop + el.clientHeight - above) el.scrollTop = (next + 1) * height - el.clientHeight + above;
  };
  const pick = (row: number, range: boolean): void => {
    const start = range && last.current >= 0 ? last.current : row,
      on = !picked.has(rows[row].id);
    props.onPick(
      rows.slice(Math.min(start, row), Math.max(start, row) + 1).map((job) => job.id),
      on,
    );
    last.current = row;
  };
  const keydown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || !rows.length) return;
    const page = Math.max(1, Math.floor(tall / height) - 1),
      key = event.key;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[key] ?? (lettersOn() ? { j: 1, k: -1 }[key] : undefined);
    if (step) moveTo(current + step);
    else if (key === 'Home') moveTo(0);
    else if (key === 'End') moveTo(rows.length - 1);
    else if (key === 'Enter' && event.target === box.current) go('jobs/' + rows[current].id);
    else if (props.selectable && ((lettersOn() && key.toLowerCase() === 'x') || (key === ' ' && event.target === box.current)))
      pick(current, event.shiftKey);
    else if (key === 'Escape' && picked.size) props.onPick([...picked], false);
    else return;
    event.preventDefault();
  };
  const { columns } = props,
    { template, least } = tracks(columns, props.selectable);
  return (
    <div
      class={'grid' + (props.selectable ? '' : ' plain')}
      style={{ '--tracks': template, '--least': `${least}px` }}
      role="grid"
      aria-label="Jobs"
      aria-rowcount={-1}
      aria-multiselectable={props.selectable}
      aria-busy={props.busy}
      tabIndex={0}
      ref={box}
      aria-activedescendant={rows.length && current >= from && current < to ? 'row-' + rows[current].id : undefined}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={keydown}
    >
      <div role="rowgroup" class="above">
        <div class="row titles" role="row" aria-rowindex={1}>
          {props.selectable && (
            <span role="columnheader" class="c-pick">
              <span class="hidden">Select</span>
            </span>
          )}
          {columns.map((column) => (
            <span key={column.name} role="columnheader" class={classOf(column)}>
              {column.name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="tall" style={{ height: `${(rows.length + (props.more ? 3 : 0)) * height}px` }}>
        {rows.slice(from, to).map((job, i) => (
          <Row
            key={job.id}
            job={job}
            row={from + i}
            at={from + i === current}
            height={height}
            columns={columns}
            picked={picked.has(job.id)}
            selectable={props.selectable}
            onClick={() => setCurrent(from + i)}
            onPick={(range) => {
              setCurrent(from + i);
              pick(from + i, range);
            }}
          />
        ))}
      </div>
    </div>
  );
}

const classOf = (column: JobColumn): string => 'c-' + column.name.toLowerCase() + (column.right ? ' r' : '');

interface RowProps {
  job: Job;
  row: number;
  at: boolean;
  height: number;
  columns: JobColumn[];
  picked: boolean;
  selectable: boolean;
  onClick: () => void;
  onPick: (range: boolean) => void;
}

function Row({ job, row, at: here, height, columns, picked, selectable, onClick, onPick }: RowProps) {
  const title = job.name || shortId(job.id);
  return (
    <div
      id={'row-' + job.id}
      role="row"
      aria-rowindex={row + 2}
      aria-selected={selectable ? picked : undefined}
      class={'row' + (here ? ' at' : '') + (picked ? ' picked' : '')}
      style={{ transform: `translateY(${row * height}px)` }}
      onClick={(event) => {
        onClick();
        if (!(event.target as Element).closest('a,input')) go('jobs/' + job.id);
      }}
    >
      {selectable && (
        <span role="gridcell" class="c-pick">
          <label class="target">
            <input
              type="checkbox"
              tabIndex={-1}
              aria-label={'Select ' + title}
              checked={picked}
              onClick={(event) => {
                event.stopPropagation();
                onPick(event.shiftKey);
              }}
            />
          </label>
        </span>
      )}
      {columns.map((column) => (
        <span key={column.name} role="gridcell" class={classOf(column)}>
          {column.of(job)}
        </span>
      ))}
    </div>
  );
}
