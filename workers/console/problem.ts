import { ConfigError } from "../../shared/config-error.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import { logLine } from "../../shared/log.ts";
import { DestinationsNotEmpty } from "./publish.ts";

/** The body of an error answer (RFC 9457). */
interface Problem {
  title: string;
  status: number;
  /** Stable, snake_case, for programs. */
  code: string;
  /** What is wrong and what to do. */
  detail: string;
  /** Path of the value at fault. */
  field?: string;
  /** Each thing wrong, where there may be several. */
  errors?: unknown[];
}

const TITLES: Record<number, string> = {
  400: "Bad request",
  401: "Not authorised",
  404: "Not found",
  405: "Method not allowed",
  409: "Conflict",
  413: "Too large",
  422: "Not valid",
  500: "Internal error",
  503: "Not available",
};

/** The answer to a request that ended in this error. What is not an `AppError` is a bug: logged, and not shown. */
export function problemResponse(error: unknown, headers: Record<string, string> = {}): Response {
  const known = error instanceof AppError ? error : internal(error);
  const problem: Problem = {
    title: TITLES[known.status] ?? "Error",
    status: known.status,
    code: known.code,
    detail: known.message,
    ...(known.field === undefined ? {} : { field: known.field }),
    ...(known instanceof ConfigError ? { errors: [...known.problems] } : {}),
    ...(known instanceof DestinationsNotEmpty ? { errors: [...known.destinations] } : {}),
  };
  return new Response(JSON.stringify(problem), {
    status: known.status,
    headers: {
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      ...(known.retryAfterS === undefined ? {} : { "Retry-After": String(known.retryAfterS) }),
      ...headers,
    },
  });
}

function internal(error: unknown): AppError {
  logLine({ message: "console request failed", error: messageOf(error) });
  return new AppError("internal", 500, "something went wrong in the console: its log has the reason");
}
