import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { messageOf } from "../shared/errors.ts";
import { GeoDatabase } from "../workers/capture/geoip/geo-database.ts";
import { StartError } from "./start-error.ts";

/** A MaxMind database, as capture finds it. */
export interface GeoipFile {
  folder: string;
  name: string;
}

/** Opens it as capture will. @throws StartError for what is no database of places */
export function checkGeoipFile(path: string): GeoipFile {
  const file = resolve(path);
  const name = basename(file);
  // The runtime serves no hidden files.
  if (name.startsWith(".")) throw new StartError(`--geoip: the name of ${file} must not begin with a dot`);
  try {
    new GeoDatabase(readFileSync(file));
  } catch (error) {
    throw new StartError(`--geoip: ${causeOf(error, file)}`);
  }
  return { folder: dirname(file), name };
}

function causeOf(error: unknown, file: string): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case undefined:
      return `${file} ${messageOf(error)}`;
    case "ENOENT":
      return `${file} does not exist`;
    case "EISDIR":
      return `${file} is a folder`;
    default:
      return `${file} cannot be read: ${messageOf(error)}`;
  }
}
