// What the steps use of the host. The rest of it is in wit/v0.1.0/step.wit: an interface is a module, names are written in camelCase, an
// option is a value or null, and what a function throws is its error.

declare module 'milepost:step/context@0.1.0' {
  export function attempt(): number;
  export function idempotencyKey(): string;
  export function outputOf(step: string): string | null;
  export function resumeState(): string | null;
  export function resumeSignal(): string | null;
  export function runId(): string;
}

declare module 'milepost:step/log@0.1.0' {
  export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';
  export function emit(level: Level, message: string, fields: [string, string][]): void;
}
