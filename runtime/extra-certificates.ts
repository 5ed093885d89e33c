import { readFileSync } from "node:fs";
import { messageOf } from "../shared/errors.ts";
import { StartError } from "./start-error.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Certificates that destinations may show beside those that everybody trusts: of the file that Node takes its own from. @throws StartError */
export function extraCertificates(env: Record<string, string | undefined>): string[] {
  const path = env.NODE_EXTRA_CA_CERTS;
  if (path === undefined || path === "") return [];
  try {
    return readFileSync(path, "utf8").match(CERTIFICATE) ?? [];
  } catch (error) {
    throw new StartError(`NODE_EXTRA_CA_CERTS: ${messageOf(error)}`);
  }
}
