/**
 * A recording in the Trace Event Format, which chrome://tracing and Perfetto open ("Trace Event Format", Google, 2016: docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
 */
import { partOf } from '../../segsort/step_parts.js';
import type { Recording } from '../../tensor/recorder.js';

/** Times are in microseconds. */
export interface TraceEvent {
  /** X: with a duration; b and e: begin and end of what may overlap others; C: counter; M: metadata. */
  readonly ph: 'X' | 'b' | 'e' | 'C' | 'M';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: number;
  readonly args?: Readonly<Record<string, string | number>>;
}

const HOST = 1;
const GPU = 2;

/** Kernels on one track, what the host does on another, its waits beside it, and the bytes alive as a counter. */
export function traceEvents({ replays, spans }: Recording, device: string): TraceEvent[] {
  const starts = [...spans, ...replays.flatMap(({ kernels }) => kernels)].map(({ begin }) => begin);
  const zero = starts.reduce((least, begin) => Math.min(least, begin), Number.POSITIVE_INFINITY);
  const at = (milliseconds: number) => Math.round((milliseconds - zero) * 1e6) / 1e3;
  const name = (pid: number, of: 'process_name' | 'thread_name', name: string): TraceEvent => ({
    ...{ ph: 'M', name: of, pid, tid: 1, args: { name } },
  });
  const events = [
    name(HOST, 'process_name', 'host'),
    name(HOST, 'thread_name', 'main thread'),
    name(GPU, 'process_name', device),
    name(GPU, 'thread_name', 'kernels'),
  ];
  for (const [id, { name, begin, end, waits }] of spans.entries()) {
    const place = { name, cat: 'host', pid: HOST, tid: 1 };
    if (waits) events.push({ ...place, ph: 'b', id, ts: at(begin) }, { ...place, ph: 'e', id, ts: at(end) });
    else events.push({ ...place, ph: 'X', ts: at(begin), dur: at(end) - at(begin) });
  }
  const alive = (ts: number, bytes: number) =>
    events.push({ ph: 'C', name: 'alive', pid: GPU, tid: 1, ts, args: { MiB: Math.round(bytes / 2 ** 10) / 2 ** 10 } });
  for (const { kernels } of replays) {
    for (const { label, op, variant, shapes, begin, milliseconds, flops, bytes, alive: now } of kernels) {
      const ts = at(begin);
      const dur = at(begin + milliseconds) - ts;
      const args = { label, shapes, flops, bytes };
      events.push({ ph: 'X', name: `${op}:${variant}`, cat: partOf(label), pid: GPU, tid: 1, ts, dur, args });
      alive(ts, now);
    }
    const last = kernels.at(-1);
    if (last) alive(at(last.begin + last.milliseconds), 0);
  }
  return events;
}
