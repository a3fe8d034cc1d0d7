/** One-to-one matching of boundary pixels within a distance. */

/** Offsets within `radius` pixels, nearest first. */
function disc(radius: number): { dy: number; dx: number }[] {
  const reach = Math.floor(radius);
  const offsets: { dy: number; dx: number }[] = [];
  for (let dy = -reach; dy <= reach; dy++)
    for (let dx = -reach; dx <= reach; dx++) if (dy * dy + dx * dx <= radius * radius) offsets.push({ dy, dx });
  return offsets.sort((a, b) => a.dy ** 2 + a.dx ** 2 - b.dy ** 2 - b.dx ** 2 || a.dy - b.dy || a.dx - b.dx);
}

/**
 * Matches detected boundary pixels with those of one human segmentation: each with at most one, no farther apart than
 * `radius`, as many as possible (maximum cardinality, by augmenting paths).
 *
 * The BSDS benchmark (Martin, Fowlkes, Malik, TPAMI 2004, section 3) solves an assignment of least cost instead, the cost being
 * the distance, or 100 times the radius for a pixel without a partner. At such a price a cheapest assignment leaves as few
 * pixels alone as possible, so it has the same number of pairs; only which of several equally large sets of
 * pixels is matched can differ. (Its solver sees some of the possible pairs only, so it may fall short by a few.)
 *
 * Successive calls for maps that differ little are cheap: a call starts from the pairs of the one before.
 */
export class BoundaryMatcher {
  /** Boundary pixels of the truth. */
  readonly truthPixels: number;
  /** For every candidate, the place of its first possible partner in `#partners`. */
  readonly #first: Int32Array;
  readonly #partners: Int32Array;
  readonly #truthOf: Int32Array;
  readonly #candidateOf: Int32Array;
  readonly #visited: Int32Array;
  #round = 0;

  /**
   * @param truth 1 on boundaries, row-major
   * @param candidates pixels that may be detected, as indices
   */
  constructor(truth: Uint8Array, candidates: Int32Array, width: number, height: number, radius: number) {
    const node = new Int32Array(width * height).fill(-1);
    let count = 0;
    for (let pixel = 0; pixel < node.length; pixel++) if (truth[pixel]) node[pixel] = count++;
    this.truthPixels = count;
    const offsets = disc(radius);
    const partners: number[] = [];
    this.#first = new Int32Array(candidates.length + 1);
    for (const [candidate, pixel] of candidates.entries()) {
      const y = Math.floor(pixel / width);
      const x = pixel - y * width;
      for (const { dy, dx } of offsets) {
        if (y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width) continue;
        const partner = node[pixel + dy * width + dx]!;
        if (partner >= 0) partners.push(partner);
      }
      this.#first[candidate + 1] = partners.length;
    }
    this.#partners = Int32Array.from(partners);
    this.#truthOf = new Int32Array(candidates.length).fill(-1);
    this.#candidateOf = new Int32Array(count).fill(-1);
    this.#visited = new Int32Array(count);
  }

  /**
   * Matches the candidates that were detected.
   *
   * @param detected 1 for every candidate that was
   * @param matched gets a 1 for every candidate that found a partner, besides those it has already
   * @returns the number of pairs
   */
  match(detected: Uint8Array, matched: Uint8Array): number {
    const truthOf = this.#truthOf;
    const free: number[] = [];
    for (let candidate = 0; candidate < truthOf.length; candidate++) {
      const partner = truthOf[candidate]!;
      if (detected[candidate]) {
        if (partner < 0 && this.#first[candidate]! < this.#first[candidate + 1]!) free.push(candidate);
      } else if (partner >= 0) {
        truthOf[candidate] = -1;
        this.#candidateOf[partner] = -1;
      }
    }
    let waiting = free.filter((candidate) => !this.#takeFree(candidate));
    // A pixel visited in vain in a round leads nowhere in the whole round; another round is due after any success.
    for (let before = -1; waiting.length !== before; ) {
      before = waiting.length;
      this.#round++;
      waiting = waiting.filter((candidate) => !this.#augment(candidate));
    }
    let pairs = 0;
    for (let candidate = 0; candidate < truthOf.length; candidate++)
      if (truthOf[candidate]! >= 0) {
        pairs++;
        matched[candidate] = 1;
      }
    return pairs;
  }

  /** Pairs the candidate with the nearest pixel that is free. */
  #takeFree(candidate: number): boolean {
    for (let i = this.#first[candidate]!; i < this.#first[candidate + 1]!; i++)
      if (this.#candidateOf[this.#partners[i]!]! < 0) {
        this.#pair(candidate, this.#partners[i]!);
        return true;
      }
    return false;
  }

  /** Searches an augmenting path from a free candidate, depth first. */
  #augment(start: number): boolean {
    const path = [start];
    const places = [this.#first[start]!];
    while (path.length > 0) {
      const candidate = path[path.length - 1]!;
      const place = places[places.length - 1]!++;
      if (place >= this.#first[candidate + 1]!) {
        path.pop();
        places.pop();
        continue;
      }
      const partner = this.#partners[place]!;
      if (this.#visited[partner] === this.#round) continue;
      this.#visited[partner] = this.#round;
      const rival = this.#candidateOf[partner]!;
      if (rival >= 0) {
        path.push(rival);
        places.push(this.#first[rival]!);
        continue;
      }
      for (let i = path.length - 1; i >= 0; i--) this.#pair(path[i]!, this.#partners[places[i]! - 1]!);
      return true;
    }
    return false;
  }

  #pair(candidate: number, partner: number): void {
    this.#truthOf[candidate] = partner;
    this.#candidateOf[partner] = candidate;
  }
}
