/**
 * A convolution and its input gradient as the same computation. Both fill a lattice of destination pixels; through
 * tap i, pixel p of the lattice reads source pixel `p * scan + shift + i * shiftStep` (rows and columns alike) and
 * multiplies it with the filter's tap `firstTap + i * tapStep`.
 *
 * Forward there is one lattice, all of y, which x is read for with the stride as `scan` and the dilation as
 * `shiftStep`. Backward, pixel q of dx is read by output pixel p through tap k where p * stride = q + padding -
 * k * dilation. So the pixels of dx with the same remainder r by the stride, q = p' * stride + r, form a lattice
 * that uses the same taps, those for which r + padding - k * dilation is a multiple of the stride.
 */
import type { ConvSizes } from './conv_geometry.js';

/** One axis of a lattice. */
interface Axis {
  readonly size: number;
  /** Destination pixels: first, first + step, ... */
  readonly first: number;
  readonly step: number;
  readonly scan: number;
  readonly shift: number;
  readonly shiftStep: number;
  readonly taps: number;
  readonly firstTap: number;
  readonly tapStep: number;
}

function forwardAxis(out: number, taps: number, stride: number, dilation: number, padding: number): Axis {
  return {
    size: out,
    first: 0,
    step: 1,
    scan: stride,
    shift: -padding,
    shiftStep: dilation,
    taps,
    firstTap: 0,
    tapStep: 1,
  };
}

function backwardAxes(size: number, taps: number, stride: number, dilation: number, padding: number): Axis[] {
  return Array.from({ length: Math.min(stride, size) }, (_, remainder) => {
    const distance = (tap: number) => remainder + padding - tap * dilation;
    // They are evenly spaced, as solutions of a linear congruence.
    const used = Array.from({ length: taps }, (_, tap) => tap).filter((tap) => distance(tap) % stride === 0);
    const firstTap = used[0] ?? 0;
    const tapStep = used.length > 1 ? used[1]! - firstTap : 1;
    return {
      size: Math.ceil((size - remainder) / stride),
      first: remainder,
      step: stride,
      scan: 1,
      shift: used.length > 0 ? distance(firstTap) / stride : 0,
      shiftStep: used.length > 1 ? (-tapStep * dilation) / stride : 0,
      taps: used.length,
      firstTap,
      tapStep,
    };
  });
}

/** The uniforms of one dispatch over a lattice, without its buffers' channels. */
export interface Lattice {
  readonly pixels: number;
  readonly taps: number;
  readonly uniforms: Readonly<Record<string, number>>;
}

function lattice(s: ConvSizes, y: Axis, x: Axis): Lattice {
  return {
    pixels: s.batches * y.size * x.size,
    taps: y.taps * x.taps,
    uniforms: {
      batches: s.batches,
      rows: y.size,
      columns: x.size,
      first_row: y.first,
      first_column: x.first,
      row_step: y.step,
      column_step: x.step,
      scan_row: y.scan,
      scan_column: x.scan,
      shift_row: y.shift,
      shift_column: x.shift,
      shift_row_step: y.shiftStep,
      shift_column_step: x.shiftStep,
      taps_h: y.taps,
      taps_w: x.taps,
      first_tap: y.firstTap * s.kernel_w + x.firstTap,
      tap_step_h: y.tapStep * s.kernel_w,
      tap_step_w: x.tapStep,
    },
  };
}

export function forwardLattices(s: ConvSizes): Lattice[] {
  return [
    lattice(
      s,
      forwardAxis(s.out_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top),
      forwardAxis(s.out_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left),
    ),
  ];
}

export function backwardLattices(s: ConvSizes): Lattice[] {
  const columns = backwardAxes(s.in_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left);
  return backwardAxes(s.in_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top).flatMap((y) =>
    columns.map((x) => lattice(s, y, x)),
  );
}
