import { NOTIFICATIONS } from "../../shared/notifications.ts";
import { isFieldOf, setField, valueAt } from "../../shared/secret-fields.ts";
import type { SnapshotReader } from "../../shared/snapshot.ts";
import { textToBase64 } from "./base64.ts";
import type { CommonSettings } from "./destinations/common-settings.ts";
import type { DestinationKind } from "./destinations/destination.ts";
import { destinationKind } from "./destinations/registry.ts";
import type { Vault } from "./vault.ts";

/** A destination's configuration as its outbox works by it, secrets opened. */
export type LoadedDestination =
  | ReadyDestination
  /** Nothing is sent until the configuration changes. */
  | { state: "gone" | "unusable"; reason: string; fingerprint: string };

export interface ReadyDestination {
  state: "ready";
  kind: DestinationKind;
  settings: CommonSettings;
  /** Every form in which a secret may come back in an answer. */
  secrets: string[];
  /** Changes with the configuration, secrets included. */
  fingerprint: string;
}

export interface OutboxConfigDeps {
  snapshots: Pick<SnapshotReader, "team">;
  /** Rows of the table `secrets`. */
  sealedSecrets: (team: string, destination: string) => Promise<{ field: string; sealed: string }[]>;
  vault: Pick<Vault, "open">;
}

/** Throws where the configuration cannot be read now. */
export async function loadDestination(
  deps: OutboxConfigDeps,
  team: string,
  destination: string,
): Promise<LoadedDestination> {
  const snapshot = await deps.snapshots.team(team);
  const entry =
    destination === NOTIFICATIONS
      ? snapshot?.notifications
      : snapshot?.destinations.find(({ id }) => id === destination);
  if (entry === undefined) {
    const reason = `destination "${destination}" is not in the configuration of team "${team}": its events are kept`;
    return { state: "gone", reason, fingerprint: "gone" };
  }
  const sealed = await deps.sealedSecrets(team, destination);
  const fingerprint = JSON.stringify([entry.kind, entry.settings, sealed]);
  const kind = destinationKind(entry.kind);
  if (kind === undefined) {
    return { state: "unusable", reason: `destination kind "${entry.kind}" is not known to this version`, fingerprint };
  }
  const merged = structuredClone(entry.settings);
  const opened: Record<string, string> = {};
  for (const row of sealed) {
    // Left over from settings that the destination no longer has.
    if (!isFieldOf(kind.secrets, row.field)) continue;
    opened[row.field] = await deps.vault.open(row.sealed);
    setField(merged, row.field, opened[row.field] as string);
  }
  // A script that puts its credentials into a request may get them back in the answer as well.
  const credentials = snapshot?.bundle?.shapers?.[destination]?.credentials ?? {};
  for (const [name, secret] of Object.entries(credentials))
    opened[`credentials.${name}`] = await deps.vault.open(secret);
  const parsed = kind.settings.safeParse(merged);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const reason = `the settings of destination "${destination}" cannot be used: ${issue?.path.join(".")}: ${issue?.message}`;
    return { state: "unusable", reason, fingerprint };
  }
  return { state: "ready", kind, settings: parsed.data, secrets: secretForms(opened, basicOf(merged)), fingerprint };
}

/** Shorter ones would blacken ordinary words, and protect nothing. */
const MIN_REDACTED_LENGTH = 4;

/** What a user name and a password are in an Authorization header. */
function basicOf(settings: Record<string, unknown>): string | null {
  const [username, password] = [valueAt(settings, "auth.username"), valueAt(settings, "auth.password")];
  if (typeof username !== "string" || typeof password !== "string") return null;
  return textToBase64(`${username}:${password}`);
}

function secretForms(opened: Record<string, string>, basic: string | null): string[] {
  const forms = Object.values(opened).flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ]);
  if (basic !== null) forms.push(basic);
  // The longest first: a secret that is part of another one must not leave the other's rest behind.
  return [...new Set(forms)].filter((form) => form.length >= MIN_REDACTED_LENGTH).sort((a, b) => b.length - a.length);
}
