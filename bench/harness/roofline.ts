/**
 * Results as a roofline (Williams, Waterman and Patterson, 2009): FLOP/s over FLOPs a byte, both axes logarithmic, below the
 * ceilings of memory and arithmetic. An SVG that stands alone.
 */
import { type BenchResults, type Ceiling, entryOf, isMeasured } from './results.js';

const WIDTH = 1180;
const HEIGHT = 680;
const PLOT = { left: 90, top: 50, right: 760, bottom: 610 };
const COLOURS = ['#0b62c4', '#d1495b', '#edae49', '#66a182', '#8d6cab', '#8c6d46', '#2e4057'];

interface Point {
  /** Of the case in the legend, from 1. */
  readonly number: number;
  readonly contender: string;
  readonly colour: string;
  readonly intensity: number;
  readonly rate: number;
}

/** A logarithmic axis: from values to places. */
interface Axis {
  readonly from: number;
  readonly to: number;
  place(value: number): number;
}

function axis(values: readonly number[], start: number, end: number): Axis {
  // A third of a decade of air on both sides, so that no point lies on the frame.
  const from = 10 ** (Math.log10(Math.min(...values)) - 1 / 3);
  const to = 10 ** (Math.log10(Math.max(...values)) + 1 / 3);
  const place = (value: number) => start + ((end - start) * Math.log(value / from)) / Math.log(to / from);
  return { from, to, place };
}

function pointsOf({ contenders, rows }: BenchResults): Point[] {
  return rows.flatMap((row, index) =>
    contenders.flatMap(({ name }, which): Point[] => {
      const entry = entryOf(row, name);
      if (!isMeasured(entry) || row.flops <= 0 || row.bytes <= 0) return [];
      const rate = (1000 * row.flops) / entry.summary.median;
      const colour = COLOURS[which % COLOURS.length]!;
      return [{ number: index + 1, contender: name, colour, intensity: row.flops / row.bytes, rate }];
    }),
  );
}

/** @throws Error where nothing was measured */
export function rooflineSvg(results: BenchResults): string {
  const points = pointsOf(results);
  if (points.length === 0) throw new Error('a roofline needs at least one measured case');
  const flat = results.ceilings.filter(({ kind }) => !kind.startsWith('copy'));
  const slopes = results.ceilings.filter(({ kind }) => kind.startsWith('copy'));
  const roof = Math.max(0, ...flat.map(({ rate }) => rate));
  // So far right that every slope meets the roof within the plot.
  const ridges = slopes.flatMap(({ rate }) => (roof > 0 ? [roof / rate] : []));
  const x = axis([...points.map(({ intensity }) => intensity), ...ridges], PLOT.left, PLOT.right);
  const y = axis([...points.map(({ rate }) => rate), ...flat.map(({ rate }) => rate)], PLOT.bottom, PLOT.top);
  const { adapter, environment, date } = results;
  const title = `${adapter.device || adapter.description || adapter.architecture}, ${environment.runtime.split(') ').at(-1)}, ${date.slice(0, 10)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(PLOT.left, 28, title, 'font-size="15"'),
    ...grid(x, y),
    ...flat.map((ceiling) => horizontal(ceiling, x, y)),
    ...slopes.map((ceiling) => diagonal(ceiling, x, y, roof)),
    ...points.map((point) => marker(point, x, y)),
    ...legend(results),
    '</svg>',
    '',
  ].join('\n');
}

function grid(x: Axis, y: Axis): string[] {
  const lines = [
    `<rect x="${PLOT.left}" y="${PLOT.top}" width="${PLOT.right - PLOT.left}" height="${PLOT.bottom - PLOT.top}" fill="none" stroke="#888"/>`,
    text((PLOT.left + PLOT.right) / 2, HEIGHT - 24, 'FLOP a byte, if every operand moves once', 'text-anchor="middle"'),
    `<text transform="translate(24 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">FLOP/s of the plain algorithm</text>`,
  ];
  for (const power of powersOfTen(x)) {
    const at = fixed(x.place(power));
    lines.push(`<line x1="${at}" y1="${PLOT.top}" x2="${at}" y2="${PLOT.bottom}" stroke="#ddd"/>`);
    lines.push(text(x.place(power), PLOT.bottom + 18, showPower(power), 'text-anchor="middle"'));
  }
  for (const power of powersOfTen(y)) {
    const at = fixed(y.place(power));
    lines.push(`<line x1="${PLOT.left}" y1="${at}" x2="${PLOT.right}" y2="${at}" stroke="#ddd"/>`);
    lines.push(text(PLOT.left - 8, y.place(power) + 4, showPower(power), 'text-anchor="end"'));
  }
  return lines;
}

function powersOfTen({ from, to }: Axis): number[] {
  const first = Math.ceil(Math.log10(from));
  return Array.from({ length: Math.max(0, Math.floor(Math.log10(to)) - first + 1) }, (_, i) => 10 ** (first + i));
}

function horizontal({ kind, rate }: Ceiling, x: Axis, y: Axis): string {
  const at = y.place(rate);
  return [
    `<line x1="${fixed(x.place(x.from))}" y1="${fixed(at)}" x2="${PLOT.right}" y2="${fixed(at)}" stroke="#333" stroke-width="1.5"/>`,
    text(PLOT.right - 6, at - 5, `${kind}: ${showRate(rate)}FLOP/s`, 'text-anchor="end"'),
  ].join('\n');
}

/** From the left or lower edge up to the roof, or out of the plot. */
function diagonal({ kind, rate }: Ceiling, x: Axis, y: Axis, roof: number): string {
  const begin = Math.max(x.from, y.from / rate);
  const end = Math.min(x.to, (roof || y.to) / rate);
  if (begin >= end) return '';
  const [x1, y1, x2, y2] = [x.place(begin), y.place(begin * rate), x.place(end), y.place(end * rate)];
  const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
  return [
    `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="#333" stroke-width="1.5" stroke-dasharray="6 3"/>`,
    `<text transform="translate(${fixed(x1 + 8)} ${fixed(y1 - 6)}) rotate(${fixed(angle)})">${escapeXml(`${kind}: ${showRate(rate)}B/s`)}</text>`,
  ].join('\n');
}

function marker({ number, contender, colour, intensity, rate }: Point, x: Axis, y: Axis): string {
  const [cx, cy] = [x.place(intensity), y.place(rate)];
  return [
    `<circle cx="${fixed(cx)}" cy="${fixed(cy)}" r="4" fill="${colour}"><title>${escapeXml(`${contender}, ${showRate(rate)}FLOP/s`)}</title></circle>`,
    text(cx + 6, cy + 4, `${number}`, `fill="${colour}" font-size="10"`),
  ].join('\n');
}

function legend({ contenders, rows }: BenchResults): string[] {
  const left = PLOT.right + 24;
  const names = contenders.map(({ name }, i) =>
    [
      `<circle cx="${left + 4}" cy="${PLOT.top + 10 + 18 * i - 4}" r="4" fill="${COLOURS[i % COLOURS.length]}"/>`,
      text(left + 16, PLOT.top + 10 + 18 * i, name),
    ].join('\n'),
  );
  const first = PLOT.top + 34 + 18 * contenders.length;
  const step = Math.min(18, (HEIGHT - 20 - first) / Math.max(1, rows.length));
  const size = `font-size="${fixed(Math.min(12, step * 0.8))}"`;
  return [...names, ...rows.map(({ name }, i) => text(left, first + step * i, `${i + 1}  ${name}`, size))];
}

const text = (x: number, y: number, content: string, attributes = '') =>
  `<text x="${fixed(x)}" y="${fixed(y)}"${attributes && ` ${attributes}`}>${escapeXml(content)}</text>`;

const fixed = (value: number) => String(Number(value.toFixed(1)));

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** `374 G`, to go before a unit. */
function showRate(rate: number): string {
  const step = Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(rate) / 3)));
  return `${Number((rate / 1000 ** step).toPrecision(3))} ${PREFIXES[step]}`;
}

const showPower = (power: number) =>
  power >= 1000 ? showRate(power).replace(' ', '') : String(Number(power.toPrecision(1)));

function escapeXml(content: string): string {
  return content.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);
}
