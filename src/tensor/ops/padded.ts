/** Kernel variants for extents that are no multiples of 4, made out of those that read four elements at a time. */
import padSource from '../../shaders/pad_planes.wgsl';
import {
  type BufferRef,
  type Command,
  type Dispatch,
  type Epilogue,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
  type Passes,
  scratch,
} from '../op.js';
import { BYTES_PER_ELEMENT, f32, type Shape, sameShape, sizeOf, type TensorType } from '../types.js';
import { reads1, wordsOf, writes1 } from './stored.js';

/** The shape with its last `axes` axes (1 or 2) rounded up to multiples of 4. */
export function roundUpShape(shape: Shape, axes: 1 | 2): Shape {
  return shape.map((extent, axis) => (axis < shape.length - axes ? extent : Math.ceil(extent / 4) * 4));
}

/** A type whose shape is rounded up like this: itself, if it need not be, else f32. */
export function roundUp(type: TensorType, axes: 1 | 2): TensorType {
  const shape = roundUpShape(type.shape, axes);
  return sameShape(shape, type.shape) ? type : f32(shape);
}

/**
 * Runs `kernel` on copies of the operands that are padded with zeros up to the shapes in `pad(context)`, and cuts the
 * result back to its own shape. Only the last two axes may be padded.
 */
export function padded<P>(kernel: Kernel<P>, pad: (context: KernelContext<P>) => KernelContext<P>): Kernel<P> {
  const around = (context: KernelContext<P>, passesOf: (inner: KernelContext<P>) => Passes): Passes => {
    const inner = pad(context);
    const copies = changed(context, inner);
    const { commands, scratch } = passesOf(inner);
    return {
      scratch: [...copies.map(({ to }) => sizeOf(to.shape) * BYTES_PER_ELEMENT.f32), ...scratch],
      commands: withCopies(copies, commands),
    };
  };
  const plain = (inner: KernelContext<P>): Passes => ({
    commands: kernel.commands(inner),
    scratch: kernel.scratch?.(inner) ?? [],
  });
  return {
    name: `padded-${kernel.name}`,
    needs: kernel.needs,
    when(context) {
      const inner = pad(context);
      return changed(context, inner).length > 0 && (kernel.when?.(inner) ?? true);
    },
    pays: (context) => kernel.pays?.(pad(context)) ?? true,
    scratch: (context) => [...around(context, plain).scratch],
    commands: (context) => [...around(context, plain).commands],
    tuning: (context) => kernel.tuning?.(pad(context)) ?? [],
    epilogues:
      kernel.epilogues &&
      mapValues(
        kernel.epilogues,
        (epilogue): Epilogue<P> => ({
          passes(context) {
            const inner = pad(context);
            // What is made of a padded result has other shapes, too.
            const passes = sameShape(inner.outputs[0]!.shape, context.outputs[0]!.shape)
              ? epilogue.passes(inner)
              : null;
            return passes && around(context, () => passes);
          },
        }),
      ),
  };
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));

type CopyOf = ReturnType<typeof changed>[number];

/** The commands, on the copies in place of what these are of; inputs are copied before, outputs behind. */
function withCopies(copies: readonly CopyOf[], commands: readonly Command[]): Command[] {
  const substitute = (ref: BufferRef): BufferRef => {
    if (ref.kind === 'scratch') return scratch(copies.length + ref.index);
    const copy = copies.findIndex((candidate) => candidate.ref.kind === ref.kind && candidate.ref.index === ref.index);
    return copy < 0 ? ref : scratch(copy);
  };
  const before = copies.filter(({ ref }) => ref.kind === 'input');
  const behind = copies.filter(({ ref }) => ref.kind === 'output');
  return [
    ...before.map(({ ref, from, to }) => resize(from, to, ref, substitute(ref))),
    ...commands.map((command) =>
      'source' in command
        ? { ...command, buffers: command.buffers.map(substitute) }
        : { ...command, from: substitute(command.from), to: substitute(command.to) },
    ),
    ...behind.map(({ ref, from, to }) => resize(to, from, substitute(ref), ref)),
  ];
}

/** The tensors whose shapes differ between the op's own context and the padded one. */
function changed<P>(context: KernelContext<P>, inner: KernelContext<P>) {
  const pairs = [
    ...context.inputs.map((from, i) => ({ ref: input(i), from, to: inner.inputs[i]! })),
    ...context.outputs.map((from, i) => ({ ref: output(i), from, to: inner.outputs[i]! })),
  ];
  return pairs.filter(({ from, to }) => !sameShape(from.shape, to.shape));
}

function resize(from: TensorType, to: TensorType, original: BufferRef, resized: BufferRef): Dispatch {
  const [from_rows, from_columns] = from.shape.slice(-2) as [number, number];
  const [to_rows, to_columns] = to.shape.slice(-2) as [number, number];
  const words = wordsOf(to.dtype, sizeOf(to.shape));
  return {
    source: padSource,
    constants: {
      ...reads1(from.dtype, 'StoredA', 'load_a', 'original'),
      ...writes1(to.dtype, 'StoredC', 'stored'),
    },
    uniforms: { words, from_rows, from_columns, to_rows, to_columns },
    buffers: [original, resized],
    workgroups: linearGrid(words, 64),
  };
}
