// What keeps a norm of zeros from a division by zero.

/** What is added to the mean of squares, larger than 0. */
export interface Epsilon {
  readonly eps: number;
}
