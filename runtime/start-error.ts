/** The runtime cannot start for a reason that its operator can mend: one line, exit code 1. */
export class StartError extends Error {}
