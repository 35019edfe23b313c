// A streaming HTTP endpoint.
export {};
