import type { DestinationKind } from "./destination.ts";
import { kafka } from "./kafka.ts";
import { s3 } from "./s3.ts";
import { terminal } from "./terminal.ts";
import { webhook } from "./webhook.ts";

/** Every kind, in the order in which they are listed to people. */
export const destinationKinds: readonly DestinationKind[] = [webhook, kafka, s3, terminal];

export function destinationKind(kind: string): DestinationKind | undefined {
  return destinationKinds.find((candidate) => candidate.kind === kind);
}
