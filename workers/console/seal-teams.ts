import { type FoundSecret, SEALED, secretsOfTeam, type TeamConfig } from "../../shared/config.ts";
import { ConfigError, type ConfigProblem } from "../../shared/config-error.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import { mapFields } from "../../shared/secret-fields.ts";
import { sha256Hex } from "../../shared/sha256-hex.ts";
import type { SealedSecret } from "./config-store.ts";
import type { ConsoleDeps } from "./deps.ts";

/** A team's configuration with masks in the place of its secrets, and the sealed secrets. */
export interface SealedTeam {
  config: TeamConfig;
  secrets: SealedSecret[];
}

/**
 * Seals the secrets of a document's teams. A mask stands for the stored secret that it is the mask of, so that a document that was
 * read can be sent back. Throws `ConfigError` with every mask that is of no stored secret, 503 where nothing can be sealed.
 */
export async function sealTeams(
  deps: Pick<ConsoleDeps, "store" | "deliver" | "kinds">,
  teams: readonly TeamConfig[],
): Promise<Map<TeamConfig, SealedTeam>> {
  const stored = new Map((await deps.store.secrets()).map((secret) => [keyOf(secret), secret.sealed]));
  const problems: ConfigProblem[] = [];
  const sealed = new Map<TeamConfig, SealedTeam>();
  for (const [index, team] of teams.entries()) {
    const config = structuredClone(team);
    const secrets: SealedSecret[] = [];
    // The list is made first: masks are written into what it is read from.
    for (const found of [...secretsOfTeam(config, `teams[${index}].`, deps.kinds)]) {
      const key = { team: team.id, owner: found.owner, field: found.field };
      const previous = stored.get(keyOf(key)) ?? null;
      const form = await sealedForm(deps, key, found, previous);
      if (form === null) {
        problems.push({ path: found.path, message: "is the mask of no stored secret: send the secret itself" });
        continue;
      }
      secrets.push({ ...key, sealed: form });
      const mask = await maskOf(form);
      Object.assign(
        found.holder,
        mapFields(found.holder, [found.field], () => mask),
      );
    }
    sealed.set(team, { config, secrets });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return sealed;
}

/** Null where the value is a mask, and not that of the secret that is stored. */
async function sealedForm(
  deps: Pick<ConsoleDeps, "deliver">,
  key: Omit<SealedSecret, "sealed">,
  { value }: FoundSecret,
  previous: string | null,
): Promise<string | null> {
  if (value.startsWith(SEALED)) return previous !== null && (await maskOf(previous)) === value ? previous : null;
  try {
    return await deps.deliver.seal(value, previous);
  } catch (cause) {
    const name = `${key.team}/${key.owner} ${key.field}`;
    throw new AppError("secret_not_sealed", 503, `nothing was changed: ${name} cannot be sealed: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function keyOf(secret: Omit<SealedSecret, "sealed">): string {
  return `${secret.team}:${secret.owner}:${secret.field}`;
}

/** Enough of the sealed form's hash to see that a secret has changed; tells nothing of the secret, since sealing is salted. */
const FINGERPRINT_DIGITS = 12;

/** What stands in configurations in the place of a secret of this sealed form. */
export async function maskOf(sealed: string): Promise<string> {
  return SEALED + (await sha256Hex(new TextEncoder().encode(sealed))).slice(0, FINGERPRINT_DIGITS);
}
