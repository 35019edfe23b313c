// What logits are divided by.

/** What logits are divided by before their softmax. */
export interface Temperature {
  /** Larger than 0; 1 leaves them as they are. */
  readonly temperature: number;
}
