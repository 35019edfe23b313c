// @polyllama/backend-webgpu: Llama in WGSL, for browsers and for Node through Dawn.
export {};
