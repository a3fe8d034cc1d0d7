/** Procedural textures, in exactly rounded arithmetic (no sine), so that they are the same everywhere. */
import type { Random } from '../tensor/random.js';

/** A texture of `size` x `size` values from 0 to 1: stripes, checks, smooth noise, a gradient, or dots. */
export function texture(random: Random, size: number): Float64Array {
  return random.pick([stripes, checks, smoothNoise, gradient, dots])(random, size);
}

function stripes(random: Random, size: number): Float64Array {
  const [cos, sin] = direction(random);
  const period = random.between(4, 16);
  const phase = random.uniform();
  return fill(size, (y, x) => smoothWave((cos * x + sin * y) / period + phase));
}

function checks(random: Random, size: number): Float64Array {
  const [cos, sin] = direction(random);
  const period = random.between(5, 16);
  const [phaseA, phaseB] = [random.uniform(), random.uniform()];
  return fill(size, (y, x) => {
    const a = fraction((cos * x + sin * y) / period + phaseA) < 0.5;
    const b = fraction((cos * y - sin * x) / period + phaseB) < 0.5;
    return a === b ? 1 : 0;
  });
}

/** Random values on a coarse grid, interpolated. */
function smoothNoise(random: Random, size: number): Float64Array {
  const cells = random.integerIn(4, 10);
  const grid = Array.from({ length: (cells + 1) ** 2 }, () => random.uniform());
  return fill(size, (y, x) => {
    const gy = (y / size) * cells;
    const gx = (x / size) * cells;
    const y0 = Math.floor(gy);
    const x0 = Math.floor(gx);
    const at = (row: number, column: number) => grid[row * (cells + 1) + column]!;
    const top = at(y0, x0) + (at(y0, x0 + 1) - at(y0, x0)) * (gx - x0);
    const bottom = at(y0 + 1, x0) + (at(y0 + 1, x0 + 1) - at(y0 + 1, x0)) * (gx - x0);
    return top + (bottom - top) * (gy - y0);
  });
}

function gradient(random: Random, size: number): Float64Array {
  const [cos, sin] = direction(random);
  const reach = (Math.abs(cos) + Math.abs(sin)) * (size - 1);
  return fill(size, (y, x) => 0.5 + (cos * (x - (size - 1) / 2) + sin * (y - (size - 1) / 2)) / reach);
}

function dots(random: Random, size: number): Float64Array {
  const [cos, sin] = direction(random);
  const period = random.between(6, 14);
  const radius = random.between(0.2, 0.4);
  const [phaseA, phaseB] = [random.uniform(), random.uniform()];
  return fill(size, (y, x) => {
    const a = fraction((cos * x + sin * y) / period + phaseA) - 0.5;
    const b = fraction((cos * y - sin * x) / period + phaseB) - 0.5;
    return a * a + b * b < radius * radius ? 1 : 0;
  });
}

function fill(size: number, value: (y: number, x: number) => number): Float64Array {
  const values = new Float64Array(size * size);
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) values[y * size + x] = value(y, x);
  return values;
}

/** A unit vector, each direction as likely. */
function direction(random: Random): [number, number] {
  while (true) {
    const x = random.between(-1, 1);
    const y = random.between(-1, 1);
    const length = Math.sqrt(x * x + y * y);
    if (length > 0.1 && length <= 1) return [x / length, y / length];
  }
}

function fraction(x: number): number {
  return x - Math.floor(x);
}

/** A wave of period 1 between 0 and 1, like a raised cosine. */
function smoothWave(x: number): number {
  const t = Math.abs(2 * fraction(x) - 1);
  return t * t * (3 - 2 * t);
}
