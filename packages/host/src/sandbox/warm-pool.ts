// A bounded set of things that are dear to make: what was used longest ago goes first, what is in use never.

/** Something warm. */
export interface Warm {
  /** False when it can serve no more. */
  readonly isAlive: boolean;
  readonly isBusy: boolean;
  dispose(): void;
}

export class WarmPool<T extends Warm> {
  readonly #sizeMax: number;
  readonly #make: (key: string) => Promise<T>;
  /** In order of last use. */
  readonly #warm = new Map<string, T>();
  readonly #making = new Map<string, Promise<T>>();
  #closed = false;

  constructor(sizeMax: number, make: (key: string) => Promise<T>) {
    this.#sizeMax = sizeMax;
    this.#make = make;
  }

  /** The one of `key`: the same until it dies or makes room for another. Asked twice at once, it is made once. */
  async get(key: string): Promise<T> {
    const warm = this.#warm.get(key);
    if (warm?.isAlive) {
      // A map keeps insertion order: what is used moves to the end.
      this.#warm.delete(key);
      this.#warm.set(key, warm);
      return warm;
    }
    let making = this.#making.get(key);
    if (making === undefined) {
      making = this.#add(key).finally(() => this.#making.delete(key));
      this.#making.set(key, making);
    }
    return making;
  }

  get size(): number {
    return this.#warm.size;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#making.values());
    for (const warm of this.#warm.values()) warm.dispose();
    this.#warm.clear();
  }

  async #add(key: string): Promise<T> {
    const made = await this.#make(key);
    this.#warm.delete(key);
    this.#warm.set(key, made);
    if (this.#closed) made.dispose();
    this.#shrink(key);
    return made;
  }

  #shrink(kept: string): void {
    for (const [key, warm] of this.#warm) {
      if (this.#warm.size <= this.#sizeMax) return;
      if (key === kept || (warm.isAlive && warm.isBusy)) continue;
      this.#warm.delete(key);
      warm.dispose();
    }
  }
}
