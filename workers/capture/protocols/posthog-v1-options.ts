import { isObject, type JsonObject } from "./json-object.ts";

/** What an event asks for beside its properties. */
export interface V1Options {
  cookielessMode: boolean | undefined;
  disableSkewCorrection: boolean | undefined;
  processPersonProfile: boolean | undefined;
  productTourId: string | undefined;
}

const NO_OPTIONS: V1Options = {
  cookielessMode: undefined,
  disableSkewCorrection: undefined,
  processPersonProfile: undefined,
  productTourId: undefined,
};

/** Null where a value is not of its option's kind. Null counts as absent; unknown options are left behind. */
export function optionsOf(given: unknown): V1Options | null {
  if (given == null) return NO_OPTIONS;
  if (!isObject(given)) return null;
  for (const _option in given) return someOptions(given);
  return NO_OPTIONS;
}

function someOptions(given: JsonObject): V1Options | null {
  const cookielessMode = flagOf(given.cookieless_mode);
  const disableSkewCorrection = flagOf(given.disable_skew_correction);
  const processPersonProfile = flagOf(given.process_person_profile);
  const productTourId = given.product_tour_id ?? undefined;
  if (cookielessMode === null || disableSkewCorrection === null || processPersonProfile === null) return null;
  if (productTourId !== undefined && typeof productTourId !== "string") return null;
  return { cookielessMode, disableSkewCorrection, processPersonProfile, productTourId };
}

/** SDKs of loosely typed languages send flags as numbers and texts. */
function flagOf(value: unknown): boolean | undefined | null {
  if (value == null) return undefined;
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return value !== 0;
  if (typeof value !== "string") return null;
  switch (value.trim().toLowerCase()) {
    case "true":
    case "1":
      return true;
    case "false":
    case "0":
      return false;
    default:
      return null;
  }
}
