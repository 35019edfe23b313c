// What a scheduler is doing and has done, as plain data, for whoever shows it.

/** A moment of a scheduler. Counts of what has happened only grow. */
export interface SchedulerMetrics {
  /** Requests that wait, those that were preempted included. */
  readonly waiting: number;
  /** Requests that have KV blocks. */
  readonly running: number;
  /** Of both, those that rest until their readers take what was written. */
  readonly resting: number;
  /** KV blocks of the pool. */
  readonly blocks: number;
  /** Of these, free ones. */
  readonly freeBlocks: number;
  /** Those that are kept for requests that begin alike, and freed when they are needed. */
  readonly cachedBlocks: number;
  /** Requests by how they ended. */
  readonly finished: number;
  readonly cancelled: number;
  readonly failed: number;
  /** Requests that were refused since the queue was full. */
  readonly refused: number;
  /** Tokens of prompts that were accepted. */
  readonly promptTokens: number;
  /** Tokens that were found computed when a request was admitted. */
  readonly prefixHitTokens: number;
  /** Tokens that were chosen. */
  readonly generatedTokens: number;
  /** Rows that were computed, and the steps that computed them. */
  readonly rows: number;
  readonly steps: number;
  /** How often a running request gave its blocks back, to be computed again. */
  readonly preemptions: number;
}
