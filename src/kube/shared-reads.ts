/** Reads by name, of which only one of each name is under way: whoever asks meanwhile has its answer, too. */
export class SharedReads<Value> {
  readonly #read: (name: string) => Promise<Value>;
  readonly #running = new Map<string, Promise<Value>>();

  constructor(read: (name: string) => Promise<Value>) {
    this.#read = read;
  }

  get(name: string): Promise<Value> {
    const running = this.#running.get(name);
    if (running) return running;
    const started = this.#read(name).finally(() => this.#running.delete(name));
    this.#running.set(name, started);
    return started;
  }
}
