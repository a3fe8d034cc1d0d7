/** Ctrl-C: the first one asks for an orderly end, the second one ends at once. */
import { EXIT } from '../errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export class Interrupt implements Disposable {
  #requested = false;
  readonly #announce: () => void;
  readonly #handle = () => {
    if (this.#requested) process.exit(EXIT.interrupted);
    this.#requested = true;
    this.#announce();
  };

  /** @param announce called at the first signal */
  constructor(announce: () => void) {
    this.#announce = announce;
    for (const signal of SIGNALS) process.on(signal, this.#handle);
  }

  get requested(): boolean {
    return this.#requested;
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) process.off(signal, this.#handle);
  }
}
