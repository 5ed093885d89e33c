import { AppError } from "../../shared/errors.ts";

/** The sandbox does not hold the bundle: it has restarted, or made room. */
export class BundleMissingError extends AppError {
  constructor(hash: string) {
    super("bundle_missing", 404, `bundle ${hash} is not here: PUT it to /bundles/${hash} and run the batch again`);
  }
}

/** The bundle is not what its hash says, or its isolate does not start. */
export class BundleBrokenError extends AppError {
  constructor(hash: string, problem: string) {
    super("bundle_broken", 422, `bundle ${hash} cannot run: ${problem}; publish the team's configuration again`);
  }
}

export class SandboxBusyError extends AppError {
  constructor() {
    super("sandbox_busy", 503, "other batches have kept the sandbox busy: try again", { retryAfterS: 1 });
  }
}
