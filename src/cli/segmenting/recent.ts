/** The last so many results of something slow, by key. */

/** What is asked for again and again, and in no order, such as decoded images. */
export class Recent<K, V> {
  readonly #most: number;
  readonly #make: (key: K) => Promise<V>;
  readonly #kept = new Map<K, Promise<V>>();

  /** @param most results kept; the one used last is the last to go */
  constructor(most: number, make: (key: K) => Promise<V>) {
    this.#most = most;
    this.#make = make;
  }

  get(key: K): Promise<V> {
    const value = this.#kept.get(key) ?? this.#make(key);
    this.#kept.delete(key);
    this.#kept.set(key, value);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#most) this.#kept.delete(oldest!);
    return value;
  }
}
