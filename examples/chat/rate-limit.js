// @ts-check

/** A token bucket: `burst` actions at once, `perSecond` in the long run. */
export class RateLimit {
  #burst;
  #perSecond;
  #tokens;
  #checked;

  /**
   * @param {number} burst
   * @param {number} perSecond
   */
  constructor(burst, perSecond) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#checked = performance.now();
  }

  /** Takes one token. Returns 0, or the milliseconds until there is one to take. */
  take() {
    const now = performance.now();
    const earned = ((now - this.#checked) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned);
    this.#checked = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }
}
