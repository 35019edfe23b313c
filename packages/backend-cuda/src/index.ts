// @polyllama/backend-cuda: Llama on NVIDIA cards, through the driver alone.
export {};
