import { AppError } from "../../../shared/errors.ts";

/**
 * What a sender is told that cannot prove where its request comes from. Each fault has a text of its own, because senders show it in
 * their list of deliveries and that is all that their user sees of it; none repeats a secret or the signature that was expected.
 */
export class MissingProofError extends AppError {
  constructor(headers: readonly string[]) {
    super(
      "missing_signature",
      401,
      `this source takes signed requests only, and this one lacks: ${headers.join(", ")}`,
    );
  }
}

export class MalformedProofError extends AppError {
  constructor(header: string, expected: string) {
    super("malformed_signature", 401, `the header ${header} has to be ${expected}`);
  }
}

export class WrongProofError extends AppError {
  constructor(header: string) {
    const advice = "compare the sender's secret with that of the source; the body must arrive as it was signed";
    super("wrong_signature", 401, `the signature in ${header} does not match: ${advice}`);
  }
}

export class WrongSecretError extends AppError {
  constructor(header: string) {
    super("wrong_secret", 401, `the secret in ${header} is not that of the source`);
  }
}

export class UntimelyProofError extends AppError {
  /** `ageS`: negative where the request was signed in the future. */
  constructor(header: string, ageS: number, toleranceS: number) {
    const when = ageS < 0 ? `${-ageS} s in the future` : `${ageS} s ago`;
    const advice = `at most ${toleranceS} s are allowed: check the sender's clock, and let it sign again when it tries again`;
    super("untimely_signature", 401, `the request was signed ${when} by ${header}; ${advice}`);
  }
}

/** The sender did nothing wrong; it may succeed once the operator has mended it. */
export class UnverifiableError extends AppError {
  constructor(cause: unknown) {
    super("unverifiable", 503, "where the request comes from cannot be checked now, please retry", {
      cause,
      retryAfterS: 10,
    });
  }
}
