import { AppError } from "../../../shared/errors.ts";

/** A message that breaks the Tracking API's rules. `field` is the path of the value at fault, such as `batch[3].userId`. */
export class InvalidMessageError extends AppError {
  constructor(field: string, what: string) {
    super("invalid_message", 400, `${field} ${what}`, { field });
  }
}

export class TooManyMessagesError extends AppError {
  constructor(count: number, most: number) {
    super("too_many_messages", 400, `batch holds ${count} messages of at most ${most}: send smaller batches`, {
      field: "batch",
    });
  }
}

export class MissingWriteKeyError extends AppError {
  constructor() {
    const advice =
      "send it as the user name of Basic authentication, as a Bearer token, as X-Write-Key, or as writeKey in the body";
    super("missing_token", 401, `the request has no write key: ${advice}`);
  }
}
