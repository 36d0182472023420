// What author code may use. A limit that is hit says nothing of the code's answer: it could not be run.

/** Heap of one isolate. V8 may pass it by a factor of two or three before the isolate ends. */
export const ISOLATE_MEMORY_MB_MAX = 64;

/** Time of one activation or one verification, from when it starts to run. */
export const RUN_MS_MAX = 500;

/** A run that was stopped with less CPU time than this was starved by others: nobody's fault, so it is run again. */
export const RUN_CPU_MS_BLAMED = 250;

/** Evaluating a bundle: once per isolate, schemas included. */
export const EVALUATE_MS_MAX = 5_000;

/** JSON text that one report, or one answer of a contract, may take. */
export const ANSWER_CHARS_MAX = 4 * 1024 * 1024;

/** Steps that one fiber may ask for in one activation. */
export const SYSCALLS_PER_REPORT_MAX = 1_000;

/** Log lines of one fiber in one activation; what is beyond is dropped. */
export const LOGS_PER_REPORT_MAX = 100;

/** Warm isolates of one role. */
export const ISOLATES_MAX = 64;

/** Virtual nodes for which an isolate keeps its bundle evaluated, beside those that have flows in it; one takes some hundred KB of the heap. */
export const DOMAINS_KEPT_MAX = 16;

/** Flows that run alone at one time, after a memory breach. */
export const QUARANTINE_ISOLATES_MAX = 8;
