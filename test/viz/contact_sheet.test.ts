import { describe, expect, it } from 'vitest';
import { vocPalette } from '../../src/data/image.js';
import { decodePng, encodePng } from '../../src/data/png.js';
import { contactSheet, type SheetRow, type ShownSegment } from '../../src/viz/contact_sheet.js';

const options = { title: 'Sheet', subtitle: 'two rows', classes: ['background', 'thing'], palette: vocPalette() };
const size = { width: 8, height: 6 };
const pixels = size.width * size.height;

function row(changes: Partial<SheetRow> = {}): SheetRow {
  const half = Uint8Array.from({ length: pixels }, (_, i) => (i % 8 < 4 ? 0 : 1));
  const image = { ...size, data: Uint8Array.from({ length: pixels * 3 }, (_, i) => (i * 5) % 256) };
  const segment: ShownSegment = { image, mask: { ...size, data: half }, label: 1, caption: 'thing\n0.9' };
  return {
    caption: 'image_1',
    detail: '90.0% right',
    image,
    truth: { ...size, data: half.map((label, i) => (i === 0 ? 255 : label)) },
    embedding: {
      width: 4,
      height: 3,
      channels: 5,
      data: Float32Array.from({ length: 60 }, (_, i) => Math.sin(i)),
    },
    clusters: { width: 4, height: 3, data: Int32Array.from({ length: 12 }, (_, i) => i % 4) },
    prediction: { ...size, data: half },
    query: segment,
    nearest: [segment, segment],
    ...changes,
  };
}

/** How many pixels have a colour. */
function count(image: { data: Uint8Array }, [r, g, b]: readonly number[]): number {
  let found = 0;
  for (let i = 0; i < image.data.length; i += 3)
    if (image.data[i] === r && image.data[i + 1] === g && image.data[i + 2] === b) found++;
  return found;
}

describe('contactSheet', () => {
  it('shows every picture of a row at the same enlargement', () => {
    const sheet = contactSheet([row()], options);
    const enlarged = 24 ** 2; // 192 over the longest side, each way
    const swatch = 14 ** 2;
    // Half of the truth and half of the prediction, and the square in the legend, less its frame and outlines.
    expect(count(sheet, [128, 0, 0])).toBeGreaterThan(enlarged * pixels);
    expect(count(sheet, [0, 0, 0])).toBe((pixels / 2) * enlarged * 2 - enlarged + swatch);
    // The ignored pixel.
    expect(count(sheet, [214, 214, 214])).toBe(enlarged + swatch);
  });

  it('is a PNG that can be read back, the same every time', () => {
    const rows = [row(), row({ truth: null, query: null, nearest: [] })];
    const [first, second] = [encodePng(contactSheet(rows, options)), encodePng(contactSheet(rows, options))];
    expect(first).toEqual(second);
    const { width, height } = decodePng(first, 'sheet.png');
    expect(width).toBeGreaterThan(1200);
    expect(height).toBeGreaterThan(400);
  });

  it('takes rows without retrieved segments, images of other sizes, and clusters numbered -1', () => {
    const large = { width: 500, height: 300 };
    const bare = row({
      image: { ...large, data: new Uint8Array(500 * 300 * 3) },
      clusters: { width: 4, height: 3, data: new Int32Array(12).fill(-1) },
      query: null,
      nearest: [],
    });
    const narrow = contactSheet([bare], options);
    expect(narrow.width).toBeLessThan(1200);
    expect(contactSheet([bare, row()], options).width).toBeGreaterThan(narrow.width);
  });

  it('takes rows of pixels that were classified one by one', () => {
    const bare = row({ embedding: null, clusters: null, query: null, nearest: [] });
    const same = row({ query: null, nearest: [] });
    const [without, with_] = [contactSheet([bare], options), contactSheet([same], options)];
    expect([without.width, without.height]).toEqual([with_.width, with_.height]);
    expect(without.data).not.toEqual(with_.data);
    expect(contactSheet([bare, row()], options).height).toBeGreaterThan(without.height);
  });

  it('refuses to draw nothing', () => {
    expect(() => contactSheet([], options)).toThrow('no rows');
  });
});
