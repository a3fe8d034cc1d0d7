/** Kernel variants for extents that are no multiples of 4, made out of those that read four elements at a time. */
import padSource from '../../shaders/pad_planes.wgsl';
import {
  type BufferRef,
  type Command,
  type Dispatch,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
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
  return {
    name: `padded-${kernel.name}`,
    needs: kernel.needs,
    when(context) {
      const inner = pad(context);
      return changed(context, inner).length > 0 && (kernel.when?.(inner) ?? true);
    },
    scratch(context) {
      const inner = pad(context);
      const copies = changed(context, inner).map(({ to }) => sizeOf(to.shape) * BYTES_PER_ELEMENT.f32);
      return [...copies, ...(kernel.scratch?.(inner) ?? [])];
    },
    tuning: (context) => kernel.tuning?.(pad(context)) ?? [],
    commands(context) {
      const inner = pad(context);
      const copies = changed(context, inner);
      const substitute = (ref: BufferRef): BufferRef => {
        if (ref.kind === 'scratch') return scratch(copies.length + ref.index);
        const copy = copies.findIndex(
          (candidate) => candidate.ref.kind === ref.kind && candidate.ref.index === ref.index,
        );
        return copy < 0 ? ref : scratch(copy);
      };
      const commands: Command[] = [];
      for (const { ref, from, to } of copies)
        if (ref.kind === 'input') commands.push(resize(from, to, ref, substitute(ref)));
      for (const command of kernel.commands(inner))
        commands.push(
          'source' in command
            ? { ...command, buffers: command.buffers.map(substitute) }
            : { ...command, from: substitute(command.from), to: substitute(command.to) },
        );
      for (const { ref, from, to } of copies)
        if (ref.kind === 'output') commands.push(resize(to, from, substitute(ref), ref));
      return commands;
    },
  };
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
