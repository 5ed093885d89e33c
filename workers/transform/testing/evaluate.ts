import { FUEL_MODULE, FUEL_NAME } from "../fuel.ts";
import { burn } from "../isolate/fuel-tank.ts";

const FUEL_IMPORT = new RegExp(`;import \\{ burn as ${FUEL_NAME} \\} from "${FUEL_MODULE.replace(".", "\\.")}";\\s*$`);

/** The named declarations of a script, instrumented or not, run as strict code outside of a module. */
export function evaluate(code: string, ...names: string[]): Record<string, unknown> {
  const body = code.replace(FUEL_IMPORT, "").replace(/^export /gm, "");
  return new Function(FUEL_NAME, `"use strict";${body}\nreturn { ${names.join(", ")} };`)(burn) as Record<
    string,
    unknown
  >;
}
