// Errors by layer as an SVG picture, on a logarithmic scale with the line at 1, where agreement ends. Text and axes
// take the colour of the page around them, so that the picture reads in light and dark; series differ in colour and in
// shape.

import type { Share } from "../parity/result.ts";
import { shareText } from "../parity/verdict.ts";
import { escaped } from "./markup.ts";

export interface Series {
  readonly name: string;
  /** One per label. */
  readonly shares: readonly Share[];
}

const size = { width: 760, height: 340, left: 64, right: 20, top: 44, bottom: 48 } as const;
const colors = ["#3f7fe8", "#d9730d", "#2a9d63", "#a45ee0"] as const;
/** What is smaller, zero included, is drawn on the lowest line. */
const least = 1e-6;

/** A plot of shares, one column per label. */
export function sharePlot(labels: readonly string[], series: readonly Series[]): string {
  const { width, height, left, right, top, bottom } = size;
  const drawn = series.flatMap(({ shares }) => shares).filter((share) => share !== null && share > 0);
  const low = clamp(Math.floor(Math.log10(Math.min(1, ...drawn.map(Number)))), Math.log10(least), -2);
  const high = clamp(Math.ceil(Math.log10(Math.max(1, ...drawn.map(Number)))) + (series.some(hasNone) ? 1 : 0), 1, 12);
  const x = (i: number): number => left + ((i + 0.5) / labels.length) * (width - left - right);
  const y = (exponent: number): number => top + ((high - exponent) / (high - low)) * (height - top - bottom);
  const yOf = (share: Share): number => y(share === null ? high : clamp(Math.log10(share), low, high));

  const parts: string[] = [];
  const every = Math.ceil((high - low) / 10);
  for (let exponent = low; exponent <= high; exponent += every) {
    const at = round(y(exponent));
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="currentColor" stroke-opacity="0.15"/>`,
      text(left - 8, at + 4, exponent === 0 ? "1" : exponent === 1 ? "10" : power(exponent), "end"),
    );
  }
  const limit = round(y(0));
  parts.push(
    `<rect x="${left}" y="${top}" width="${width - left - right}" height="${round(limit - top)}" fill="#e5484d" fill-opacity="0.09"/>`,
    `<line x1="${left}" x2="${width - right}" y1="${limit}" y2="${limit}" stroke="#e5484d" stroke-width="1.5" stroke-dasharray="6 4"/>`,
    text(width - right - 6, limit - 6, "above 1: differs", "end", "#e5484d"),
  );
  const step = Math.ceil(labels.length / 18);
  for (const [i, label] of labels.entries()) {
    const last = i === labels.length - 1;
    const crowded = !last && labels.length - 1 - i < step;
    if (last || (i % step === 0 && !crowded)) parts.push(text(x(i), height - bottom + 18, label, "middle"));
  }
  const middle = round((top + height - bottom) / 2);
  parts.push(
    text((left + width - right) / 2, height - 10, "layer", "middle"),
    `<g transform="rotate(-90 14 ${middle})">${text(14, middle, "error / tolerance", "middle")}</g>`,
  );

  let legend = left;
  for (const [i, { name, shares }] of series.entries()) {
    const color = colors[i % colors.length]!;
    const points = shares.map((share, n) => `${round(x(n))},${round(yOf(share))}`);
    parts.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${color}" stroke-width="2"/>`);
    for (const [n, share] of shares.entries()) {
      const title = `${name}, ${labels[n]}: ${shareText(share)}`;
      parts.push(`<g>${marker(i, x(n), yOf(share), color)}<title>${escaped(title)}</title></g>`);
    }
    parts.push(marker(i, legend + 6, 20, color), text(legend + 18, 24, name, "start"));
    legend += 40 + 8 * name.length;
  }
  const label = `Error as a share of what is allowed, by layer, for ${series.map(({ name }) => name).join(", ")}`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}" ` +
    `font-family="system-ui, sans-serif" font-size="12">\n${parts.join("\n")}\n</svg>`
  );
}

function hasNone({ shares }: Series): boolean {
  return shares.includes(null);
}

function text(
  x: number,
  y: number,
  content: string,
  anchor: "start" | "middle" | "end",
  fill = "currentColor",
): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${fill}">${escaped(content)}</text>`;
}

/** A circle, square, triangle or diamond around a point. */
function marker(kind: number, x: number, y: number, color: string): string {
  const at = (dx: number, dy: number): string => `${round(x + dx)},${round(y + dy)}`;
  const shapes = [
    `<circle cx="${round(x)}" cy="${round(y)}" r="4" fill="${color}"/>`,
    `<polygon points="${[at(-4, -4), at(4, -4), at(4, 4), at(-4, 4)].join(" ")}" fill="${color}"/>`,
    `<polygon points="${[at(0, -5), at(5, 4), at(-5, 4)].join(" ")}" fill="${color}"/>`,
    `<polygon points="${[at(0, -6), at(6, 0), at(0, 6), at(-6, 0)].join(" ")}" fill="${color}"/>`,
  ];
  return shapes[kind % shapes.length]!;
}

/** 10 with a raised exponent. */
function power(exponent: number): string {
  const raised: Readonly<Record<string, string>> = { "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴" };
  const more: Readonly<Record<string, string>> = { "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹" };
  return `10${[...String(exponent)].map((digit) => raised[digit] ?? more[digit]).join("")}`;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
