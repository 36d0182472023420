// What author code may use. A limit that is hit says nothing of the code's answer: it could not be run.

/** What one isolate may use. */
export interface IsolateLimits {
  /** Heap, with the bytes that its code holds. V8 may pass it by a factor of two or three before the isolate ends. */
  readonly memoryMb: number;
  /** Time of one activation or one verification, from when it starts to run. */
  readonly runMs: number;
  /** A run that was stopped with less CPU time than this was starved by others: nobody's fault, so it is run again. */
  readonly runCpuMsBlamed: number;
}

/** Room and time for the largest payload, as its author has it and as it leaves. */
export const FLOW_LIMITS: IsolateLimits = { memoryMb: 256, runMs: 1_000, runCpuMsBlamed: 500 };
export const CONTRACT_LIMITS: IsolateLimits = { memoryMb: 64, runMs: 500, runCpuMsBlamed: 250 };

/** Evaluating a bundle: once per isolate, schemas included. */
export const EVALUATE_MS_MAX = 5_000;

/** JSON text that one report, or one answer of a contract, may take. Steps beyond it fail with `sandbox.stepTooLarge`. */
export const ANSWER_CHARS_MAX = 4 * 1024 * 1024;

/** Bytes of a step that are as many as this leave the isolate apart from the text, in pieces of at most the next. */
export const APART_BYTES_MIN = 32 * 1024;
export const PIECE_BYTES_MAX = 8 * 1024 * 1024;

/** Bytes apart of one step: of one that carries payloads, and of any other. `sandbox.stepTooLarge` fails it. */
export const PAYLOADS_BYTES_MAX = 112 * 1024 * 1024;
export const STEP_BYTES_MAX = 4 * 1024 * 1024;

/** Bytes apart of one activation: no more than an isolate can hold. */
export const ACTIVATION_BYTES_MAX = FLOW_LIMITS.memoryMb * 1024 * 1024;

/** Steps that one fiber may ask for in one activation. */
export const SYSCALLS_PER_REPORT_MAX = 1_000;

/** Log lines of one fiber in one activation; what is beyond is dropped. */
export const LOGS_PER_REPORT_MAX = 100;

/** Of the stack of what a flow threw, for operators; what is beyond is cut. */
export const STACK_CHARS_MAX = 4_096;

/** Warm isolates of one role. */
export const ISOLATES_MAX = 64;

/** Virtual nodes for which an isolate keeps its bundle evaluated, beside those that have flows in it; one takes some hundred KB of the heap. */
export const DOMAINS_KEPT_MAX = 16;

/** Flows that run alone at one time, after a memory breach. */
export const QUARANTINE_ISOLATES_MAX = 8;
