// What benchmarks/tokenizer.ts uses of llama-tokenizer-js, which is not installed where types are checked.

declare module "llama-tokenizer-js" {
  const tokenizer: {
    readonly vocabById: readonly string[];
    encode(text: string, bos: boolean): number[];
    decode(ids: readonly number[], bos: boolean): string;
  };
  export default tokenizer;
}
