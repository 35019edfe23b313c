// A line chart as SVG, drawn here so that a report needs nothing from anywhere. Colours are the page's variables.

/** A point of a line. */
export type Point = readonly [x: number, y: number];

/** A line of a chart. */
export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  /** CSS class that gives its colour. */
  readonly style: string;
  /** Whether each point is marked: for few points. */
  readonly marked?: boolean;
}

const [width, height] = [480, 230];
const frame = { left: 56, right: 12, top: 12, bottom: 34 };
/** Points of a line that a screen can show; of more, each run of neighbours is drawn by its least and greatest. */
const mostPoints = 600;

/** @param label What the vertical axis shows, for people who hear the page. */
export function chart(label: string, lines: readonly Line[]): string {
  const drawn = lines.map((line) => ({ ...line, points: thinned(line.points.filter(isFinitePoint)) }));
  const all = drawn.flatMap(({ points }) => points);
  if (all.length === 0) return "";
  const [x, y] = [range(all.map(([at]) => at)), padded(range(all.map(([, value]) => value)))];
  const toX = scale(x, frame.left, width - frame.right);
  const toY = scale(y, height - frame.bottom, frame.top);
  const grid = ticks(y, 5).map((value) => {
    const at = round(toY(value));
    const line = `<line class="grid" x1="${frame.left}" x2="${width - frame.right}" y1="${at}" y2="${at}"/>`;
    return `${line}<text x="${frame.left - 8}" y="${at + 4}" text-anchor="end">${short(value)}</text>`;
  });
  const steps = ticks(x, 6).map((value) => {
    return `<text x="${round(toX(value))}" y="${height - 12}" text-anchor="middle">${short(value)}</text>`;
  });
  const paths = drawn.map(({ points, style, marked = false }) => {
    const at = points.map(([px, py]) => [round(toX(px)), round(toY(py))] as const);
    const line = `<polyline class="${style}" points="${at.map((pair) => pair.join(",")).join(" ")}"/>`;
    const dots = at.map(([cx, cy]) => `<circle class="${style}" cx="${cx}" cy="${cy}" r="3"/>`);
    return marked || points.length === 1 ? line + dots.join("") : line;
  });
  const content = [...grid, ...steps, ...paths].join("");
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">${content}</svg>`;
}

function isFinitePoint(point: Point): boolean {
  return point.every(Number.isFinite);
}

type Range = readonly [least: number, most: number];

function range(values: readonly number[]): Range {
  return values.reduce<Range>(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}

function padded([least, most]: Range): Range {
  const room = most > least ? (most - least) / 20 : Math.abs(most) / 10 || 1;
  return [least >= 0 ? Math.max(0, least - room) : least - room, most + room];
}

function scale([least, most]: Range, from: number, to: number): (value: number) => number {
  return (value) => from + ((value - least) / (most - least || 1)) * (to - from);
}

/** Round numbers within a range, about so many. */
function ticks([least, most]: Range, count: number): readonly number[] {
  const rough = (most - least) / count;
  if (!(rough > 0)) return [least];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(least / step);
  const last = Math.floor(most / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= mostPoints) return points;
  const size = Math.ceil((2 * points.length) / mostPoints);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const run = [...points.slice(i * size, (i + 1) * size)];
    const sorted = run.sort(([, a], [, b]) => a - b);
    const ends = sorted.length > 1 ? [sorted[0]!, sorted.at(-1)!] : sorted; // two or more
    return [...ends].sort(([a], [b]) => a - b);
  }).flat();
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}

/** 12000 -> "12k", 0.0003 -> "0.0003" */
function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return size !== 0 && size < 1e-4 ? value.toExponential(1) : `${Number(value.toPrecision(3))}`;
}
