import { expect, it } from 'vitest';
import { DataError } from '../../src/data/errors.js';
import { formatList, parseList } from '../../src/data/lists.js';

it('reads `image label` a line, with leading slashes, Windows line ends and blank lines', () => {
  const { file, entries } = parseList('\uFEFF/JPEGImages/a.jpg /segcls/a.png\r\n\r\nb.jpg\tb.png\n   \n', 'train.txt');
  expect(file).toBe('train.txt');
  expect(entries).toEqual([
    { image: 'JPEGImages/a.jpg', label: 'segcls/a.png', line: 1 },
    { image: 'b.jpg', label: 'b.png', line: 3 },
  ]);
});

it('reads lists without labels', () => {
  expect(parseList('a.jpg\nb.jpg', 'test.txt').entries.map((entry) => entry.label)).toEqual([null, null]);
});

it('writes what it reads', () => {
  const text = 'a.jpg a.png\nb.jpg\n';
  expect(formatList(parseList(text, 'list').entries)).toBe(text);
});

it('names list and line of a line it cannot read', () => {
  expect(() => parseList('a.jpg a.png\nmy photo.jpg a.png\n', 'train.txt')).toThrow(
    'train.txt: line 2 has 3 fields, expected `image label`',
  );
  expect(() => parseList('a.jpg /\n', 'train.txt')).toThrow('train.txt: line 1 has an empty path');
});

it('refuses an empty list', () => {
  for (const text of ['', '\n \r\n\t\n']) {
    expect(() => parseList(text, 'lists/empty.txt')).toThrow(DataError);
    expect(() => parseList(text, 'lists/empty.txt')).toThrow('lists/empty.txt: lists no images');
  }
});
