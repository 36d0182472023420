export function startProgress(what: string, total?: number): { count(value: number): void; done(): void; fail(): void; stop(): void };
