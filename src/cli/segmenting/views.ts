/** The flags that say how images are looked at: scales, mirrored, windows. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { checkViews, type Extents, RELEASED_SCALES, type ViewOptions } from '../../segsort/views.js';
import { UsageError } from '../errors.js';

export interface ViewFlags {
  readonly scales?: readonly number[];
  readonly flip?: boolean;
  readonly window?: Extents;
  readonly windowStride?: Extents;
}

const GROUP = 'Views of an image:';

/** Adds the flags; for prototypes, which are taken from images as they are, those of windows alone. */
export function addViewFlags(command: Command, which: 'all' | 'windows' = 'all'): Command {
  if (which === 'all')
    command
      .addOption(
        new Option('--scales <list>', `add up several scales, such as ${RELEASED_SCALES.join(',')} (default: 1)`)
          .argParser(numbers)
          .helpGroup(GROUP),
      )
      .addOption(new Option('--flip', 'add up the mirrored image, too, at every scale').helpGroup(GROUP));
  return command
    .addOption(
      new Option('--window <HxW>', 'look through windows of this size, which bounds memory (default: images whole)')
        .argParser(extents)
        .helpGroup(GROUP),
    )
    .addOption(
      new Option('--window-stride <HxW>', 'pixels from one window to the next (default: two thirds of the window)')
        .argParser(extents)
        .helpGroup(GROUP),
    );
}

/**
 * The views that were asked for; null for images as they are, whole.
 *
 * @throws UsageError where flags don't go together
 */
export function viewsOf({ scales, flip = false, window, windowStride }: ViewFlags): ViewOptions | null {
  if (!scales && !flip && !window && !windowStride) return null;
  const views = {
    scales: scales ?? [1],
    mirror: flip,
    window: window ?? null,
    windowStride: windowStride ?? null,
  };
  try {
    checkViews(views);
  } catch (error) {
    throw new UsageError(`--scales, --window, --window-stride: ${(error as Error).message}`);
  }
  return views;
}

function numbers(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!values.every((value) => Number.isFinite(value) && value > 0))
    throw new InvalidArgumentError('It must be factors with commas between them, such as 0.5,1,1.5.');
  return values;
}

function extents(text: string): Extents {
  const sides = /^(\d+)(?:x(\d+))?$/.exec(text);
  const [height, width] = sides ? [Number(sides[1]), Number(sides[2] ?? sides[1])] : [0, 0];
  if (height < 1 || width < 1)
    throw new InvalidArgumentError('It must be height x width in pixels, such as 480x640, or 480 for 480x480.');
  return [height, width];
}
