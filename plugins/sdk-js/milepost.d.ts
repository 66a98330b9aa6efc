// Types of milepost.js.

/** Anything that JSON has; what is `undefined` is written as `null`. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
/** A JSON Schema. */
export type Schema = boolean | { [keyword: string]: unknown };

/** The ways not to return an output: thrown by a step. */
export class StepError extends Error {
  readonly tag: 'retryable' | 'failed' | 'paused' | 'cancelled';
  readonly val: unknown;
}
export function failed(code: string, message: string, detail?: unknown): StepError;
/** Tried again after so many milliseconds, or when the retry policy of the step says. */
export function retryable(
  code: string,
  message: string,
  options?: { after?: number; provider?: string; detail?: unknown },
): StepError;
export function pause(
  code: string,
  reason: string,
  options?: {
    /** Comes back as `context.resumeState`. */
    state?: unknown;
    /** When the run goes on by itself: milliseconds since 1970. */
    until?: Date | number;
    /** The signal that wakes the step. */
    signal?: string;
    provider?: string;
  },
): StepError;
export function cancelled(message: string): StepError;

/** Why the host refused a call. */
export class HostError extends Error {
  readonly code: string;
  readonly transient: boolean;
}

export interface Context {
  readonly runId: string;
  readonly workflow: string;
  readonly stepId: string;
  readonly path: string;
  readonly attempt: number;
  readonly loopIteration: number | undefined;
  readonly itemIndex: number | undefined;
  readonly idempotencyKey: string;
  /** Milliseconds since 1970. */
  readonly deadline: number | undefined;
  /** What the last `pause` saved. */
  readonly resumeState: any;
  /** What came with the signal that woke the step. */
  readonly resumeSignal: any;
  readonly traceParent: string;
  readonly cancelRequested: boolean;
  /** Output of an earlier step that the workflow lets this one read. */
  outputOf(step: string): any;
}
export const context: Context;

export const config: { get(key: string): any; keys(): string[] };

type Emit = (message: unknown, fields?: Record<string, unknown>) => void;
export const log: { trace: Emit; debug: Emit; info: Emit; warn: Emit; error: Emit };
export function progress(done: number, total?: number, message?: string): void;
export const memo: { once<T>(key: string, work: () => T): T };

export type Bytes = Uint8Array | string;
/** Bytes of a text in UTF-8. */
export function bytes(value: Bytes): Uint8Array;
/** Text of bytes in UTF-8. */
export function text(value: Uint8Array): string;

export interface Bucket {
  get(key: string): { value: Uint8Array; revision: number } | undefined;
  put(key: string, value: Bytes): number;
  /** Only over that revision (`undefined`: only if absent), else a `HostError` with the code `conflict`. */
  replace(key: string, over: number | undefined, value: Bytes): number;
  delete(key: string): void;
  keys(prefix?: string, options?: { after?: string; limit?: number }): string[];
}
export const kv: { open(name: string): Bucket };

export interface Artifact {
  digest: string;
  size: number;
  mediaType: string;
}
export const artifacts: {
  write(name: string, mediaType: string, content: Bytes): Artifact;
  info(digest: string): Artifact;
  read(digest: string, offset?: number, max?: number): Uint8Array;
};

export const clock: {
  /** Milliseconds since 1970. */
  now(): number;
  sleep(millis: number): void;
};
export const random: { bytes(count: number): Uint8Array };
export const secrets: { placeholder(name: string): string };

export interface Response {
  readonly status: number;
  readonly headers: [string, string][];
  bytes(): Uint8Array;
  text(): string;
  json(): any;
  save(): Artifact;
}
export function request(
  method: string,
  url: string,
  options?: { headers?: Record<string, Bytes>; body?: Bytes; bodyArtifact?: string; timeout?: number },
): Response;

export interface Finished {
  /** `undefined` when a signal or its timeout ended it. */
  exitCode: number | undefined;
  timedOut: boolean;
  stdout: Uint8Array;
  stderr: Uint8Array;
}
export function exec(
  program: string,
  args?: string[],
  options?: { env?: Record<string, string>; stdin?: Bytes; cwd?: string; timeout?: number },
): Finished;

export interface Step<In = any, Out = any> {
  description?: string;
  input?: Schema;
  output?: Schema;
  run(input: In, context: Context): Out;
}
export function step<In = any, Out = any>(definition: Step<In, Out>): Step<In, Out>;

/** What a component exports as `guest`. */
export interface Guest {
  describe(): string;
  run(name: string, input: string): string;
}
export function plugin(definition: {
  name: string;
  version?: string;
  description?: string;
  hosts?: string[];
  buckets?: string[];
  secrets?: string[];
  steps: Record<string, Step>;
}): Guest;
