// Types of system.mjs.

export interface System {
  /** A software Vulkan driver: the file that names it to a loader, and the folder of loader and libraries. */
  readonly vulkan?: { readonly icd: string; readonly libraryPath?: string; readonly version: string };
  readonly chromium?: { readonly executable: string; readonly version: string };
  readonly deno?: { readonly executable: string; readonly version: string };
  readonly bun?: { readonly executable: string; readonly version: string };
  readonly node22?: { readonly executable: string; readonly version: string };
  readonly node24?: { readonly executable: string; readonly version: string };
  /** Python's jinja2, for the `PYTHONPATH` of a python3. */
  readonly jinja2?: { readonly folder: string; readonly version: string };
  /** The folder whose node_modules has what tests/bundlers/package.json names. */
  readonly bundlers?: { readonly folder: string; readonly version: string };
}

export declare const systemFolder: string;
export declare const systemFile: string;
/** What is installed and still there. */
export declare function readSystem(): System;
/** Variables by which a process finds the Vulkan driver, to be set before it starts. */
export declare function vulkanEnvironment(): Readonly<Record<string, string>>;
/** The same where neither the user nor the system names a driver, else nothing. */
export declare function vulkanFallback(): Readonly<Record<string, string>>;
