// SPDX-License-Identifier: Apache-2.0
// Lines over time, with marks that say something. Loaded with the pages that draw.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { theme } from '../settings';
import { clock } from '../time';

export interface Line {
  name: string;
  colour: string;
  step?: boolean;
  right?: boolean;
  dash?: number[];
}
export interface Mark {
  at: number;
  text: string;
  /** Something was changed then. */
  big: boolean;
}

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({
  title,
  data,
  lines,
  marks,
  onMark,
}: {
  title: string;
  data: uPlot.AlignedData;
  lines: Line[];
  marks: Mark[];
  onMark?: (mark: Mark | undefined) => void;
}) {
  const box = useRef<HTMLDivElement>(null),
    plot = useRef<uPlot>(undefined as unknown as uPlot),
    latest = useRef({ marks, onMark });
  latest.current = { marks, onMark };
  const [scheme, setScheme] = useState(0);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)'),
      change = (): void => setScheme((n) => n + 1);
    dark.addEventListener('change', change);
    return () => dark.removeEventListener('change', change);
  }, []);
  useEffect(() => {
    const el = box.current!,
      axis = { stroke: css('--dim'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '12px ' + css('--font') };
    const stepped = uPlot.paths.stepped!({ align: 1 });
    const made = new uPlot(
      {
        width: el.clientWidth,
        height: 240,
        cursor: { points: { size: 6 }, drag: { x: false, y: false } },
        scales: {
          y: { range: (_plot, _min, max) => [0, Math.max(4, (max || 1) * 1.1)] },
          n: { range: (_plot, _min, max) => [0, Math.max(4, (max || 1) * 1.2)] },
        },
        axes: [
          {
            ...axis,
            space: 70,
            values: (_plot, values) => values.map((s) => clock(s * 1e3).slice(0, values.length > 1 && values[1] - values[0] < 60 ? 8 : 5)),
          },
          {
            ...axis,
            size: 50,
            label: 'jobs',
            labelFont: axis.font,
            incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6],
          },
          {
            ...axis,
            scale: 'n',
            side: 1,
            size: 50,
            label: 'hosts',
            labelFont: axis.font,
            grid: { show: false },
            incrs: [1, 2, 5, 10, 20, 50, 100, 1000],
          },
        ],
        series: [
          { label: 'at', value: (_plot, s) => (s == null ? '–' : clock(s * 1e3)) },
          ...lines.map((line): uPlot.Series => ({
            label: line.name,
            scale: line.right ? 'n' : 'y',
            stroke: css(line.colour),
            width: 2,
            dash: line.dash,
            points: { show: false },
            paths: line.step ? stepped : undefined,
            fill: line.right ? undefined : css(line.colour) + '22',
            value: (_plot, v) => (v == null ? '–' : String(v)),
          })),
        ],
        hooks: {
          draw: [
            (drawn) => {
              const { ctx, bbox } = drawn,
                ratio = devicePixelRatio;
              ctx.save();
              ctx.fillStyle = css('--warn');
              for (const mark of latest.current.marks) {
                const x = drawn.valToPos(mark.at, 'x', true);
                if (x < bbox.left || x > bbox.left + bbox.width) continue;
                if (!mark.big) {
                  ctx.fillRect(x - ratio / 2, bbox.top, ratio, 5 * ratio);
                  continue;
                }
                ctx.globalAlpha = 0.35;
                ctx.fillRect(x - ratio / 2, bbox.top, ratio, bbox.height);
                ctx.globalAlpha = 1;
                ctx.beginPath();
                ctx.moveTo(x, bbox.top + 9 * ratio);
                ctx.lineTo(x - 5 * ratio, bbox.top);
                ctx.lineTo(x + 5 * ratio, bbox.top);
                ctx.fill();
              }
              ctx.restore();
            },
          ],
          setCursor: [
            (moved) => {
              const left = moved.cursor.left ?? -1;
              if (left < 0) return latest.current.onMark?.(undefined);
              const near = latest.current.marks
                .map((mark) => ({ mark, far: Math.abs(moved.valToPos(mark.at, 'x') - left) }))
                .sort((a, b) => a.far - b.far)[0];
              latest.current.onMark?.(near && near.far < 12 ? near.mark : undefined);
            },
          ],
        },
      },
      data,
      el,
    );
    plot.current = made;
    const see = new ResizeObserver(() => made.setSize({ width: el.clientWidth, height: 240 }));
    see.observe(el);
    return () => {
      see.disconnect();
      made.destroy();
    };
  }, [theme.value, scheme]);
  useEffect(() => plot.current.setData(data), [data, marks]);
  return (
    <div class="chart">
      <div ref={box} role="img" aria-label={title} />
    </div>
  );
}
