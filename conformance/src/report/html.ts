// A comparison as one HTML file that needs nothing beside it: the verdict, a plot of errors by layer, and all tables.
// It follows the reader's light or dark setting.

import type { Compared, ModelComparison, Share } from "../parity/result.ts";
import { escaped } from "./markup.ts";
import { type Series, sharePlot } from "./plot.ts";
import { comparisonTables, type Table } from "./tables.ts";

/** What stands beside the findings: what ran, when and where. */
export type Facts = Readonly<Record<string, string | number | boolean>>;

const style = `
:root { color-scheme: light dark; --line: #8884; --good: #1a7f46; --bad: #c62a2f; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; --bad: #ff6369; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; margin-bottom: 0.3rem; }
svg { width: 100%; height: auto; }
div.wide { overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.8rem 0.15rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: 600; }
.agrees { color: var(--good); font-weight: 600; }
.differs, .not-run { color: var(--bad); font-weight: 600; }
`;

/** The report as an HTML document. @param name The model's, for the heading; default: the last part of its location. */
export function htmlReport(comparison: ModelComparison, facts: Facts, name: string = nameOf(comparison.model)): string {
  const { backends, model, tokens } = comparison;
  const compared = backends.filter((backend) => backend.status !== "not run");
  const title = `polyllama parity: ${name}`;
  const verdicts = backends.map(
    ({ status, verdict }) => `<p class="${status.replace(" ", "-")}">${escaped(verdict)}</p>`,
  );
  const sections = compared.map((backend) => {
    const { name, device } = backend;
    const about = { device: device.device, ...device.details };
    const tables = comparisonTables(backend, tokens.length).map(tableHtml);
    return `<h2>${escaped(name)}</h2>\n${factsHtml(about)}\n${tables.join("\n")}`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${verdicts.join("\n")}
${factsHtml({ model, ...facts })}
${compared.length > 0 ? `<h2>Error / tolerance by layer</h2>\n${layerPlot(compared)}` : ""}
<p>Each layer is given what the float64 reference computed up to there; the last point is the logits of the whole model.
Errors are shares of what is allowed, so that 1 is the limit.</p>
${sections.join("\n")}
</body>
</html>
`;
}

/** A path's last part; of the hub's cache the repository; other locations as they are. */
function nameOf(location: string): string {
  const [, owner, repository] = /(?:^|[\\/])models--([^\\/]+?)--([^\\/]+)/.exec(location) ?? [];
  if (owner !== undefined) return `${owner}/${repository}`;
  return /^\w{2,}:/.test(location) ? location : (/([^\\/]+)[\\/]*$/.exec(location)?.[1] ?? location);
}

/** Error / tolerance by layer of the backends that were compared, as SVG. */
export function layerPlot(compared: readonly Compared[]): string {
  const series = compared.map(({ name, layers, endToEnd }): Series => {
    const shares: Share[] = [...layers.map(({ worst }) => worst), endToEnd.worst];
    return { name, shares };
  });
  const layers = compared[0]?.layers.map(({ layer }) => `${layer}`) ?? [];
  return sharePlot([...layers, "logits"], series);
}

function factsHtml(facts: Facts): string {
  const rows = Object.entries(facts).map(
    ([key, value]) => `<tr><th>${escaped(key)}</th><td>${escaped(`${value}`)}</td></tr>`,
  );
  return `<table>${rows.join("")}</table>`;
}

function tableHtml({ title, header, rows }: Table): string {
  const head = header.some((cell) => cell !== "")
    ? `<tr>${header.map((cell) => `<th>${escaped(cell)}</th>`).join("")}</tr>\n`
    : "";
  const body = rows.map(
    (row) =>
      `<tr>${row.map((cell) => `<td${cell.differs ? ' class="differs"' : ""}>${escaped(cell.text)}</td>`).join("")}</tr>`,
  );
  return `<h3>${escaped(title)}</h3>\n<div class="wide"><table>\n${head}${body.join("\n")}\n</table></div>`;
}
