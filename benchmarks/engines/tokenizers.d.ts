// What benchmarks/tokenizer.ts uses of the packages that it compares with, which are not installed where types are checked.

declare module "llama-tokenizer-js" {
  const tokenizer: {
    readonly vocabById: readonly string[];
    encode(text: string, bos: boolean): number[];
    decode(ids: readonly number[], bos: boolean): string;
  };
  export default tokenizer;
}

declare module "@huggingface/tokenizers" {
  export class Tokenizer {
    constructor(json: object, config: object);
    encode(text: string, options: object): { readonly ids: number[] };
    decode(ids: readonly number[], options: object): string;
  }
}
