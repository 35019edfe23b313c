// Types of generate-kernels.mjs.

export declare const generatedFile: URL;
/** The content that `generatedFile` should have. */
export declare function generateKernels(): string;
