/**
 * The one family of expected errors. `throw new Error` is for bugs.
 * The message tells its reader what to do next: the client for 4xx, the operator for 5xx.
 */
export class AppError extends Error {
  /** Stable, snake_case, for programs. */
  readonly code: string;
  /** HTTP status of the answer that this error becomes. */
  readonly status: number;
  /** Path of the value at fault, such as `teams[0].destinations[1].url`. */
  readonly field: string | undefined;
  /** Seconds for a Retry-After header. */
  readonly retryAfterS: number | undefined;

  constructor(
    code: string,
    status: number,
    message: string,
    options: { cause?: unknown; field?: string; retryAfterS?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = status;
    this.field = options.field;
    this.retryAfterS = options.retryAfterS;
  }
}

/** What the thrown thing says, whatever it is. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === "string" ? error : String(error);
}
