/** Aligned columns of text. */

/** The first column is aligned left, the others right; columns are two blanks apart. A rule follows the heading. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => (column === 0 ? (cells[0] ?? '').padEnd(width) : (cells[column] ?? '').padStart(width)))
      .join('  ')
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [line(heading), rule, ...rows.map(line)].join('\n');
}

/** A share as a percentage, `67.2`; a dash where there is none. */
export const percent = (share: number | null): string => (share === null ? '-' : (share * 100).toFixed(1));
