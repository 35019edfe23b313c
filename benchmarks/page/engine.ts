// What both engines of a page do: the program beside the browser calls these by name.

export interface PageLoad {
  readonly url: string;
  readonly threads: number;
  readonly contextLength: number;
}

/** Tokens a second, of reading a prompt and of generating behind it. */
export interface PageSpeeds {
  readonly prefill: number;
  readonly decode: number;
}

export interface PageEngine {
  /** How many threads compute. */
  load(request: PageLoad): Promise<number>;
  round(promptTokens: number, generateTokens: number): Promise<PageSpeeds>;
}
