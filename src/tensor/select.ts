/** Which kernel variant computes an op on this adapter. */
import type { Kernel, KernelContext, Op } from './op.js';

/** Variants asked for by name, `{ matmul: 'naive' }`. */
export type KernelOverrides = Readonly<Record<string, string>>;

/** Reads `KERNEL=matmul:naive,conv2d:tiled`. */
export function parseKernelOverrides(text: string | undefined): KernelOverrides {
  const overrides: Record<string, string> = {};
  for (const item of text?.split(',') ?? []) {
    if (item.trim() === '') continue;
    const [op, variant] = item.split(':').map((part) => part.trim());
    if (!op || !variant) throw new Error(`KERNEL: "${item}" is not of the form op:variant`);
    overrides[op] = variant;
  }
  return overrides;
}

/** The first variant whose `needs` the device has, whose `when` holds and that pays; the overridden one if it can run at all. */
export function selectKernel<P>(op: Op<P>, context: KernelContext<P>, overrides: KernelOverrides): Kernel<P> {
  const kernels = op.kernels ?? [];
  const wanted = overrides[op.name];
  if (wanted !== undefined) {
    const kernel = kernels.find((candidate) => candidate.name === wanted);
    if (!kernel)
      throw new Error(
        `${op.name} has no kernel variant "${wanted}"; it has ${kernels.map((candidate) => candidate.name).join(', ')}`,
      );
    const missing = missingFeatures(kernel, context);
    if (missing.length > 0)
      throw new Error(`${op.name}:${wanted} needs ${missing.join(', ')}, which this adapter lacks`);
    if (runs(kernel, context)) return kernel;
  }
  const kernel = kernels.find(
    (candidate) =>
      missingFeatures(candidate, context).length === 0 &&
      runs(candidate, context) &&
      (candidate.pays?.(context) ?? true),
  );
  if (!kernel)
    throw new Error(`${op.name}: none of its kernels (${kernels.map((k) => k.name).join(', ')}) can run here`);
  return kernel;
}

export function missingFeatures(kernel: Kernel, context: Pick<KernelContext<unknown>, 'adapter'>): string[] {
  return (kernel.needs ?? []).filter((feature) => !context.adapter.features.has(feature));
}

/** Whether its `when` holds, and what it dispatches and takes for itself is within the adapter's limits. */
function runs<P>(kernel: Kernel<P>, context: KernelContext<P>): boolean {
  if (!(kernel.when?.(context) ?? true)) return false;
  const { maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize } = context.adapter.limits;
  return (
    (kernel.scratch?.(context) ?? []).every((bytes) => bytes <= maxStorageBufferBindingSize) &&
    kernel
      .commands(context)
      .every(
        (command) =>
          !('source' in command) || command.workgroups.every((count = 1) => count <= maxComputeWorkgroupsPerDimension),
      )
  );
}
